import { parseArgs } from "node:util";
import type { WalFileSystem } from "./fs/file-system.js";
import { nodeFileSystem } from "./fs/node-file-system.js";
import type { WalRecord } from "./reader.js";
import { type Damage, type Salvage, type SalvagedStream, salvage } from "./salvage.js";

/** Where a command writes to. What it returns is awaited, so that a slow reader of a large dump is waited for. */
export interface CommandOutput {
  out(text: string): Promise<void>;
  err(text: string): Promise<void>;
}

const usage = `evenkeel-wal: looks into the directory of a log that is not open. Changes nothing.

  evenkeel-wal verify DIR             every checksum; exit status 1 if anything durable is damaged
  evenkeel-wal stats DIR              the streams, their bounds and what is missing
  evenkeel-wal dump DIR [--stream NAME] [--from N] [--to N]
                                      the records, one a line

  --json    for programs: one object, or for dump one a line with the data in base64
`;

const previewBytes = 60;

/** Runs `evenkeel-wal` with these arguments. Resolves to the exit status: 0, 1 (damage was found) or 2 (it could not be done). */
export async function runCommand(
  args: readonly string[],
  { out, err }: CommandOutput,
  fileSystem: WalFileSystem = nodeFileSystem,
): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        stream: { type: "string" },
        from: { type: "string" },
        to: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const [command, dir, ...more] = positionals;
    if (values.help) {
      await out(usage);
      return 0;
    }
    if (dir === undefined || more.length > 0 || (command !== "verify" && command !== "stats" && command !== "dump")) {
      await err(usage);
      return 2;
    }
    const range = { from: sequence("from", values.from, 1), to: sequence("to", values.to, Number.POSITIVE_INFINITY) };
    const found = await salvage({ dir, fileSystem });
    if (command === "verify") await out(values.json ? json(verified(found)) : verifiedText(found));
    else if (command === "stats") await out(values.json ? json(stats(found)) : statsText(found));
    else await dump(found, { ...range, stream: values.stream, json: values.json }, out);
    if (command !== "verify") for (const damage of found.damages) await err(`${damageText(damage)}\n`);
    return found.damages.some((damage) => damage.wasDurable) ? 1 : 0;
  } catch (error) {
    await err(`evenkeel-wal: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
}

function sequence(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^\d{1,15}$/.test(text) || Number(text) < 1)
    throw new Error(`--${name} must be a whole number from 1, got ${text}`);
  return Number(text);
}

const json = (value: unknown) => `${JSON.stringify(value, undefined, 2)}\n`;

function stats({ streams, batches }: Salvage) {
  return {
    batches,
    streams: streams.map(({ name, firstSequence, lastSequence, missing }) => ({
      name,
      firstSequence,
      lastSequence,
      missing,
    })),
  };
}

function verified(found: Salvage) {
  return { ...stats(found), damages: found.damages };
}

function verifiedText(found: Salvage): string {
  const damages = found.damages.map((damage) => `${damageText(damage)}\n`);
  const missing = found.streams.flatMap((stream) => missingText(stream).map((text) => `${text}\n`));
  const whole = `${found.batches} batches of ${found.streams.length} streams are right\n`;
  return [whole, ...damages, ...missing].join("");
}

function statsText({ streams, batches }: Salvage): string {
  const lines = streams.map((stream) => {
    const { firstSequence, lastSequence } = stream;
    const bounds =
      lastSequence < firstSequence ? `empty, next ${lastSequence + 1}` : `${firstSequence} to ${lastSequence}`;
    return [`${JSON.stringify(stream.name)}: ${bounds}\n`, ...missingText(stream).map((text) => `  ${text}\n`)].join(
      "",
    );
  });
  return [`${batches} batches, ${streams.length} streams\n`, ...lines].join("");
}

function damageText({ file, from, to, batches, reason, wasDurable }: Damage): string {
  const lost = batches === undefined ? "" : `, batches ${batches.from} to ${batches.to} are lost`;
  const doubt = wasDurable ? "" : " (an append that was cut off, or the very last one that was acknowledged)";
  return `${file}: bytes ${from} to ${to}: ${reason}${lost}${doubt}`;
}

function missingText({ name, missing }: SalvagedStream): string[] {
  return missing.map(({ from, to }) => `stream ${JSON.stringify(name)}: records ${from} to ${to} are missing`);
}

async function dump(
  found: Salvage,
  options: { stream: string | undefined; from: number; to: number; json: boolean },
  out: CommandOutput["out"],
): Promise<void> {
  const chosen = found.streams.filter(({ name }) => options.stream === undefined || name === options.stream);
  if (chosen.length === 0 && options.stream !== undefined) throw new Error(`no stream is called ${options.stream}`);
  for (const stream of chosen) {
    for await (const record of stream.read()) {
      if (record.sequence < options.from) continue;
      if (record.sequence > options.to) break;
      await out(options.json ? recordJson(stream.name, record) : recordText(stream.name, record));
    }
  }
}

function recordJson(stream: string, { sequence, timeMs, data }: WalRecord): string {
  return `${JSON.stringify({ stream, sequence, timeMs, data: Buffer.from(data).toString("base64") })}\n`;
}

function recordText(stream: string, { sequence, timeMs, data }: WalRecord): string {
  const preview = Buffer.from(data.subarray(0, previewBytes))
    .toString("latin1")
    .replace(/[^\x20-\x7e]/g, ".");
  return `${JSON.stringify(stream)} ${sequence} ${new Date(timeMs).toISOString()} ${data.length} B ${preview}\n`;
}
