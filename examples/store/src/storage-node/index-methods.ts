import type { Handlers } from "../rpc/protocol.js";
import { StoreError } from "./errors.js";
import { readU64, sourceKey, u64 } from "./global-index-keys.js";
import type { IndexUpkeep } from "./index-upkeep.js";
import type { PartitionHost } from "./partition-host.js";

type IndexMethods = Pick<Handlers, "tellIndex" | "keepIndex" | "dropIndex">;

function upkeepOf(host: PartitionHost): IndexUpkeep {
  if (host.indexes === undefined)
    throw new StoreError("ERR_STORE_ARGUMENT", `partition ${host.partition} has no indexes`);
  return host.indexes;
}

/** What global indexes need of the leaders of both sides: of a table's partitions, and of the index's own. */
export function indexMethods(partitionOf: (partition: number) => PartitionHost): IndexMethods {
  return {
    async tellIndex({ partition, source, through, last, writes }) {
      await partitionOf(partition).writer.append((current) => {
        const told = current(sourceKey(source));
        if (told !== undefined && readU64(told) >= through) return [];
        if (!last) return writes;
        return [...writes, { op: "put", key: sourceKey(source), bytes: u64(through), itemSizeBytes: 0 }];
      });
      return null;
    },

    async keepIndex({ partition, index }) {
      const host = partitionOf(partition);
      const upkeep = upkeepOf(host);
      await host.writer.append(() => upkeep.keep(index));
      const throughSeq = upkeep.globals.get(index.number)?.backfill.throughSeq;
      return { backfilled: throughSeq !== undefined && (host.propagator?.toldThrough ?? 0) >= throughSeq };
    },

    async dropIndex({ partition, number }) {
      const host = partitionOf(partition);
      const upkeep = upkeepOf(host);
      await host.writer.append(() => upkeep.drop(number));
      return null;
    },
  };
}
