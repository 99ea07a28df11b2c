import type { Group } from "@evenkeel/paxos";
import { type Entry, type KeyRange, type ReplicaSnapshot, sha256, streamingSnapshot } from "@evenkeel/scrubber";
import type { Wal } from "@evenkeel/wal";
import type { Handlers } from "../rpc/protocol.js";
import { assertHeld, chosenEntries, EVERYTHING, type LogWindow, sameDigest } from "./chosen-log.js";
import type { StoreError } from "./errors.js";
import { GentlePace, inTurns, type Pace } from "./gentle-pace.js";
import { digestsInSlices, type EntriesOf, splitsInSlices } from "./in-slices.js";
import { scrubLog } from "./log-scrub.js";
import type { PartitionHost } from "./partition-host.js";
import { notLeader } from "./paxos-errors.js";
import type { Replica } from "./replica.js";

const MARK_TIMEOUT_MS = 5_000;

const paceOf = (gently: boolean | undefined): Pace => (gently === true ? new GentlePace() : inTurns());

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
  | "archiveAgain"
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
 * Work that reads the leader's own log. A leader that cannot read it, or is none of those of whom it is known that their logs have what is needed, is of no use to whoever asks: it hands
 * its place over to another one, and the answer says who leads.
 */
async function withReadableLog<T>(
  group: Group<number>,
  work: () => Promise<T>,
  nodes: readonly string[] = group.members().storage,
): Promise<T> {
  const { leading, leader } = group.leadership();
  if (!leading || leader === undefined) throw notLeader(leader);
  if (!nodes.includes(leader)) throw await handedOver(group, nodes);
  try {
    return await work();
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (!group.leadership().leading || (code !== "ERR_PAXOS_STORAGE" && code !== "ERR_PAXOS_CORRUPT")) throw error;
    throw await handedOver(group, nodes);
  }
}

/** To whichever of them is there; where nobody takes it, it is given up, and they find a leader by themselves. */
async function handedOver(group: Group<number>, nodes: readonly string[]): Promise<StoreError> {
  const { leader } = group.leadership();
  for (const other of nodes) {
    if (other === leader || !group.leadership().leading) continue;
    await group.handOver(other).catch(() => undefined);
  }
  group.resign();
  return notLeader(group.leadership().leader);
}

/** What the scrubber asks of a replica: digests of key ranges at exactly one slot, and the values where digests differ. */
export function scrubMethods(
  partitionOf: (partition: number) => PartitionHost,
  wal: Pick<Wal, "streams" | "stream">,
): ScrubMethods {
  /** Rejects with ERR_STORE_BEHIND where the mark was let go of. */
  const markedEntries = (partition: number, slot: number): EntriesOf => {
    const { replica } = partitionOf(partition);
    return async (range) => rawEntries(replica, range, await replica.marked(slot, MARK_TIMEOUT_MS));
  };

  async function snapshot(partition: number, slot: number): Promise<ReplicaSnapshot> {
    const { replica } = partitionOf(partition);
    const marked = await replica.marked(slot, MARK_TIMEOUT_MS);
    return streamingSnapshot({ entries: (range) => rawEntries(replica, range, marked), createHash: sha256 });
  }

  function chosenLog(partition: number, window: LogWindow, pace?: Pace): ReplicaSnapshot {
    const { group } = partitionOf(partition);
    assertHeld(group, window);
    return streamingSnapshot({ entries: (range) => chosenEntries(group, window, range, pace), createHash: sha256 });
  }

  return {
    mark: async ({ partition, afterMs }) => ({ slot: await partitionOf(partition).writer.mark(afterMs) }),

    async digests({ partition, slot, ranges, gently }) {
      // Asked for nothing, it waits until the mark is there.
      await partitionOf(partition).replica.marked(slot, MARK_TIMEOUT_MS);
      return { digests: await digestsInSlices(markedEntries(partition, slot), ranges, paceOf(gently)) };
    },

    async splits({ partition, slot, range, options, gently }) {
      return { keys: await splitsInSlices(markedEntries(partition, slot), range, options, paceOf(gently)) };
    },

    async entries({ partition, slot, range, bytesMax }) {
      return await pageOf((await snapshot(partition, slot)).entries(range), bytesMax);
    },

    releaseMark({ partition, slot }) {
      partitionOf(partition).replica.releaseMark(slot);
      return null;
    },

    scrubLog: ({ after, bytesMax }) => scrubLog(wal, after, bytesMax),

    async logDigests({ partition, first, through, ranges, gently }) {
      return { digests: await chosenLog(partition, { first, through }, paceOf(gently)).digests(ranges) };
    },

    async logEntries({ partition, first, through, range, bytesMax }) {
      const { entries } = chosenLog(partition, { first, through });
      return await pageOf(entries(range), bytesMax);
    },

    async mendArchive({ partition, first, next, nodes }) {
      const { group, archiving } = partitionOf(partition);
      return await withReadableLog(group, () => archiving.mend(first, next), nodes);
    },

    async archiveAgain({ partition, first, through, digest, nodes }) {
      const { group, archiving } = partitionOf(partition);
      const again = async () => {
        const [own] = await chosenLog(partition, { first, through }).digests([EVERYTHING]);
        // Two others agree on something else: what it would archive is what is to be put right.
        if (own === undefined || !sameDigest(own, digest)) throw await handedOver(group, nodes);
        return await archiving.again(first, through);
      };
      return await withReadableLog(group, again, nodes);
    },

    async repair({ partition, key, asOfSlot, expected }) {
      const { group, writer } = partitionOf(partition);
      return { rewritten: await withReadableLog(group, () => writer.repair(key, asOfSlot, expected)) };
    },
  };
}
