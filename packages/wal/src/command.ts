import { parseArgs } from "node:util";
import {
  damageText,
  inspectJson,
  inspectText,
  isDamaged,
  recordJson,
  recordText,
  statsJson,
  statsText,
  verifyJson,
  verifyText,
} from "./command-output.js";
import { bytesText, Progress, type ProgressOutput } from "./command-progress.js";
import { WalError } from "./errors.js";
import type { WalFileSystem } from "./fs/file-system.js";
import { nodeFileSystem } from "./fs/node-file-system.js";
import { type Salvage, salvage } from "./salvage.js";

/** Where a command writes to. What it returns is awaited, so that a slow reader of a large dump is waited for. */
export interface CommandOutput {
  out(text: string): Promise<void>;
  err(text: string): Promise<void>;
  /** Where progress may be shown, and whether it is without being asked for; none by default. */
  readonly progress?: ProgressOutput & { readonly unasked: boolean };
  /** Records go to a terminal: then a bar among them would only be in the way. */
  readonly toTerminal?: boolean;
}

const usage = `Looks into the directory of a log that is not open. Changes nothing on disk.

  evenkeel-wal verify DIR     reads everything and checks every checksum
  evenkeel-wal inspect DIR    the segments: size, batches, how much of them is live, salts, times;
                              what the file marks vouches for; the streams
  evenkeel-wal stats DIR      the streams: first and last record, and what is missing
  evenkeel-wal dump DIR       the records, one a line
      --stream NAME           of this stream alone
      --from N  --to N        with these sequences

  --json                      for programs: one object; for dump one a line, the data in base64
  --progress, --no-progress   a progress bar on stderr; by default where that is a terminal
  -h, --help                  this text

Exit status:
  0  everything that was acknowledged is there and right. An append that was cut off at the very end is
     reported and is no damage
  1  something that was acknowledged is damaged or missing; what is left of it was read all the same
  2  it could not be done: wrong arguments, no log there, a log in use, a disk that cannot be read

A log in use belongs to its process: close it there, or look into a copy of the directory.
`;

const commands = ["verify", "inspect", "stats", "dump"] as const;
type Command = (typeof commands)[number];

interface Arguments {
  readonly command: Command;
  readonly dir: string;
  readonly json: boolean;
  readonly progress: boolean | undefined;
  readonly stream: string | undefined;
  readonly from: number;
  readonly to: number;
}

/** Said with a hint at the help. */
class UsageError extends Error {}

/** Runs `evenkeel-wal` with these arguments. Resolves to the exit status: 0, 1 (damage was found) or 2 (it could not be done). */
export async function runCommand(
  args: readonly string[],
  output: CommandOutput,
  fileSystem: WalFileSystem = nodeFileSystem,
): Promise<number> {
  const { out, err } = output;
  try {
    const wanted = parsed(args);
    if (wanted === "help") {
      await out(usage);
      return 0;
    }
    const { progress } = output;
    const shown = (wanted.progress ?? progress?.unasked) ? progress : undefined;
    const found = await read(wanted.dir, fileSystem, shown);
    await written(wanted, found, out, output.toTerminal === true ? undefined : shown);
    if (wanted.command !== "verify") for (const damage of found.damages) await err(`${damageText(damage)}\n`);
    return isDamaged(found) ? 1 : 0;
  } catch (error) {
    const hint = error instanceof UsageError ? "; evenkeel-wal --help says how it is called" : "";
    await err(`evenkeel-wal: ${error instanceof Error ? error.message : String(error)}${hint}\n`);
    return 2;
  }
}

function parsed(args: readonly string[]): Arguments | "help" {
  const { values, positionals } = optionsAnd(args);
  if (values.help === true) return "help";
  const [name, dir, ...more] = positionals;
  if (name === undefined) throw new UsageError(`what is to be done? There are ${commands.join(", ")}`);
  const command = commands.find((known) => known === name);
  if (command === undefined) throw new UsageError(`there is no command ${name}; there are ${commands.join(", ")}`);
  if (dir === undefined) throw new UsageError(`${command}: of which directory?`);
  if (more.length > 0) throw new UsageError(`${command} takes one directory, got also ${more.join(" ")}`);
  const { json = false, stream } = values;
  for (const option of ["stream", "from", "to"] as const) {
    if (values[option] !== undefined && command !== "dump") throw new UsageError(`--${option} is for dump alone`);
  }
  const [from, to] = [sequence("from", values.from, 1), sequence("to", values.to, Number.POSITIVE_INFINITY)];
  return { command, dir, json, progress: values.progress, stream, from, to };
}

function optionsAnd(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      allowNegative: true,
      options: {
        json: { type: "boolean" },
        progress: { type: "boolean" },
        stream: { type: "string" },
        from: { type: "string" },
        to: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    // Its messages go on for lines about how else one might have meant it.
    const message = error instanceof Error ? (error.message.split(/\. |\n/)[0] ?? error.message) : String(error);
    throw new UsageError(message.charAt(0).toLowerCase() + message.slice(1));
  }
}

function sequence(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  if (!/^\d{1,15}$/.test(text) || Number(text) < 1)
    throw new UsageError(`--${name} must be a whole number from 1, got ${text}`);
  return Number(text);
}

async function read(dir: string, fileSystem: WalFileSystem, shown: ProgressOutput | undefined): Promise<Salvage> {
  const progress = shown && new Progress(shown, "reading", bytesText);
  let found: Salvage;
  try {
    found = await salvage({
      dir,
      fileSystem,
      ...(progress && { onProgress: (done, total) => progress.update(done, total) }),
    });
  } catch (error) {
    throw explained(error, dir);
  } finally {
    progress?.end();
  }
  if (found.segments.length === 0 && found.mark === undefined)
    throw new Error(`there is no log in ${dir}: it holds neither segments (000000000001.wal) nor a file marks`);
  return found;
}

/** What can be done about it. */
function explained(error: unknown, dir: string): unknown {
  if (!(error instanceof WalError)) return error;
  if (error.code === "ERR_WAL_LOCKED") return new Error(`${error.message}, or look into a copy of the directory`);
  const { code } = (error.cause ?? {}) as { readonly code?: unknown };
  if (code === "ENOENT") return new Error(`there is no directory ${dir}`);
  if (code === "ENOTDIR") return new Error(`${dir} is not a directory; the directory of the log is wanted`);
  return error;
}

async function written(
  { command, json, stream, from, to }: Arguments,
  found: Salvage,
  out: CommandOutput["out"],
  shown: ProgressOutput | undefined,
): Promise<void> {
  if (command === "verify") return out(json ? verifyJson(found) : verifyText(found));
  if (command === "inspect") return out(json ? inspectJson(found) : inspectText(found));
  if (command === "stats") return out(json ? statsJson(found) : statsText(found));
  const chosen = found.streams.filter(({ name }) => stream === undefined || name === stream);
  if (chosen.length === 0 && stream !== undefined) throw new Error(`no stream is called ${stream}`);
  const ranges = chosen.map((one) =>
    Math.max(0, Math.min(to, one.lastSequence) - Math.max(from, one.firstSequence) + 1),
  );
  const total = ranges.reduce((sum, range) => sum + range, 0);
  const progress = shown && new Progress(shown, "writing", (value) => `${Math.round(value)} records`);
  let done = 0;
  const text = json ? recordJson : recordText;
  try {
    for (const one of chosen) {
      for await (const record of one.read()) {
        if (record.sequence < from) continue;
        if (record.sequence > to) break;
        await out(text(one.name, record));
        progress?.update(++done, total);
      }
    }
  } finally {
    progress?.end();
  }
}
