import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { ScrubberError } from "../core/errors.js";
import type { ReplicaSource } from "../core/source.js";
import { Scrubber, type ScrubberOptions } from "../scrubber.js";
import { directory, directoryBytes } from "./directory.js";
import { jsonLines } from "./json-lines.js";
import { isRight, reportJson, reportText } from "./output.js";
import { runPairCommand } from "./pair-command.js";
import { Progress, type ProgressOutput } from "./progress.js";

/** Where a command writes to. What it returns is awaited, so that a slow reader is waited for. */
export interface CommandOutput {
  out(text: string): Promise<void>;
  err(text: string): Promise<void>;
  /** Where progress may be shown, and whether it is without being asked for; none by default. */
  readonly progress?: ProgressOutput & { readonly unasked: boolean };
}

const usage = `Compares copies of data, and names the keys that differ. Changes nothing.

  evenkeel-scrub SOURCE SOURCE [SOURCE ...]
  evenkeel-scrub pair --config MODULE         two stores that replicate with a delay: pair --help tells more

A SOURCE is
  a folder        its files, by path and contents: two archives, two backups, a copy of anything
  a file          lines of JSON, one object a line, in order of their keys: two exports, two dumps of logs

      --reference SOURCE  one more, whose word is taken when another one agrees with it
      --config MODULE     instead of SOURCEs: a module whose default export is { replicas, reference, position }
                          for Scrubber, such as a Redis keyspace, an S3 prefix, a log in its directory
      --key FIELDS        for lines of JSON: the fields that are the key, with commas between; "key" by default
      --ignore FIELDS     fields that are not compared
      --sort              for lines in any order, and for what can be read only once (pipes)

  --json                      one object, for programs
  --progress, --no-progress   a progress bar on stderr; by default where that is a terminal
  -h, --help                  this text

Exit status:
  0  all agree
  1  they do not, or something cannot be read
  2  it could not be done: wrong arguments, no such file

Two logs:  evenkeel-scrub --sort --key sequence --ignore timeMs <(evenkeel-wal dump a --stream orders --json) \\
                          <(evenkeel-wal dump b --stream orders --json)
`;

interface Arguments {
  readonly sources: readonly string[];
  readonly reference: string | undefined;
  readonly config: string | undefined;
  readonly key: readonly string[];
  readonly ignore: readonly string[];
  readonly sort: boolean;
  readonly json: boolean;
  readonly progress: boolean | undefined;
}

/** Runs the command; resolves with its exit status. */
export async function runCommand(args: readonly string[], output: CommandOutput): Promise<number> {
  if (args[0] === "pair") return runPairCommand(args.slice(1), output);
  let parsed: Arguments | "help";
  try {
    parsed = parse(args);
  } catch (error) {
    await output.err(`${(error as Error).message}\nevenkeel-scrub --help tells more.\n`);
    return 2;
  }
  if (parsed === "help") {
    await output.out(usage);
    return 0;
  }
  const scratch = await mkdtemp(join(tmpdir(), "evenkeel-scrub-"));
  try {
    return await compare(parsed, output, scratch);
  } catch (error) {
    await output.err(`${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function parse(args: readonly string[]): Arguments | "help" {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    allowNegative: true,
    options: {
      reference: { type: "string" },
      config: { type: "string" },
      key: { type: "string" },
      ignore: { type: "string" },
      sort: { type: "boolean" },
      json: { type: "boolean" },
      progress: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true) return "help";
  const count = positionals.length + (values.reference === undefined ? 0 : 1);
  if (values.config === undefined && count < 2) throw new Error(`two sources or more are needed, got ${count}`);
  if (values.config !== undefined && count > 0) throw new Error("--config stands instead of sources");
  const fields = (text: string | undefined): string[] =>
    text === undefined ? [] : text.split(",").filter((field) => field !== "");
  const key = fields(values.key ?? "key");
  if (key.length === 0) throw new Error("--key needs the name of a field");
  return {
    sources: positionals,
    reference: values.reference,
    config: values.config,
    key,
    ignore: fields(values.ignore),
    sort: values.sort === true,
    json: values.json === true,
    progress: values.progress,
  };
}

async function compare(args: Arguments, output: CommandOutput, scratch: string): Promise<number> {
  const shown = output.progress !== undefined && (args.progress ?? (output.progress.unasked && !args.json));
  const totalBytes = shown ? await total(args) : 0;
  const progress = shown && output.progress !== undefined ? new Progress(output.progress, totalBytes) : undefined;
  let options: ScrubberOptions;
  try {
    options =
      args.config === undefined
        ? await sourcesOf(args, scratch, (bytes) => progress?.add(bytes))
        : await load(args.config);
    const scrubber = new Scrubber(options);
    const report = await scrubber.pass({
      onStep: ({ bytes }) => {
        // What a configured source reads is not seen here, what was compared is.
        if (args.config !== undefined) progress?.add(bytes);
      },
    });
    progress?.end();
    await output.out(args.json ? reportJson(report) : reportText(report));
    return isRight(report) ? 0 : 1;
  } finally {
    progress?.end();
  }
}

async function total({ sources, reference, config }: Arguments): Promise<number> {
  if (config !== undefined) return 0;
  let bytes = 0;
  for (const path of [...sources, ...(reference === undefined ? [] : [reference])]) {
    const found = await stat(path);
    bytes += found.isDirectory() ? await directoryBytes(path) : found.size;
  }
  return bytes;
}

async function sourcesOf(args: Arguments, scratch: string, onBytes: (bytes: number) => void): Promise<ScrubberOptions> {
  const names = new Set<string>();
  const open = async (path: string): Promise<ReplicaSource> => {
    if (names.has(path)) throw new ScrubberError("ERR_SCRUBBER_ARGUMENT", `${path} is named twice`);
    names.add(path);
    if ((await stat(path)).isDirectory()) return directory(path, path, onBytes);
    const sortIn = args.sort ? join(scratch, `${names.size}`) : undefined;
    return jsonLines({ name: path, path, key: args.key, ignore: args.ignore, sortIn, onBytes });
  };
  const replicas: ReplicaSource[] = [];
  for (const path of args.sources) replicas.push(await open(path));
  const reference = args.reference === undefined ? undefined : await open(args.reference);
  return { replicas, position: () => 0, ...(reference === undefined ? {} : { reference }) };
}

async function load(path: string): Promise<ScrubberOptions> {
  const module = (await import(pathToFileURL(resolve(path)).href)) as { readonly default?: ScrubberOptions };
  if (module.default === undefined) throw new ScrubberError("ERR_SCRUBBER_ARGUMENT", `${path} has no default export`);
  return { ...module.default, position: module.default.position ?? (() => 0) };
}
