import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { complain } from "./complaint.js";
import { defaultPartitions } from "./control/default-partitions.js";
import { SPARES_MAX } from "./control/fleet.js";
import { growHeapInLargeSteps } from "./control/heap-growth.js";
import { credentialsFrom } from "./credentials-file.js";
import { reason } from "./reason.js";
import type { Credentials } from "./router/signatures.js";
import { Store } from "./store.js";

const USAGE = `evenkeel-store: a replicated, DynamoDB-compatible store on this machine

  --data DIR     where everything durable lies   (default: $EVENKEEL_DATA or ~/.evenkeel/store)
  --port PORT    where the router listens         (default: 8000; 0: any free port)
  --host HOST    on which address                 (default: 127.0.0.1; any other than loopback needs --credentials)
  --credentials FILE
                 whose requests are answered, in the form of ~/.aws/credentials: all its profiles
                                                  (default: $EVENKEEL_CREDENTIALS; without: everybody's, on loopback)
  --single       all nodes in one process instead of one process each
  --partitions N partitions of a new table        (default: 1 on fewer than four processors, else 4)
  --spares N     nodes beyond the three, to take the place of one that does not come back (default: 0)
  --help`;

function wholeNumber(option: string, text: string, min: number, max: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw new RangeError(`--${option} must be a whole number from ${min} to ${max}; got ${JSON.stringify(text)}`);
}

interface Options {
  readonly dir: string;
  readonly host: string;
  readonly port: number;
  readonly credentials: readonly Credentials[];
  readonly single: boolean;
  readonly partitionsPerTable: number;
  readonly spares: number;
}

function parsed(): Options {
  const { values } = parseArgs({
    options: {
      data: { type: "string", default: process.env.EVENKEEL_DATA || join(homedir(), ".evenkeel", "store") },
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "8000" },
      credentials: { type: "string" },
      single: { type: "boolean", default: false },
      partitions: { type: "string", default: String(defaultPartitions()) },
      spares: { type: "string", default: "0" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${USAGE}\n`);
    process.exit(0);
  }
  if (values.data === "") throw new RangeError("--data must name a directory; got an empty string");
  // Such as --credentials "$FILE" where FILE is not set: everybody would be let in.
  if (values.credentials === "") throw new RangeError("--credentials must name a file; got an empty string");
  const credentials = values.credentials ?? process.env.EVENKEEL_CREDENTIALS ?? "";
  const port = wholeNumber("port", values.port, 0, 65_535);
  return {
    dir: values.data,
    host: values.host,
    port,
    credentials: credentials === "" ? [] : credentialsFrom(credentials),
    single: values.single,
    partitionsPerTable: wholeNumber("partitions", values.partitions, 1, 256),
    spares: wholeNumber("spares", values.spares, 0, SPARES_MAX),
  };
}

async function main(): Promise<void> {
  let options: Options;
  try {
    options = parsed();
  } catch (error) {
    process.stderr.write(`evenkeel-store: ${reason(error)}\n`);
    process.exit(1);
  }
  const { dir, host, port, credentials, single, partitionsPerTable, spares } = options;
  growHeapInLargeSteps();
  let store: Store | undefined;
  let asked: NodeJS.Signals | undefined;
  const starting = new AbortController();
  const stop = (signal: NodeJS.Signals): void => {
    if (asked !== undefined) return;
    asked = signal;
    if (store === undefined) starting.abort();
    else end(store);
  };
  const end = (open: Store): void => {
    open.close().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`evenkeel-store: ${reason(error)}\n`);
        process.exit(1);
      },
    );
  };
  // In the middle of a start, too: nothing of it is to outlive this process. Where there is only this one, it may end as it is.
  const listen = (): void => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, stop);
  };
  if (!single) listen();
  try {
    store = await Store.open({
      dir,
      host,
      port,
      credentials,
      partitionsPerTable,
      spares,
      mode: single ? "single" : "processes",
      signal: starting.signal,
      onFinding: (line) => process.stderr.write(`evenkeel-store: scrub: ${line}\n`),
      onNews: (line) => process.stderr.write(`evenkeel-store: ${line}\n`),
      onNodeFailure: (nodeId, reason) => process.stderr.write(`evenkeel-store: node ${nodeId}: ${reason}\n`),
    });
  } catch (error) {
    if (asked !== undefined) {
      // As whoever sent it expects of a program that does not know the signal.
      process.removeAllListeners(asked);
      process.kill(process.pid, asked);
      return;
    }
    process.stderr.write(`evenkeel-store: ${complain(error, dir, host, port)}\n`);
    process.exit(1);
  }
  if (single) listen();
  // It came when there was nothing left to break off.
  if (asked !== undefined) return end(store);
  // Now that it is true that Ctrl-C stops it.
  process.stdout.write(
    [
      `Evenkeel store: three storage nodes in three zones, every write on the disks of two of them before it is acknowledged`,
      `  DynamoDB endpoint  ${store.endpoint}   (any region, ${credentials.length === 0 ? "any credentials" : "configured credentials only"})`,
      `  data               ${store.dir}`,
      `  try                aws dynamodb list-tables --endpoint-url ${store.endpoint}   or   npm run tour`,
      `Ctrl-C stops it; the data stays.`,
      "",
    ].join("\n"),
  );
}

void main();
