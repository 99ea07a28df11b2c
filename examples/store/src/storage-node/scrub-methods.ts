import { type Entry, type KeyRange, type ReplicaSnapshot, sha256, streamingSnapshot } from "@evenkeel/scrubber";
import type { Wal } from "@evenkeel/wal";
import type { Handlers } from "../rpc/protocol.js";
import { scrubLog } from "./log-scrub.js";
import type { PartitionHost } from "./partition-host.js";
import type { Replica } from "./replica.js";

const MARK_TIMEOUT_MS = 5_000;

type ScrubMethods = Pick<
  Handlers,
  "mark" | "digests" | "splits" | "entries" | "releaseMark" | "repair" | "scrubLog" | "mendArchive"
>;

/** Raw values, header and checksum included: what is compared is what lies on the disk. */
function* rawEntries(
  replica: Replica,
  range: KeyRange,
  slot: Awaited<ReturnType<Replica["marked"]>>,
): IterableIterator<Entry> {
  for (const { key, bytes } of replica.rawRange(range, slot)) yield { key, value: bytes };
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

  return {
    mark: async ({ partition }) => ({ slot: await partitionOf(partition).writer.mark() }),

    async digests({ partition, slot, ranges }) {
      return { digests: await (await snapshot(partition, slot)).digests(ranges) };
    },

    async splits({ partition, slot, range, options }) {
      return { keys: await (await snapshot(partition, slot)).splits(range, options) };
    },

    async entries({ partition, slot, range, bytesMax }) {
      const entries: Entry[] = [];
      let bytes = 0;
      for await (const { key, value } of (await snapshot(partition, slot)).entries(range)) {
        if (bytes >= bytesMax) return { entries, more: true };
        entries.push({ key: Uint8Array.from(key), value: Uint8Array.from(value) });
        bytes += key.length + value.length;
      }
      return { entries, more: false };
    },

    releaseMark({ partition, slot }) {
      partitionOf(partition).replica.releaseMark(slot);
      return null;
    },

    scrubLog: ({ after, bytesMax }) => scrubLog(wal, after, bytesMax),

    async mendArchive({ partition, first, next }) {
      return await partitionOf(partition).archiving.mend(first, next);
    },

    async repair({ partition, key, asOfSlot, expected }) {
      return { rewritten: await partitionOf(partition).writer.repair(key, asOfSlot, expected) };
    },
  };
}
