import { equalBytes } from "./bytes.js";

/** What one source holds under a key; undefined where it holds nothing. */
export interface Held {
  readonly source: string;
  readonly value: Uint8Array | undefined;
}

export interface Judgement {
  /** Whose word is taken; `none` when no two sources agree, and then nobody can say what is right. */
  readonly against: "reference" | "majority" | "none";
  /** The sources that agree with it, in the order given. */
  readonly agreed: readonly string[];
  readonly expected: Uint8Array | undefined;
  /** The others. */
  readonly odd: readonly Held[];
}

/**
 * Who is the odd one out under one key; undefined when all agree.
 *
 * The reference's word is taken when at least one replica says the same: two replicas damaged alike do not outvote it. A reference that
 * stands alone against replicas that agree is itself the odd one.
 */
export function judge(held: readonly Held[], reference: string | undefined): Judgement | undefined {
  const groups: Held[][] = [];
  for (const one of held) {
    const group = groups.find(([first]) => first !== undefined && sameValue(first.value, one.value));
    if (group === undefined) groups.push([one]);
    else group.push(one);
  }
  if (groups.length <= 1) return undefined;
  const trusted = groups.find((group) => group.length > 1 && group.some((one) => one.source === reference));
  const largest = Math.max(...groups.map((group) => group.length));
  const leading = groups.filter((group) => group.length === largest);
  const chosen = trusted ?? (largest > 1 && leading.length === 1 ? leading[0] : undefined);
  if (chosen === undefined) return { against: "none", agreed: [], expected: undefined, odd: held };
  return {
    against: trusted === undefined ? "majority" : "reference",
    agreed: chosen.map((one) => one.source),
    expected: chosen[0]?.value,
    odd: held.filter((one) => !chosen.includes(one)),
  };
}

function sameValue(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
