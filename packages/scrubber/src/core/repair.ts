import { compareBytes, equalBytes, only } from "./bytes.js";
import type { Divergence } from "./finding.js";
import { type Held, judge } from "./judge.js";
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

/** What is written down about a repair: before it is ordered (`intended`), and when it is known what came of it (`done`). */
export interface AuditRecord extends RepairOrder {
  readonly phase: "intended" | "done";
  readonly against: "reference" | "majority";
  /** What the replica held, undefined for nothing: with it a repair can be undone. */
  readonly before: Uint8Array | undefined;
  /** Of phase `done` alone. */
  readonly outcome?: RepairResult["outcome"];
  readonly cause?: unknown;
}

/** Resolves when the record is durable. Nothing is repaired of which no record could be made. */
export type Audit = (record: AuditRecord) => Promise<void> | void;

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
  readonly audit: Audit | undefined;
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
  const ordered: AuditRecord[] = [];
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
      const { agreed, against, expected } = judgement;
      const before = view.held.find(({ source }) => source === replica)?.value;
      const record: AuditRecord = { phase: "intended", replica, key, value: expected, before, at, agreed, against };
      const failure = await order(record, options);
      if (failure === undefined) ordered.push(record);
      else results.push(failure);
    }
  }
  if (ordered.length > 0) results.push(...(await verify(key, ordered, options)));
  return results;
}

async function order(record: AuditRecord, options: RepairOptions): Promise<RepairResult | undefined> {
  const { replica, key, value, at, agreed } = record;
  try {
    await options.audit?.(record);
  } catch (cause) {
    return { key, replica, outcome: "failed", cause };
  }
  try {
    await options.repairer({ replica, key, value, at, agreed });
    return undefined;
  } catch (cause) {
    await options.audit?.({ ...record, phase: "done", outcome: "failed", cause });
    return { key, replica, outcome: "failed", cause };
  }
}

async function verify(
  key: Uint8Array,
  ordered: readonly AuditRecord[],
  options: RepairOptions,
): Promise<RepairResult[]> {
  const { view } = await look(key, options);
  const judgement = judge(view.held, options.reference?.name);
  const results: RepairResult[] = [];
  for (const record of ordered) {
    const { replica } = record;
    const unable = view.unable.get(replica);
    const absent = unable !== undefined || view.held.length < 2;
    const right = judgement === undefined || judgement.agreed.includes(replica);
    const outcome = absent ? "absent" : right ? "repaired" : "failed";
    await options.audit?.({ ...record, phase: "done", outcome, ...(unable === undefined ? {} : { cause: unable }) });
    results.push({ key, replica, outcome, ...(absent ? { cause: unable } : {}) });
  }
  return results;
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
