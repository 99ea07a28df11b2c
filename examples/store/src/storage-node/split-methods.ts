import type { Controller } from "../control/controller.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import type { Handlers } from "../rpc/protocol.js";
import type { Write } from "./command.js";
import { DESCRIPTION_KEY, encodeDescription } from "./description.js";
import { StoreError } from "./errors.js";
import { maintainedBounds, maintainedKey } from "./global-index-keys.js";
import { decodeMaintained, encodeMaintained } from "./maintained-index.js";
import type { PartitionHost } from "./partition-host.js";
import { notLeader } from "./paxos-errors.js";
import { FILL_LIMITS, nextFill } from "./split-feed.js";
import { middleOf } from "./split-point.js";
import { decodeProgress, encodeProgress, SPLIT_KEY, type SplitProgress, sameProgress } from "./split-progress.js";
import { SplitSearches } from "./split-searches.js";
import type { Writer } from "./writer.js";

type SplitMethods = Pick<
  Handlers,
  "splitPartition" | "splitPoint" | "feedPart" | "fillPart" | "sealPartition" | "openPart"
>;

const progressOf = (writer: Writer): SplitProgress | undefined => decodeProgress(writer.newest(SPLIT_KEY)?.bytes);

function putProgress(progress: SplitProgress): Write {
  const bytes = encodeProgress(progress);
  return { op: "put", key: SPLIT_KEY, bytes, itemSizeBytes: bytes.length };
}

/** What both parts of a sealed partition begin with, besides items. */
function inheritance({ replica }: PartitionHost): Write[] {
  const { sealed: _, ...description } = replica.description;
  const writes: Write[] = [];
  const put = (key: Uint8Array, bytes: Uint8Array, itemSizeBytes: number) =>
    writes.push({ op: "put", key: Uint8Array.from(key), bytes: Uint8Array.from(bytes), itemSizeBytes });
  const described = encodeDescription(description);
  put(DESCRIPTION_KEY, described, described.length);
  for (const { value } of replica.range(maintainedBounds)) {
    const index = decodeMaintained(value.json);
    // All that was to be told was; what was not filled in yet is gone on with.
    const backfill = index.backfill.throughSeq === undefined ? index.backfill : { throughSeq: 0 };
    put(maintainedKey(index.number), encodeMaintained({ ...index, backfill }), 0);
  }
  return writes;
}

/** What is asked of the leaders of a partition that is split and of its parts, by the controller; each may be asked for again, by whoever. */
export function splitMethods(
  partitionOf: (partition: number) => PartitionHost,
  controller: () => Controller,
  calls: Pick<LeaderCalls, "call">,
): SplitMethods {
  const searches = new SplitSearches();
  return {
    async splitPartition({ partition, at }) {
      const splitting = await controller().splitPartition(partition, at);
      return splitting === undefined ? {} : { splitting };
    },

    async splitPoint({ partition, range }) {
      const { replica, group } = partitionOf(partition);
      const { ready, leader } = group.leadership();
      if (!ready) throw notLeader(leader);
      const found = await searches.ask(
        partition,
        () => group.leadership().ready,
        (goesOn) => middleOf(replica, range, goesOn),
      );
      return found === undefined ? {} : { found };
    },

    async feedPart({ partition, part, progress, bytesMax = FILL_LIMITS.bytesMax }) {
      const host = partitionOf(partition);
      const { replica, group, changes } = host;
      const { ready, leader } = group.leadership();
      if (!ready) throw notLeader(leader);
      const fill = (step: Awaited<ReturnType<typeof nextFill>>) =>
        calls.call(part.partition, part.members, "fillPart", { partition: part.partition, ...(step && { step }) });
      const known = progress ?? (await fill(undefined)).progress ?? undefined;
      const filled = await fill(await nextFill({ replica, changes }, part, known, { ...FILL_LIMITS, bytesMax }));
      const slot = filled.progress?.slot ?? 0;
      return { ...filled, behind: Math.max(0, replica.appliedThrough - slot) };
    },

    async fillPart({ partition, step }) {
      const { writer, replica } = partitionOf(partition);
      await writer.room();
      writer.assertLeading();
      const now = progressOf(writer);
      if (step !== undefined && sameProgress(now, step.from ?? undefined)) {
        await writer.appendIndexed([...step.writes, putProgress(step.to)]);
        return { progress: step.to, timeMs: replica.lastTimeMs };
      }
      await writer.confirm([SPLIT_KEY]);
      return { progress: now ?? null, timeMs: replica.lastTimeMs };
    },

    async sealPartition({ partition }) {
      const host = partitionOf(partition);
      const { participant, writer, replica, propagator } = host;
      // A transaction that has begun here ends here.
      if (!participant.isQuiet() && !replica.description.sealed) return {};
      const slot = await writer.seal();
      propagator?.wake();
      const told = propagator?.allTold ?? true;
      return { sealed: { slot, timeMs: replica.lastTimeMs, told, inherited: inheritance(host) } };
    },

    async openPart({ partition, sinceMs, inherited }) {
      const { writer, indexes, replica } = partitionOf(partition);
      writer.assertLeading();
      const now = progressOf(writer);
      if (now?.copied !== true)
        throw new StoreError("ERR_STORE_CONFLICT", `partition ${partition} is not filled yet, and cannot be opened`);
      if (now.sinceMs !== undefined && now.sinceMs >= sinceMs) {
        await writer.confirm([SPLIT_KEY]);
        return { slot: replica.get(SPLIT_KEY)?.slot as number };
      }
      writer.noteTime(sinceMs);
      const slot = await writer.append([
        ...(now.sinceMs === undefined ? inherited : []),
        putProgress({ ...now, sinceMs }),
      ]);
      // Which indexes it keeps was not its own decision: it is read anew.
      indexes?.forget();
      return { slot };
    },
  };
}
