import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { PairDivergence, PairReport } from "../core/pair.js";
import { PairScrubber, type PairScrubberOptions } from "../pair-scrubber.js";
import type { CommandOutput } from "./command.js";
import { keyText } from "./json-lines.js";
import { KEYS_SHOWN_MAX, messageOf, rangeJson, rangeText } from "./output.js";

const usage = `Compares two stores that replicate with a delay, and names the keys that stay different. Changes nothing.

  evenkeel-scrub pair --config MODULE

MODULE's default export is { left, right } for PairScrubber, each with its source, its position and its watermark, and
PairScrubber's other options.

      --json   one object, for programs
  -h, --help   this text

Exit status:
  0  both hold the same, but for what was under way
  1  they do not, or something cannot be read, or nothing can be said of a key yet
  2  it could not be done: wrong arguments, no such module
`;

/** `evenkeel-scrub pair`; resolves with its exit status. */
export async function runPairCommand(args: readonly string[], output: CommandOutput): Promise<number> {
  let config: string;
  let json: boolean;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { config: { type: "string" }, json: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    });
    if (values.help === true) {
      await output.out(usage);
      return 0;
    }
    if (values.config === undefined)
      throw new Error("--config is needed: without watermarks lag and damage look the same");
    config = values.config;
    json = values.json === true;
  } catch (error) {
    await output.err(`${(error as Error).message}\nevenkeel-scrub pair --help tells more.\n`);
    return 2;
  }
  try {
    const module = (await import(pathToFileURL(resolve(config)).href)) as { readonly default?: PairScrubberOptions };
    if (module.default === undefined) throw new Error(`${config} has no default export`);
    const report = await new PairScrubber(module.default).pass();
    await output.out(json ? pairJson(report) : pairText(report, module.default));
    return isRight(report) ? 0 : 1;
  } catch (error) {
    await output.err(`${messageOf(error)}\n`);
    return 2;
  }
}

function isRight({ complete, divergences, unsettled, unreadable, unexamined }: PairReport): boolean {
  return complete && [divergences, unsettled, unreadable, unexamined].every((list) => list.length === 0);
}

function pairText(report: PairReport, { left, right }: PairScrubberOptions): string {
  const names = { left: left.source.name, right: right.source.name };
  const lines = report.divergences
    .slice(0, KEYS_SHOWN_MAX)
    .map(({ key, kind }) => `${keyText(key)}: ${wordOf(kind, names)}`);
  if (report.divergences.length > KEYS_SHOWN_MAX)
    lines.push(`... and ${report.divergences.length - KEYS_SHOWN_MAX} more (--json has them all)`);
  for (const key of report.unsettled.slice(0, KEYS_SHOWN_MAX)) lines.push(`${keyText(key)}: nothing can be said yet`);
  for (const { side, range, cause } of report.unreadable)
    lines.push(`${side}: cannot be read ${rangeText(range)}: ${messageOf(cause)}`);
  for (const range of report.unexamined) lines.push(`differs, and was not looked into: ${rangeText(range)}`);
  if (!report.complete) lines.push("not everything could be compared");
  if (!isRight(report)) lines.push("");
  const { keys, divergences, lagged, unsettled } = report;
  const what =
    divergences.length === 0
      ? "none differs"
      : `${divergences.length} ${divergences.length === 1 ? "differs" : "differ"}`;
  lines.push(
    `${keys} ${keys === 1 ? "key" : "keys"} compared: ${what}, ${lagged} under way, ${unsettled.length} unsettled`,
  );
  return `${lines.join("\n")}\n`;
}

function wordOf(
  kind: PairDivergence["kind"],
  { left, right }: { readonly left: string; readonly right: string },
): string {
  if (kind === "different") return "differs";
  return `is missing in ${kind === "missing-left" ? left : right}`;
}

/** The shapes of `--json` are a promise like any other. */
function pairJson(report: PairReport): string {
  const base64 = (bytes: Uint8Array | undefined) =>
    bytes === undefined ? null : Buffer.from(bytes).toString("base64");
  const named = (key: Uint8Array) => ({ key: keyText(key), keyBase64: base64(key) });
  const { divergences, unsettled, unreadable, unexamined, ...rest } = report;
  const value = {
    agree: isRight(report),
    ...rest,
    divergences: divergences.map(({ key, kind, left, right, at }) => ({
      ...named(key),
      kind,
      left: base64(left),
      right: base64(right),
      at,
    })),
    unsettled: unsettled.map(named),
    unreadable: unreadable.map(({ side, range, cause }) => ({ side, ...rangeJson(range), cause: messageOf(cause) })),
    unexamined: unexamined.map(rangeJson),
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
