import { quantile } from "./answers.js";

/**
 * `with`: what is looked at goes on. `without` and `again`: it does not, in two kinds of windows that differ by lot alone, so that one of them over the other says what chance comes to, with as much to go by
 * as there is of `with`.
 */
export type Kind = "with" | "without" | "again";

/** What was measured in a moment of one kind. */
export interface Window {
  readonly kind: Kind;
  readonly times: readonly number[];
}

export interface Ratio {
  readonly value: number;
  /** 95 of 100 such experiments would have their value in here. */
  readonly low: number;
  readonly high: number;
}

const KINDS: readonly Kind[] = ["with", "without", "again"];
const RESAMPLES = 1_000;

/** The kinds of so many windows: one of each in a block of three, in an order by lot. What gets slowly faster, or slower, or comes and goes in some rhythm, falls on all alike. */
export function kindsOf(blocks: number): Kind[] {
  return Array.from({ length: blocks }, () => {
    const left = [...KINDS];
    return KINDS.map(() => left.splice(Math.floor(Math.random() * left.length), 1)[0] as Kind);
  }).flat();
}

/**
 * A quantile of all times of the windows of some kinds, pooled, over that of others. The interval comes from drawing whole blocks of neighbouring windows anew (with replacement): times within a window hang
 * together, since what else a machine does lasts longer than a request, and single times drawn would make it look far surer than it is.
 */
export function ratioOf(
  windows: readonly Window[],
  share: number,
  over: readonly Kind[],
  under: readonly Kind[],
): Ratio {
  const blocks = Math.floor(windows.length / KINDS.length);
  if (blocks < 2)
    throw new RangeError(`windows must be ${2 * KINDS.length} or more, for two blocks; got ${windows.length}`);
  const used = windows.slice(0, blocks * KINDS.length);
  const [above, below] = [descending(used, over), descending(used, under)];
  const ratio = (weights: ArrayLike<number>) => quantileOf(above, weights, share) / quantileOf(below, weights, share);
  const drawn = Array.from({ length: RESAMPLES }, () => {
    const weights = new Uint16Array(blocks);
    for (let i = 0; i < blocks; i++) {
      const block = Math.floor(Math.random() * blocks);
      weights[block] = (weights[block] as number) + 1;
    }
    return ratio(weights);
  });
  return { value: ratio(new Uint16Array(blocks).fill(1)), low: quantile(drawn, 0.025), high: quantile(drawn, 0.975) };
}

interface Pooled {
  /** The longest first, each with the block of windows that it is from. */
  readonly times: readonly { readonly tookMs: number; readonly block: number }[];
  readonly countOf: readonly number[];
}

function descending(windows: readonly Window[], kinds: readonly Kind[]): Pooled {
  const countOf: number[] = [];
  const times = windows.flatMap((window, i) => {
    const block = Math.floor(i / KINDS.length);
    const its = kinds.includes(window.kind) ? window.times : [];
    countOf[block] = (countOf[block] ?? 0) + its.length;
    return its.map((tookMs) => ({ tookMs, block }));
  });
  return { times: times.sort((a, b) => b.tookMs - a.tookMs), countOf };
}

/** Where each block counts so many times: from above, because of the highest quantiles that is a short way. */
function quantileOf({ times, countOf }: Pooled, weights: ArrayLike<number>, share: number): number {
  let left = countOf.reduce((sum, count, block) => sum + count * (weights[block] as number), 0) * (1 - share);
  for (const { tookMs, block } of times) {
    left -= weights[block] as number;
    if (left < 0) return tookMs;
  }
  return 0;
}

export function pooled(windows: readonly Window[], kinds: readonly Kind[], share: number): number {
  return quantile(
    windows.filter(({ kind }) => kinds.includes(kind)).flatMap(({ times }) => times),
    share,
  );
}
