import { BALLOT_ZERO, sameBallot } from "../core/ballot.js";
import type { Configuration } from "../core/configuration.js";
import type { PaxosCore } from "../core/core.js";
import { pressMark } from "../core/mark-press.js";
import type { Press } from "../core/press.js";
import type { StorageMemory } from "../storage/storage.js";
import type { KeptLog } from "./trimmer.js";

/** What a replica that sleeps knows beside its core. */
export interface ReplicaMemory {
  /** With which the group was founded. */
  readonly founders: Configuration;
  readonly appliedThrough: number;
  /** Of its storage; undefined where that stays as it is. */
  readonly storage: StorageMemory | undefined;
  /** The marks under which the nodes' logs were born. */
  readonly births: ReadonlyMap<string, string>;
  readonly kept: KeptLog;
  /** Of a log replica: through here it may let go. */
  readonly releasable: number;
  /** Everything acknowledged before this moment is applied here; long ago for who was never read. */
  readonly freshMs: number;
}

const none: Configuration = { slot: 0, storage: [], log: [], departed: [] };

/** Stands behind what the core has pressed, and leaves out what that says already. */
export function pressMemory(p: Press, core: PaxosCore, memory: Partial<ReplicaMemory>): ReplicaMemory {
  const { configuration, chosenThrough } = core;
  const applied = memory.appliedThrough ?? 0;
  const founders = memory.founders ?? none;
  const unchanged = configuration.slot === 0 && sameNames(founders.storage, configuration.storage);
  return {
    founders: p.flag(unchanged) ? configuration : p.configuration(founders),
    appliedThrough: p.flag(applied === chosenThrough) ? chosenThrough : p.whole(applied),
    storage: p.flag(memory.storage !== undefined) ? pressStorage(p, core, memory.storage) : undefined,
    births: pressBirths(p, memory.births ?? new Map()),
    kept: pressKept(p, memory.kept ?? { points: [], bytes: 0 }),
    releasable: p.whole(memory.releasable ?? 0),
    freshMs: p.time(memory.freshMs ?? Number.NEGATIVE_INFINITY, Number.MIN_SAFE_INTEGER),
  };
}

/** Storage and core agree about nearly all of it: nothing is under way between them. */
function pressStorage(p: Press, core: PaxosCore, memory: StorageMemory | undefined): StorageMemory {
  const { promised, accepted, logEnd, trimmedThrough, chosenThrough } = core;
  if (memory !== undefined) {
    p.expect(sameBallot(memory.promised, promised) && sameBallot(memory.accepted, accepted));
    p.expect(memory.lastSlot === logEnd && memory.trimmedThrough === trimmedThrough);
  }
  const base = memory?.base ?? { slot: trimmedThrough, ballot: BALLOT_ZERO, configuration: none };
  const { configurations = [], index = [] } = memory ?? {};
  return {
    ...{ promised, accepted, trimmedThrough, chosenThrough, lastSlot: logEnd },
    base: p.flag(memory?.base !== undefined)
      ? { slot: p.whole(base.slot), ballot: p.ballot(base.ballot), configuration: p.configuration(base.configuration) }
      : undefined,
    configurations: list(p, configurations.length, (at) => p.configuration(configurations[at] ?? none)),
    index: list(p, index.length, (at) => p.whole(index[at] ?? 0)),
  };
}

function pressBirths(p: Press, births: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const known = [...births];
  return new Map(list(p, known.length, (at) => [p.name(known[at]?.[0] ?? ""), pressMark(p, known[at]?.[1] ?? "")]));
}

function pressKept(p: Press, { points, bytes }: KeptLog): KeptLog {
  return {
    bytes: p.whole(bytes),
    points: list(p, points.length, (at) => ({
      slot: p.whole(points[at]?.slot ?? 0),
      bytes: p.whole(points[at]?.bytes ?? 0),
    })),
  };
}

function list<T>(p: Press, length: number, item: (at: number) => T): T[] {
  return Array.from({ length: p.whole(length) }, (_, at) => item(at));
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, at) => name === b[at]);
}
