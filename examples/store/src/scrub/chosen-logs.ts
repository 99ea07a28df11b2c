import {
  behind,
  type Entry,
  type KeyRange,
  keySequence,
  type PassReport,
  type PassRunOptions,
  type ReplicaSnapshot,
  type ReplicaSource,
  Scrubber,
  type ScrubUnit,
  sequenceKey,
} from "@evenkeel/scrubber";
import { reachableStatuses } from "../control/reachable-statuses.js";
import type { Caller } from "../rpc/protocol.js";
import type { LogWindow } from "../storage-node/chosen-log.js";
import { StoreError } from "../storage-node/errors.js";

const TIMEOUT_MS = 30_000;
const ENTRIES_BYTES_MAX = 256 * 1024;
/** Compared at a time: entries are a few hundred bytes mostly, and 256 KiB at most. */
const STEP_SLOTS = 128;
const STEP_BYTES = 256 * 1024;
const ATTEMPTS_MAX = 3;

export interface ChosenLogsOptions {
  readonly name: string;
  readonly partition: number;
  readonly members: () => readonly string[];
  readonly callerTo: (nodeId: string) => Caller;
}

/**
 * The logs of one partition's replicas, compared with one another: what was chosen in a slot must be the same on every node. A node's own pass over its log sees what has rotted; that a
 * record with all its checksums right says something else than the others' (a bug, a record that came back, a write that went astray) only they can tell.
 */
export function chosenLogsUnit({ name, partition, members, callerTo }: ChosenLogsOptions): ScrubUnit {
  let scrubber: Scrubber | undefined;
  let of: readonly string[] = [];
  let window: LogWindow = { first: 1, through: 0 };
  const scrubberOver = (nodes: readonly string[]): Scrubber => {
    if (scrubber !== undefined && nodes.join() === of.join()) return scrubber;
    of = nodes;
    scrubber = new Scrubber({
      replicas: nodes.map((node) =>
        logSource(
          node,
          () => callerTo(node),
          partition,
          () => window,
        ),
      ),
      position: () => window.through,
      stepBytes: STEP_BYTES,
    });
    return scrubber;
  };
  return {
    name,
    async pass(options: PassRunOptions): Promise<PassReport> {
      const nodes = members();
      for (let attempt = 1; ; attempt++) {
        window = await windowOf(nodes, partition, callerTo);
        const report = await scrubberOver(nodes).pass({ ...options, at: window.through });
        // A log is let go of at its front all the time, also while it is read.
        if (report.absent.length > 0 && report.divergences.length === 0 && attempt < ATTEMPTS_MAX) continue;
        // What cannot be read the node's own pass tells, with file and offset.
        return { ...report, unreadable: [] };
      }
    },
  };
}

/**
 * The slots that all of them have. Who is so far behind that nothing would be left is not waited for; what is let go of in the meantime was compared with the
 * archive before.
 */
async function windowOf(
  nodes: readonly string[],
  partition: number,
  callerTo: (nodeId: string) => Caller,
): Promise<LogWindow> {
  const statuses = await reachableStatuses({ members: nodes, callerTo, only: [partition] });
  const held = [...statuses.values()].flatMap(({ partitions }) =>
    partitions.filter((one) => one.partition === partition),
  );
  if (held.length < 2)
    throw new StoreError(
      "ERR_STORE_UNREACHABLE",
      `${held.length} of ${nodes.length} nodes tell of partition ${partition}`,
    );
  const first = Math.max(...held.map(({ trimmedThrough }) => trimmedThrough)) + 1;
  const reached = held.map(({ appliedThrough }) => appliedThrough).filter((slot) => slot >= first);
  return { first, through: reached.length < 2 ? first - 1 : Math.min(...reached) };
}

function logSource(nodeId: string, caller: () => Caller, partition: number, windowNow: () => LogWindow): ReplicaSource {
  return {
    name: nodeId,
    kind: "log",
    async snapshot(at): Promise<ReplicaSnapshot> {
      const { first } = windowNow();
      const window = { partition, first, through: at };
      const ask = async <T>(call: () => Promise<T>): Promise<T> => {
        try {
          return await call();
        } catch (error) {
          if (error instanceof StoreError && error.code !== "ERR_STORE_CORRUPT")
            throw behind(nodeId, at, error.message);
          throw error;
        }
      };
      const digests: ReplicaSnapshot["digests"] = async (ranges) =>
        (await ask(() => caller().call("logDigests", { ...window, ranges, gently: true }, { timeoutMs: TIMEOUT_MS })))
          .digests;
      await digests([]);
      return {
        digests,
        /** Slots lie one behind the other: where to cut need not be asked for. */
        async splits({ from, to }, { splitsMax }) {
          const begin = Math.max(first, keySequence(from));
          const end = to === undefined ? at + 1 : Math.min(at + 1, keySequence(to));
          const slots = splitsMax === 1 ? STEP_SLOTS : Math.max(1, Math.ceil((end - begin) / (splitsMax + 1)));
          const splits: Uint8Array[] = [];
          for (let slot = begin + slots; slot < end && splits.length < splitsMax; slot += slots)
            splits.push(sequenceKey(slot));
          return splits;
        },
        async *entries({ from, to }: KeyRange): AsyncIterable<Entry> {
          for (let next = from; ; ) {
            const params = { ...window, range: { from: next, to }, bytesMax: ENTRIES_BYTES_MAX };
            const { entries, more } = await ask(() => caller().call("logEntries", params, { timeoutMs: TIMEOUT_MS }));
            yield* entries;
            const last = entries.at(-1);
            if (!more || last === undefined) return;
            next = sequenceKey(keySequence(last.key) + 1);
          }
        },
        close: async () => {},
      };
    },
  };
}
