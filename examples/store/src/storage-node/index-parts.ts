import type { Upkeep } from "../control/upkeep.js";
import type { PartitionRecord } from "../metadata/records.js";
import type { MetadataView } from "../metadata/view.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import type { IndexParts } from "./partition-host.js";
import { Usage } from "./usage.js";

/** What a node gives to a partition of a table or of an index. */
export function indexPartsOf(
  { partition, filledFrom, sinceMs, hashFrom, hashTo }: PartitionRecord,
  { upkeep, view, calls }: { upkeep: Upkeep; view: MetadataView; calls: LeaderCalls },
): IndexParts {
  const { splitReadUnits: readUnits, splitWriteUnits: writeUnits, splitAfterSeconds: seconds } = upkeep;
  return {
    isPart: filledFrom !== undefined || sinceMs !== undefined,
    usage: new Usage({ hashFrom, hashTo }, { seconds, readUnits, writeUnits }),
    table: () => view.tableOf(partition),
    collectionBytesMax: upkeep.collectionBytesMax,
    partitionsOf: (indexId) => view.partitionsOf(indexId),
    calls,
  };
}
