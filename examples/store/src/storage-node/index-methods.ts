import { writeUnits } from "../api/capacity.js";
import type { Handlers } from "../rpc/protocol.js";
import type { Write } from "./command.js";
import { StoreError } from "./errors.js";
import { readU64, sourceKey, u64 } from "./global-index-keys.js";
import type { IndexUpkeep } from "./index-upkeep.js";
import type { PartitionHost } from "./partition-host.js";

/** An index that cannot follow holds up no reader for longer. */
const TOLD_WITHIN_MS = 250;

type IndexMethods = Pick<Handlers, "tellIndex" | "indexTold" | "keepIndex" | "dropIndex">;

function upkeepOf(host: PartitionHost): IndexUpkeep {
  if (host.indexes === undefined)
    throw new StoreError("ERR_STORE_ARGUMENT", `partition ${host.partition} has no indexes`);
  return host.indexes;
}

/** Resolves when what was decided is chosen; where that is nothing, when it is sure that this node may say so. */
async function decided({ writer }: PartitionHost, decide: () => readonly Write[]): Promise<void> {
  writer.assertWritable();
  const writes = decide();
  if (writes.length > 0) await writer.append(writes);
  else await writer.confirm([]);
}

/** What global indexes need of the leaders of both sides: of a table's partitions, and of the index's own. */
export function indexMethods(partitionOf: (partition: number) => PartitionHost): IndexMethods {
  return {
    async tellIndex({ partition, source, through, last, writes }) {
      const { writer, usage } = partitionOf(partition);
      const key = sourceKey(source);
      await writer.room();
      writer.assertWritable();
      const told = writer.newest(key);
      if (told !== undefined && readU64(told.bytes) >= through) await writer.confirm([key]);
      else if (!last) await writer.append(writes);
      else await writer.append([...writes, { op: "put", key, bytes: u64(through), itemSizeBytes: 0 }]);
      for (const write of writes)
        usage?.spent("write", write.key, write.op === "put" ? writeUnits(0, write.itemSizeBytes) : 1);
      return null;
    },

    async indexTold({ partition, indexId }) {
      const { propagator } = partitionOf(partition);
      await propagator?.told(TOLD_WITHIN_MS);
      return { leaders: propagator?.leadersOf(indexId) ?? [] };
    },

    async keepIndex({ partition, index }) {
      const host = partitionOf(partition);
      const upkeep = upkeepOf(host);
      await decided(host, () => upkeep.keep(index));
      const throughSeq = upkeep.globals.get(index.number)?.backfill.throughSeq;
      return { backfilled: throughSeq !== undefined && (host.propagator?.toldThrough ?? 0) >= throughSeq };
    },

    async dropIndex({ partition, number }) {
      const host = partitionOf(partition);
      const upkeep = upkeepOf(host);
      await decided(host, () => upkeep.drop(number));
      return null;
    },
  };
}
