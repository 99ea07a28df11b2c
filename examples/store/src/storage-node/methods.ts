import type { MemdsServer } from "@evenkeel/memds";
import type { Wal } from "@evenkeel/wal";
import type { ObjectStore } from "@evenkeel/wal/archive";
import { readUnits, writeUnits } from "../api/capacity.js";
import type { Controller } from "../control/controller.js";
import type { BackupService } from "../metadata/backup-service.js";
import type { MetadataService } from "../metadata/service.js";
import type { StreamService } from "../metadata/stream-service.js";
import { setTimeToLive } from "../metadata/time-to-live.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import type { Handlers, Result } from "../rpc/protocol.js";
import { changeMethods } from "./change-methods.js";
import { indexMethods } from "./index-methods.js";
import { partitionPage } from "./page.js";
import type { PartitionHost } from "./partition-host.js";
import { notLeader, settled } from "./paxos-errors.js";
import { scrubMethods } from "./scrub-methods.js";
import { sizeMethods } from "./size-methods.js";
import { splitMethods } from "./split-methods.js";
import { streamMethods } from "./stream-methods.js";
import { transactionMethods } from "./transaction-methods.js";

const NO_KEY = new Uint8Array(0);
const NOTHING_FOUND: Result<"get"> = { itemSizeBytes: 0 };
/** A change of members that has not come about by then is begun anew: it goes on from where it is. */
const CHANGE_TIMEOUT_MS = 30_000;

export interface NodeParts {
  readonly memds: Pick<MemdsServer, "answer">;
  readonly partitionOf: (partition: number) => PartitionHost;
  readonly metadata: () => MetadataService;
  readonly backups: () => BackupService;
  readonly streams: () => StreamService;
  readonly archive: () => ObjectStore;
  readonly controller: () => Controller;
  readonly status: Handlers["status"];
  readonly timeToLiveCooldownMs: number;
  readonly wal: Pick<Wal, "streams" | "stream">;
  /** To the leaders of other partitions. */
  readonly calls: Pick<LeaderCalls, "call">;
}

/** Reads at the leader, as of now; from its lease, which is nearly always there and takes no promise, or after asking a quorum. */
function linearizable<T>(host: PartitionHost, read: () => T): T | Promise<T> {
  if (host.group.mayReadNow()) return eventual(host, read);
  const { leading, leader } = host.group.leadership();
  if (!leading) throw notLeader(leader);
  return settled(host.group.read(() => eventual(host, read)));
}

/** As of whatever is applied here. */
function eventual<T>(host: PartitionHost, read: () => T): T {
  host.assertReadable();
  return read();
}

/** What a node answers to routers and to other nodes. */
export function nodeMethods(parts: NodeParts): Handlers {
  const { partitionOf, metadata, backups, streams, archive, controller, status, wal, calls } = parts;
  const { memds, timeToLiveCooldownMs } = parts;
  return {
    async write({ partition, key, op }) {
      const { writer, usage } = partitionOf(partition);
      const room = writer.room();
      if (room !== undefined) await room;
      const result = await writer.write(key, op);
      usage?.spent("write", key, writeUnits(result.beforeBytes, result.afterBytes));
      return result;
    },

    get({ partition, key, consistent }) {
      const host = partitionOf(partition);
      const read = (): Result<"get"> => {
        const value = host.replica.get(key);
        host.usage?.spent("read", key, readUnits(value?.itemSizeBytes ?? 0, consistent));
        return value ?? NOTHING_FOUND;
      };
      return consistent ? linearizable(host, read) : eventual(host, read);
    },

    lookUp: ({ frame }) => memds.answer(frame),

    async page({ partition, request }) {
      const host = partitionOf(partition);
      const read = () => partitionPage(host.replica, request);
      const { consistent, after, from = NO_KEY } = request;
      const page = consistent ? await linearizable(host, read) : eventual(host, read);
      host.usage?.spent("read", after ?? from, readUnits(page.scannedBytes, consistent));
      return page;
    },

    async submit({ partition, writes }) {
      const { writer } = partitionOf(partition);
      await writer.room();
      return { slot: await writer.submit(writes) };
    },

    async createTable({ definition, tableId, restore }) {
      let from = restore;
      if (from !== undefined && "source" in from) {
        const { latest, ...at } = from;
        const partitions = await metadata().read((view) => view.partitionsOfTable(at.source));
        from = latest ? { ...at, untilMs: await controller().momentAfter(partitions, at.untilMs) } : at;
        // What is behind the moment is in the archive, whatever becomes of the source from here on.
        await controller().archive(partitions);
      }
      const table = await metadata().createTable(definition, tableId, from);
      controller().wake();
      return table;
    },

    async deleteTable({ name }) {
      const table = await metadata().deleteTable(name);
      controller().wake();
      return table;
    },

    async createBackup({ tableName, name, untilMs, sizes }) {
      const partitions = await metadata().read((view) => view.partitionsOfTable(tableName));
      return await backups().create(tableName, name, await controller().momentAfter(partitions, untilMs), sizes);
    },
    deleteBackup: ({ id }) => backups().delete(id),
    describeBackup: ({ id }) => backups().describe(id),
    listBackups: (request) => backups().list(request),
    async updateTable({ name, change }) {
      const table = await metadata().updateTable(name, change);
      if (change.indexUpdates !== undefined || change.streamViewType !== undefined) controller().wake();
      return table;
    },

    setTimeToLive: ({ name, wanted }) =>
      setTimeToLive(metadata(), name, wanted, { nowMs: Date.now(), cooldownMs: timeToLiveCooldownMs }),
    describeTable: ({ name }) => metadata().describeTable(name),
    listTables: ({ after, limitMax }) => metadata().listTables(after, limitMax),
    status,

    ...scrubMethods(partitionOf, wal),
    ...changeMethods(partitionOf, archive),
    ...streamMethods(streams),
    ...transactionMethods(partitionOf),
    ...indexMethods(partitionOf),
    ...splitMethods(partitionOf, controller, calls),
    ...sizeMethods(partitionOf),

    async archive({ partition, throughSlot }) {
      return { archivedThrough: await partitionOf(partition).archiving.archive(throughSlot) };
    },

    giveUpNode({ nodeId }) {
      if (!metadata().leading) throw notLeader(undefined);
      controller().giveUpNode(nodeId);
      return null;
    },

    async replaceMember({ partition, failed, by }) {
      const { group } = partitionOf(partition);
      const signal = AbortSignal.timeout(CHANGE_TIMEOUT_MS);
      await settled(group.replaceWithLogReplica({ failed, by, signal }));
      return null;
    },

    async promoteMember({ partition, node, gone }) {
      const { group } = partitionOf(partition);
      const signal = AbortSignal.timeout(CHANGE_TIMEOUT_MS);
      await settled(group.promote({ node, signal }));
      for (const one of gone) await settled(group.remove({ node: one, signal }));
      return null;
    },

    async snapshot({ partition, isAwaited = true }) {
      const host = partitionOf(partition);
      return await host.archiving.snapshot(host.replica, { isAwaited });
    },
  };
}
