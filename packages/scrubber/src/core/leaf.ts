import { compareBytes, equalBytes } from "./bytes.js";
import type { Divergence } from "./finding.js";
import { judge } from "./judge.js";
import type { Entry } from "./source.js";

interface Read {
  readonly name: string;
  readonly entries: readonly Entry[];
}

/** A divergence as the entries alone show it. */
export type Difference = Pick<Divergence, "key" | "replica" | "against" | "kind" | "agreed">;

/** Walks the entries of all sources side by side, and names every key under which they do not agree. */
export function compareEntries(read: readonly Read[], reference: string | undefined): Difference[] {
  const divergences: Difference[] = [];
  const cursors = read.map(() => 0);
  for (;;) {
    const heads = read.map((one, index) => one.entries[cursors[index] as number]);
    const key = heads.reduce<Uint8Array | undefined>(
      (least, head) =>
        head !== undefined && (least === undefined || compareBytes(head.key, least) < 0) ? head.key : least,
      undefined,
    );
    if (key === undefined) return divergences;
    const held = read.map((one, index) => {
      const head = heads[index];
      const here = head !== undefined && equalBytes(head.key, key);
      if (here) cursors[index] = (cursors[index] as number) + 1;
      return { source: one.name, value: here ? head.value : undefined };
    });
    const judgement = judge(held, reference);
    if (judgement === undefined) continue;
    const { against, agreed, expected, odd } = judgement;
    for (const { source, value } of odd) {
      const kind =
        value === undefined ? "missing" : expected === undefined && against !== "none" ? "extra" : "different";
      divergences.push({ key, replica: source, against, kind, agreed });
    }
  }
}
