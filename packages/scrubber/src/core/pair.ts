import { compareBytes, equalBytes, only } from "./bytes.js";
import { History } from "./history.js";
import { Panel } from "./panel.js";
import { comparePass } from "./pass.js";
import type { KeyRange, Position, ReplicaSource } from "./source.js";

/** One of two stores, each with an order of writes of its own. */
export interface PairSide {
  readonly source: ReplicaSource;
  /** Where this store is now: a position of its own at which it can be looked at. */
  readonly position: () => Promise<Position> | Position;
  /** The watermark: up to which position of the *other* store this one has applied its writes. Leave it out on a side that takes none. */
  readonly appliedOfOther?: () => Promise<Position> | Position;
}

/** One key that stays different after everything that could have been under way has arrived. */
export interface PairDivergence {
  readonly key: Uint8Array;
  readonly kind: "missing-left" | "missing-right" | "different";
  readonly left: Uint8Array | undefined;
  readonly right: Uint8Array | undefined;
  /** Where both were looked at last. */
  readonly at: { readonly left: Position; readonly right: Position };
}

export interface PairReport {
  /** Everything was compared. */
  readonly complete: boolean;
  readonly keys: number;
  readonly divergences: readonly PairDivergence[];
  /** Keys that differed and then did not: they were under way. */
  readonly lagged: number;
  /** Keys about which nothing can be said yet: they were written all the time, or a watermark stood still. */
  readonly unsettled: readonly Uint8Array[];
  readonly unreadable: readonly { readonly side: string; readonly range: KeyRange; readonly cause: unknown }[];
  readonly unexamined: readonly KeyRange[];
}

export interface PairPassOptions {
  readonly left: PairSide;
  readonly right: PairSide;
  readonly stepBytes: number;
  readonly fanout: number;
  readonly leafKeysMax: number;
  readonly findingsMax: number;
  readonly take: (bytes: number) => Promise<void> | void;
  /** How often a key that differs is looked at again, each time after the watermarks have passed the look before. */
  readonly looksMax: number;
  /** Looks in a row in which neither side changed and both differed: then it is damage. */
  readonly confirmations: number;
  /** Waits before the watermarks are asked again. */
  readonly wait: () => Promise<void>;
  readonly waitsMax: number;
  readonly signal: AbortSignal | undefined;
}

interface Look {
  readonly left: Uint8Array | undefined;
  readonly right: Uint8Array | undefined;
}

interface Suspect {
  readonly key: Uint8Array;
  look: Look;
  /** Looks in which it was the same as before. */
  confirmed: number;
}

/**
 * Compares two stores that replicate to one another with a delay. What differs at first is mostly under way, so it is only suspected: it is looked at
 * again once each side has applied all that the other had written when it was looked at. Damage is what then still differs although neither side was
 * written to in between; lag never is.
 */
export async function comparePair(options: PairPassOptions): Promise<PairReport> {
  const { left, right, signal, looksMax, confirmations } = options;
  let at = await positions(options);
  const { report } = await comparePass({
    ...options,
    replicas: [fixed("left", left.source, at.left), fixed("right", right.source, at.right)],
    reference: undefined,
    at: at.left,
    kept: false,
    from: undefined,
    isEnough: undefined,
    history: new History(),
    onStep: undefined,
  });
  const keys = new Map<string, Uint8Array>();
  for (const { key } of report.divergences) keys.set(String(key), key);
  let suspects: Suspect[] = [];
  for (const key of keys.values()) {
    const look = await lookAt(key, options, at);
    if (look !== undefined && !sameValue(look.left, look.right)) suspects.push({ key, look, confirmed: 0 });
    else if (look === undefined) suspects.push({ key, look: { left: undefined, right: undefined }, confirmed: -1 });
  }
  const suspected = keys.size;
  const divergences: PairDivergence[] = [];
  for (let looks = 0; looks < looksMax && suspects.length > 0; looks++) {
    if (!(await passed(options, at))) break;
    at = await positions(options);
    const left: Suspect[] = [];
    for (const suspect of suspects) {
      signal?.throwIfAborted();
      const look = await lookAt(suspect.key, options, at);
      if (look === undefined) left.push({ ...suspect, confirmed: -1 });
      else if (!sameValue(look.left, look.right)) {
        const unchanged = sameValue(look.left, suspect.look.left) && sameValue(look.right, suspect.look.right);
        const confirmed = unchanged && suspect.confirmed >= 0 ? suspect.confirmed + 1 : 0;
        if (confirmed >= confirmations) divergences.push(divergence(suspect.key, look, at));
        else left.push({ key: suspect.key, look, confirmed });
      }
    }
    suspects = left;
  }
  divergences.sort((a, b) => compareBytes(a.key, b.key));
  return {
    complete: report.complete,
    keys: report.keys,
    divergences,
    lagged: suspected - divergences.length - suspects.length,
    unsettled: suspects.map(({ key }) => key),
    unreadable: report.unreadable.map(({ replica, range, cause }) => ({ side: replica, range, cause })),
    unexamined: report.unexamined,
  };
}

type At = PairDivergence["at"];

async function positions({ left, right }: PairPassOptions): Promise<At> {
  return { left: await left.position(), right: await right.position() };
}

/** Both sides have applied what the other had written at these positions. False when the watermarks do not get there. */
async function passed({ left, right, wait, waitsMax, signal }: PairPassOptions, at: At): Promise<boolean> {
  for (let waits = 0; ; waits++) {
    const here = (await left.appliedOfOther?.()) ?? at.right;
    const there = (await right.appliedOfOther?.()) ?? at.left;
    if (here >= at.right && there >= at.left) return true;
    if (waits >= waitsMax) return false;
    signal?.throwIfAborted();
    await wait();
  }
}

/** Undefined when one side cannot answer. */
async function lookAt(key: Uint8Array, { left, right }: PairPassOptions, at: At): Promise<Look | undefined> {
  const panel = await Panel.open([fixed("left", left.source, at.left), fixed("right", right.source, at.right)], 0);
  try {
    const read = await panel.entries(only(key));
    const [l, r] = ["left", "right"].map((name) => read.find((one) => one.name === name)?.entries);
    if (l === undefined || r === undefined) return undefined;
    return { left: l[0]?.value, right: r[0]?.value };
  } finally {
    await panel.close();
  }
}

/** The store at its own position, whatever position the pass speaks of. */
function fixed(name: string, source: ReplicaSource, at: Position): ReplicaSource {
  return { name, snapshot: () => source.snapshot(at) };
}

function divergence(key: Uint8Array, look: Look, at: At): PairDivergence {
  const kind = look.left === undefined ? "missing-left" : look.right === undefined ? "missing-right" : "different";
  return { key, kind, ...look, at };
}

function sameValue(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
