import { compareBytes, equalBytes, only } from "./bytes.js";
import type { Divergence } from "./finding.js";
import { type Held, type Judgement, judge } from "./judge.js";
import { Panel } from "./panel.js";
import type { Position, ReplicaSource } from "./source.js";

/** One replica's key to be set right. */
export interface RepairOrder {
  readonly replica: string;
  readonly key: Uint8Array;
  /** What the key must hold; undefined: the key must not be there. */
  readonly value: Uint8Array | undefined;
  /** The position at which this was right. A write that came after it must win over the repair. */
  readonly at: Position;
  readonly agreed: readonly string[];
}

/**
 * Puts one key of one replica right, ordered with the writes to it (through the group's own log, say), and resolves when that is
 * durable. It may be called again for the same key after a repair that was interrupted.
 */
export type Repairer = (order: RepairOrder) => Promise<void>;

export interface RepairResult {
  readonly key: Uint8Array;
  readonly replica: string;
  /**
   * `repaired`: set right, and seen to be right afterwards. `healed`: it was right already when looked at again. `refused`: no two sources
   * agree, or the odd one is the reference. `failed`: the repairer failed, or the key is still wrong. `absent`: the replica or too many
   * others could not answer.
   */
  readonly outcome: "repaired" | "healed" | "refused" | "failed" | "absent";
  readonly cause?: unknown;
}

export interface RepairOptions {
  readonly replicas: readonly ReplicaSource[];
  readonly reference: ReplicaSource | undefined;
  /** A position that all sources can answer at, no older than the last write. Asked before and after each key. */
  readonly position: () => Promise<Position> | Position;
  readonly repairer: Repairer;
  readonly signal: AbortSignal | undefined;
}

/** Looks at every key anew, repairs what is still wrong and certain, and looks again. */
export async function repairAll(divergences: readonly Divergence[], options: RepairOptions): Promise<RepairResult[]> {
  const keys: Uint8Array[] = [];
  for (const { key } of [...divergences].sort((a, b) => compareBytes(a.key, b.key))) {
    const last = keys.at(-1);
    if (last === undefined || !equalBytes(last, key)) keys.push(key);
  }
  const results: RepairResult[] = [];
  for (const key of keys) {
    options.signal?.throwIfAborted();
    const named = divergences.filter((divergence) => equalBytes(divergence.key, key));
    results.push(...(await repairKey(key, [...new Set(named.map((divergence) => divergence.replica))], options)));
  }
  return results;
}

async function repairKey(key: Uint8Array, named: readonly string[], options: RepairOptions): Promise<RepairResult[]> {
  const { view, at } = await look(key, options);
  const results: RepairResult[] = [];
  const mended: string[] = [];
  const judgement = judge(view.held, options.reference?.name);
  for (const replica of named) {
    const unable = view.unable.get(replica);
    if (unable !== undefined || view.held.length < 2) {
      results.push({ key, replica, outcome: "absent", cause: unable });
    } else if (judgement === undefined || judgement.agreed.includes(replica)) {
      results.push({ key, replica, outcome: "healed" });
    } else if (judgement.against === "none" || replica === options.reference?.name) {
      results.push({ key, replica, outcome: "refused" });
    } else {
      const failure = await order(judgement, replica, key, at, options.repairer);
      if (failure === undefined) mended.push(replica);
      else results.push({ key, replica, outcome: "failed", cause: failure.cause });
    }
  }
  if (mended.length > 0) results.push(...(await verify(key, mended, options)));
  return results;
}

async function order(
  { agreed, expected }: Judgement,
  replica: string,
  key: Uint8Array,
  at: Position,
  repairer: Repairer,
): Promise<{ readonly cause: unknown } | undefined> {
  try {
    await repairer({ replica, key, value: expected, at, agreed });
    return undefined;
  } catch (cause) {
    return { cause };
  }
}

async function verify(key: Uint8Array, mended: readonly string[], options: RepairOptions): Promise<RepairResult[]> {
  const { view } = await look(key, options);
  const judgement = judge(view.held, options.reference?.name);
  return mended.map((replica) => {
    const unable = view.unable.get(replica);
    if (unable !== undefined || view.held.length < 2) return { key, replica, outcome: "absent", cause: unable };
    const right = judgement === undefined || judgement.agreed.includes(replica);
    return { key, replica, outcome: right ? "repaired" : "failed" };
  });
}

interface View {
  readonly held: Held[];
  readonly unable: Map<string, unknown>;
}

/** What every source holds under the key at one fresh position. */
async function look(
  key: Uint8Array,
  { replicas, reference, position }: RepairOptions,
): Promise<{ view: View; at: Position }> {
  const at = await position();
  const panel = await Panel.open(reference === undefined ? replicas : [...replicas, reference], at);
  try {
    const view: View = { held: [], unable: new Map() };
    for (const { name, entries, cause } of await panel.entries(only(key))) {
      if (entries === undefined) view.unable.set(name, cause);
      else view.held.push({ source: name, value: entries[0]?.value });
    }
    for (const { replica, cause } of panel.absent) view.unable.set(replica, cause);
    return { view, at };
  } finally {
    await panel.close();
  }
}
