import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Store } from "./store.js";

const USAGE = `evenkeel-store: a replicated, DynamoDB-compatible store on this machine

  --data DIR     where everything durable lies   (default: $EVENKEEL_DATA or ~/.evenkeel/store)
  --port PORT    where the router listens         (default: 8000; 0: any free port)
  --single       all nodes in one process instead of one process each
  --partitions N partitions of a new table        (default: 4)
  --help`;

function complain(error: unknown, dir: string, port: number): string {
  const { code, message } = error as { code?: string; message?: string };
  switch (code) {
    case "EADDRINUSE":
      return `port ${port} is in use: stop what listens there, or choose another one with --port`;
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `the data directory ${dir} cannot be written (${code}): choose another one with --data`;
    case "ENOTDIR":
    case "EEXIST":
      return `the data directory ${dir} is not a directory: choose another one with --data`;
    case "ERR_WAL_LOCKED":
      return `the data directory ${dir} is in use by another process: stop that one, or choose another directory with --data`;
    default:
      return message ?? String(error);
  }
}

function parsed(): { dir: string; port: number; single: boolean; partitionsPerTable: number } {
  const { values } = parseArgs({
    options: {
      data: { type: "string", default: process.env.EVENKEEL_DATA ?? join(homedir(), ".evenkeel", "store") },
      port: { type: "string", default: "8000" },
      single: { type: "boolean", default: false },
      partitions: { type: "string", default: "4" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    process.exit(0);
  }
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new RangeError(`--port must be a whole number from 0 to 65535; got ${values.port}`);
  return { dir: values.data, port, single: values.single, partitionsPerTable: Number(values.partitions) };
}

async function main(): Promise<void> {
  let options: ReturnType<typeof parsed>;
  try {
    options = parsed();
  } catch (error) {
    process.stderr.write(`evenkeel-store: ${(error as Error).message}\n`);
    process.exit(1);
  }
  const { dir, port, single, partitionsPerTable } = options;
  let store: Store;
  try {
    store = await Store.open({
      dir,
      port,
      partitionsPerTable,
      mode: single ? "single" : "processes",
      onFinding: (line) => process.stderr.write(`evenkeel-store: scrub: ${line}\n`),
      onNodeFailure: (nodeId, reason) => process.stderr.write(`evenkeel-store: node ${nodeId}: ${reason}\n`),
    });
  } catch (error) {
    process.stderr.write(`evenkeel-store: ${complain(error, dir, port)}\n`);
    process.exit(1);
  }
  process.stdout.write(
    [
      `Evenkeel store: three storage nodes in three zones, every write on the disks of two of them before it is acknowledged`,
      `  DynamoDB endpoint  ${store.endpoint}   (any region, any credentials)`,
      `  data               ${store.dir}`,
      `  try                aws dynamodb list-tables --endpoint-url ${store.endpoint}   or   npm run tour`,
      `Ctrl-C stops it; the data stays.`,
      "",
    ].join("\n"),
  );
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    store.close().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`evenkeel-store: ${error instanceof Error ? error.message : String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
}

void main();
