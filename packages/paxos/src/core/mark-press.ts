import type { Press } from "./press.js";

/** As hosts make them: what is drawn once in each life of a node, and the log's number. */
const made = /^([0-9a-z]{20})\.(0|[1-9a-z][0-9a-z]{0,8})$/;

/** Marks that were made otherwise, by an earlier release, are kept as they are. */
export function pressMark(p: Pick<Press, "flag" | "name" | "whole" | "text">, mark: string): string {
  const [, life = "", number = "0"] = made.exec(mark) ?? [];
  if (!p.flag(life !== "")) return p.text(mark);
  return `${p.name(life)}.${p.whole(Number.parseInt(number, 36)).toString(36)}`;
}
