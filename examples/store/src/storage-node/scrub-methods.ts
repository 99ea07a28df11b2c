import type { Group } from "@evenkeel/paxos";
import {
  type Digest,
  type Entry,
  type KeyRange,
  RangeDigester,
  type ReplicaSnapshot,
  sha256,
  streamingSnapshot,
} from "@evenkeel/scrubber";
import type { Wal } from "@evenkeel/wal";
import type { Handlers } from "../rpc/protocol.js";
import { assertHeld, chosenEntries, type LogWindow } from "./chosen-log.js";
import { scrubLog } from "./log-scrub.js";
import type { PartitionHost } from "./partition-host.js";
import { notLeader } from "./paxos-errors.js";
import type { Replica } from "./replica.js";

const MARK_TIMEOUT_MS = 5_000;
/** Read and hashed in one turn: requests that come meanwhile wait for a fraction of a millisecond. */
const SLICE_BYTES = 64 * 1024;

type ScrubMethods = Pick<
  Handlers,
  | "mark"
  | "digests"
  | "splits"
  | "entries"
  | "releaseMark"
  | "repair"
  | "scrubLog"
  | "logDigests"
  | "logEntries"
  | "mendArchive"
>;

/** Raw values, header and checksum included: what is compared is what lies on the disk. */
function* rawEntries(
  replica: Replica,
  range: KeyRange,
  slot: Awaited<ReturnType<Replica["marked"]>>,
): IterableIterator<Entry> {
  for (const { key, bytes } of replica.rawRange(range, slot)) yield { key, value: bytes };
}

async function pageOf(
  source: AsyncIterable<Entry> | Iterable<Entry>,
  bytesMax: number,
): Promise<{ entries: Entry[]; more: boolean }> {
  const entries: Entry[] = [];
  let bytes = 0;
  for await (const { key, value } of source) {
    if (bytes >= bytesMax) return { entries, more: true };
    entries.push({ key: Uint8Array.from(key), value: Uint8Array.from(value) });
    bytes += key.length + value.length;
  }
  return { entries, more: false };
}

/**
 * Calls `add` with each entry of a range at a mark until it returns true, a slice a turn. Between two slices no cursor stays open, because the mark may be let go of: then this rejects
 * with ERR_STORE_BEHIND.
 */
async function inSlices(
  replica: Replica,
  slot: number,
  { from, to }: KeyRange,
  add: (entry: Entry) => boolean,
): Promise<void> {
  for (let next: Uint8Array | undefined = from; next !== undefined; ) {
    if (next !== from) await new Promise<void>((resolve) => setImmediate(resolve));
    const range: KeyRange = { from: next, to };
    next = undefined;
    let bytes = 0;
    for (const entry of rawEntries(replica, range, await replica.marked(slot, MARK_TIMEOUT_MS))) {
      if (add(entry)) return;
      bytes += entry.key.length + entry.value.length;
      if (bytes < SLICE_BYTES) continue;
      next = Buffer.concat([entry.key, Buffer.alloc(1)]);
      break;
    }
  }
}

/**
 * Work that reads the leader's own log. A leader that cannot read it is of no use to whoever asks: it hands its place over to another one, and the answer says who leads.
 */
async function withReadableLog<T>(group: Group<number>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code } = error as { code?: unknown };
    const { leading, leader } = group.leadership();
    if (!leading || (code !== "ERR_PAXOS_STORAGE" && code !== "ERR_PAXOS_CORRUPT")) throw error;
    for (const other of group.members().storage) {
      if (other === leader || !group.leadership().leading) continue;
      // To whoever is there; where nobody takes it, it is given up, and they find a leader by themselves.
      await group.handOver(other).catch(() => undefined);
    }
    group.resign();
    throw notLeader(group.leadership().leader);
  }
}

/** What the scrubber asks of a replica: digests of key ranges at exactly one slot, and the values where digests differ. */
export function scrubMethods(
  partitionOf: (partition: number) => PartitionHost,
  wal: Pick<Wal, "streams" | "stream">,
): ScrubMethods {
  async function snapshot(partition: number, slot: number): Promise<ReplicaSnapshot> {
    const { replica } = partitionOf(partition);
    const marked = await replica.marked(slot, MARK_TIMEOUT_MS);
    return streamingSnapshot({ entries: (range) => rawEntries(replica, range, marked), createHash: sha256 });
  }

  function chosenLog(partition: number, window: LogWindow): ReplicaSnapshot {
    const { group } = partitionOf(partition);
    assertHeld(group, window);
    return streamingSnapshot({ entries: (range) => chosenEntries(group, window, range), createHash: sha256 });
  }

  return {
    mark: async ({ partition }) => ({ slot: await partitionOf(partition).writer.mark() }),

    async digests({ partition, slot, ranges }) {
      const { replica } = partitionOf(partition);
      // Asked for nothing, it waits until the mark is there.
      await replica.marked(slot, MARK_TIMEOUT_MS);
      const digests: Digest[] = [];
      const digester = new RangeDigester(sha256);
      for (const range of ranges) {
        await inSlices(replica, slot, range, ({ key, value }) => {
          digester.add(key, value);
          return false;
        });
        digests.push(digester.finish());
      }
      return { digests };
    },

    async splits({ partition, slot, range, options }) {
      const keys: Uint8Array[] = [];
      let bytes = 0;
      await inSlices(partitionOf(partition).replica, slot, range, ({ key, value }) => {
        if (bytes >= options.bytes) {
          keys.push(Uint8Array.from(key));
          bytes = 0;
        }
        bytes += key.length + value.length;
        return keys.length >= options.splitsMax;
      });
      return { keys };
    },

    async entries({ partition, slot, range, bytesMax }) {
      return await pageOf((await snapshot(partition, slot)).entries(range), bytesMax);
    },

    releaseMark({ partition, slot }) {
      partitionOf(partition).replica.releaseMark(slot);
      return null;
    },

    scrubLog: ({ after, bytesMax }) => scrubLog(wal, after, bytesMax),

    async logDigests({ partition, first, through, ranges }) {
      return { digests: await chosenLog(partition, { first, through }).digests(ranges) };
    },

    async logEntries({ partition, first, through, range, bytesMax }) {
      const { entries } = chosenLog(partition, { first, through });
      return await pageOf(entries(range), bytesMax);
    },

    async mendArchive({ partition, first, next }) {
      const { group, archiving } = partitionOf(partition);
      return await withReadableLog(group, () => archiving.mend(first, next));
    },

    async repair({ partition, key, asOfSlot, expected }) {
      const { group, writer } = partitionOf(partition);
      return { rewritten: await withReadableLog(group, () => writer.repair(key, asOfSlot, expected)) };
    },
  };
}
