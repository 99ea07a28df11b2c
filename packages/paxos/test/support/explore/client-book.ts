import { decodeRequest, type Entry } from "../../../src/core/index.js";
import { Executor } from "../../../src/host/executor.js";
import type { Betrayal } from "./betrayal.js";

/** One who counts what it is given. Where it begins in the middle, it has its table from a snapshot. */
class Counter {
  readonly appliedThrough: number;
  readonly clientTable: Uint8Array | undefined;
  count: number;

  constructor(appliedThrough = 0, count = 0, clientTable?: Uint8Array) {
    this.appliedThrough = appliedThrough;
    this.count = count;
    this.clientTable = clientTable;
  }

  apply(): number {
    return ++this.count;
  }
}

const clientsMax = 2;

/**
 * What becomes of clients' requests, by the shipped executor and table, which see nothing but the chosen log: so it is worked out from that alone. Carried out once, whoever put it into the log
 * how often and in whose reign; every attempt hears what the first one did; and a replica that takes over the state with its table at any slot, in the middle of all that, goes on in the same way.
 */
export function clientsWrong(entries: readonly Entry[], betrayal: Betrayal): string | undefined {
  const outcomes: string[] = [];
  const counter = new Counter();
  const executor = new Executor("g", counter, clientsMax);
  /** Of each slot: what a snapshot behind it would hold. */
  const snapshots = [{ count: 0, table: executor.clientTable() }];
  for (const entry of entries) {
    outcomes.push(outcome(executor, betrayed(entry, betrayal)));
    snapshots.push({ count: counter.count, table: executor.clientTable() });
  }
  if (counter.count > 1) return `a request is carried out ${counter.count} times`;
  const answers = new Set(outcomes.filter((_, i) => isCommand(entries[i] as Entry)));
  if (answers.size > 1) return `attempts of one request hear ${[...answers].join(" and ")}`;
  for (const [slot, { count, table }] of snapshots.entries()) {
    const kept = betrayal.forgetsClients === true ? undefined : table;
    const later = new Executor("g", new Counter(slot, count, kept), clientsMax);
    for (let i = slot; i < entries.length; i++) {
      const now = outcome(later, betrayed(entries[i] as Entry, betrayal));
      if (now !== outcomes[i])
        return `slot ${i + 1} is ${now} behind a snapshot at ${slot}, and ${outcomes[i]} without`;
    }
  }
  return undefined;
}

/** Entries that carry the one request out, or try to. */
export function isCommand({ kind, command }: Entry): boolean {
  return kind === "once" && decodeRequest(command).op === "command";
}

function outcome(executor: Executor<number>, entry: Entry): string {
  const { result, refusal } = executor.execute(entry);
  return String(refusal?.code ?? result);
}

function betrayed(entry: Entry, { carriesOutAgain }: Betrayal): Entry {
  return carriesOutAgain === true && isCommand(entry) ? { ...entry, kind: "command" } : entry;
}
