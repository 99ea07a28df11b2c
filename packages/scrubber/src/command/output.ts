import type { Divergence, PassReport } from "../core/finding.js";
import type { KeyRange } from "../core/source.js";
import { keyText } from "./json-lines.js";

export const KEYS_SHOWN_MAX = 1_000;

export function reportText(report: PassReport): string {
  const found = divergenceLines(report.divergences);
  const lines = found.slice(0, KEYS_SHOWN_MAX);
  if (found.length > KEYS_SHOWN_MAX) lines.push(`... and ${found.length - KEYS_SHOWN_MAX} more (--json has them all)`);
  for (const { replica, range, cause } of report.unreadable)
    lines.push(`${replica}: cannot be read ${rangeText(range)}: ${messageOf(cause)}`);
  for (const range of report.unexamined) lines.push(`differs, and was not looked into: ${rangeText(range)}`);
  for (const range of report.unstable) lines.push(`does not read the same twice: ${rangeText(range)}`);
  for (const { replica, why, cause } of report.absent)
    lines.push(`${replica}: took no part, ${why}: ${messageOf(cause)}`);
  if (!isRight(report)) lines.push("");
  const keys = `${report.keys} ${report.keys === 1 ? "key" : "keys"} in ${report.compared.length} sources compared`;
  const wrong = new Set(report.divergences.map(({ key }) => Buffer.from(key).toString("latin1"))).size;
  if (isRight(report)) lines.push(`${keys}: all agree`);
  else if (wrong === 0) lines.push(`${keys}: none differs, but not everything could be compared`);
  else lines.push(`${keys}: ${wrong} ${wrong === 1 ? "differs" : "differ"}`);
  return `${lines.join("\n")}\n`;
}

/** The shapes of `--json` are a promise like any other. Keys are text as people read them, and base64. */
export function reportJson(report: PassReport): string {
  const { divergences, unreadable, unexamined, unstable, absent, ...rest } = report;
  const value = {
    agree: isRight(report),
    ...rest,
    divergences: divergences.map(({ key, replica, kind, against, agreed, where, cause }) => ({
      key: keyText(key),
      keyBase64: base64(key),
      source: replica,
      kind,
      against,
      agreed,
      where,
      cause,
    })),
    unreadable: unreadable.map(({ replica, range: over, cause }) => ({
      source: replica,
      ...rangeJson(over),
      cause: messageOf(cause),
    })),
    absent: absent.map(({ replica, why, cause }) => ({ source: replica, why, cause: messageOf(cause) })),
    unexamined: unexamined.map(rangeJson),
    unstable: unstable.map(rangeJson),
  };
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

export function isRight(report: PassReport): boolean {
  const { complete, divergences, unreadable, unexamined, unstable, absent } = report;
  return complete && [divergences, unreadable, unexamined, unstable, absent].every((list) => list.length === 0);
}

/** A line for each source that is wrong; where nobody can say who is, one for each key. */
function divergenceLines(divergences: readonly Divergence[]): string[] {
  const lines: string[] = [];
  for (const [index, { key, replica, kind, against, agreed }] of divergences.entries()) {
    if (against !== "none") {
      const word = { missing: "is missing", extra: "should not be there", different: "differs" }[kind];
      lines.push(`${keyText(key)}: ${word} in ${replica} (${agreed.join(" and ")} agree)`);
      continue;
    }
    if (divergences[index - 1]?.key === key) continue;
    const missing = divergences
      .filter((other) => other.key === key && other.kind === "missing")
      .map((one) => one.replica);
    const word = missing.length > 0 ? `is missing in ${missing.join(" and ")}` : "differs";
    lines.push(`${keyText(key)}: ${word}, and no two sources agree`);
  }
  return lines;
}

export function rangeJson({ from, to }: KeyRange): { readonly from: string; readonly to: string | null } {
  return { from: base64(from), to: to === undefined ? null : base64(to) };
}

export function rangeText({ from, to }: KeyRange): string {
  if (from.length === 0 && to === undefined) return "anywhere";
  return `from ${from.length === 0 ? "the start" : JSON.stringify(keyText(from))} ${to === undefined ? "on" : `to below ${JSON.stringify(keyText(to))}`}`;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
