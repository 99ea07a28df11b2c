import type { Group } from "@evenkeel/paxos";
import { afterEach, expect, test } from "vitest";
import { itemKey } from "../../src/api/keys.js";
import type { Item, KeySchema } from "../../src/api/model.js";
import { itemBytes } from "../../src/api/size.js";
import { HASH_END, type PartitionRecord } from "../../src/metadata/records.js";
import type { LeaderCalls } from "../../src/router/leader-calls.js";
import type { Params } from "../../src/rpc/protocol.js";
import { IndexPropagator } from "../../src/storage-node/index-propagator.js";
import { IndexUpkeep } from "../../src/storage-node/index-upkeep.js";
import type { IndexToKeep } from "../../src/storage-node/maintained-index.js";
import { Writer } from "../../src/storage-node/writer.js";
import { freshReplicas } from "../support/fresh-replicas.js";
import { gathered, SteeredGroup } from "../support/steered-group.js";
import { eventually } from "../support/store.js";

const newReplica = freshReplicas();
const tableKey: KeySchema = { partition: { name: "id", type: "S" } };
const index: IndexToKeep = {
  number: 1,
  name: "by-team",
  indexId: "i",
  keySchema: { partition: [{ name: "team", type: "S" }], sort: [] },
  projection: { type: "KEYS_ONLY" },
  tableKey,
};
let propagator: IndexPropagator | undefined;
afterEach(() => propagator?.close());

test("an item whose write was decided before its partition kept the index, and applied after, comes into it", async () => {
  const replica = newReplica();
  const steered = new SteeredGroup(replica);
  const group = steered as unknown as Group<number>;
  const upkeep = new IndexUpkeep(replica, () => ({ keySchema: tableKey }));
  const writer = new Writer(group, replica, upkeep);
  const told: Params<"tellIndex">[] = [];
  const call = async (
    _partition: number,
    _members: readonly string[],
    _method: string,
    params: Params<"tellIndex">,
  ) => {
    told.push(params);
    return null;
  };
  const target: PartitionRecord = { partition: 9, tableId: "i", hashFrom: 0, hashTo: HASH_END, members: ["a1"] };
  propagator = new IndexPropagator({
    partition: 7,
    group,
    replica,
    writer,
    upkeep,
    partitionsOf: () => [target],
    calls: { call } as unknown as Pick<LeaderCalls, "call">,
  });

  const item: Item = { id: { S: "ada" }, team: { S: "red" } };
  const json = Buffer.from(JSON.stringify(item));
  const written = writer.write(itemKey(tableKey, item).bytes, {
    kind: "put",
    json,
    itemSizeBytes: itemBytes(item),
    returnValues: "NONE",
  });
  const kept = writer.append(upkeep.keep(index));
  // It looks at what is decided, and the item is not there yet.
  propagator.wake();
  for (let turns = 0; turns < 5; turns++) await gathered();
  await steered.choose();
  await Promise.all([written, kept]);
  await eventually("the index is filled, and told", async () => {
    await steered.choose();
    return upkeep.globals.get(1)?.backfill.throughSeq !== undefined && propagator?.allTold === true;
  });
  const puts = told.flatMap(({ writes }) => writes).filter(({ op }) => op === "put");
  expect(puts).toHaveLength(1);
});
