import type { Group } from "@evenkeel/paxos";
import { afterEach, expect, test } from "vitest";
import { itemKey } from "../../src/api/keys.js";
import type { Item } from "../../src/api/model.js";
import { itemBytes } from "../../src/api/size.js";
import { untimely } from "../../src/control/rounds.js";
import { HASH_END, type PartitionRecord } from "../../src/metadata/records.js";
import type { LeaderCalls } from "../../src/router/leader-calls.js";
import type { Params } from "../../src/rpc/protocol.js";
import { IndexPropagator, KEPT_MS } from "../../src/storage-node/index-propagator.js";
import { IndexUpkeep } from "../../src/storage-node/index-upkeep.js";
import { Writer } from "../../src/storage-node/writer.js";
import { freshReplicas } from "../support/fresh-replicas.js";
import { indexBy, tableKey } from "../support/kept-index.js";
import { gathered, SteeredGroup } from "../support/steered-group.js";
import { eventually } from "../support/store.js";

const newReplica = freshReplicas();
const index = indexBy("team", "KEYS_ONLY");
const isFilled = (upkeep: IndexUpkeep) => upkeep.globals.get(1)?.backfill.throughSeq !== undefined;
const planned = untimely.due;
/** Longer than the test may take. */
const LONG_MS = 3_600_000;
let propagator: IndexPropagator | undefined;
afterEach(() => {
  propagator?.close();
  untimely.due = planned;
});

/** A partition that nothing is chosen in until it is asked for, its propagator, and what that has told. */
function partition() {
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
  const telling = new IndexPropagator({
    partition: 7,
    group,
    replica,
    writer,
    upkeep,
    partitionsOf: () => [target],
    calls: { call, leaderOf: () => undefined } as unknown as Pick<LeaderCalls, "call" | "leaderOf">,
  });
  propagator = telling;
  return {
    steered,
    upkeep,
    writer,
    telling,
    write(id: string) {
      const item: Item = { id: { S: id }, team: { S: "red" } };
      const json = Buffer.from(JSON.stringify(item));
      const op = { kind: "put", json, itemSizeBytes: itemBytes(item), returnValues: "NONE" } as const;
      return writer.write(itemKey(tableKey, item).bytes, op);
    },
    /** Items put into the index. */
    puts: () => told.flatMap(({ writes }) => writes).filter(({ op }) => op === "put").length,
    until: (what: string, holds: () => boolean) =>
      eventually(what, async () => {
        await steered.choose();
        return holds();
      }),
  };
}

test("an item whose write was decided before its partition kept the index, and applied after, comes into it", async () => {
  const { steered, writer, upkeep, telling, write, puts, until } = partition();
  const written = write("ada");
  const kept = writer.append(upkeep.keep(index));
  // It looks at what is decided, and the item is not there yet.
  telling.wake();
  for (let turns = 0; turns < 5; turns++) await gathered();
  await steered.choose();
  await Promise.all([written, kept]);
  await until("the index is filled, and told", () => isFilled(upkeep) && telling.allTold);
  expect(puts()).toBe(1);
});

test("an item is told at once, also while the records of those told before it wait to be let go", async () => {
  const { writer, upkeep, write, puts, until } = partition();
  void write("ada");
  void writer.append(upkeep.keep(index));
  await until("the index is filled, and nothing waits", () => isFilled(upkeep) && upkeep.outboxLength === 0);
  untimely.due = (plannedMs) => (plannedMs === KEPT_MS ? LONG_MS : plannedMs);
  for (const id of ["eve", "joe", "kim"]) {
    const before = puts();
    void write(id);
    await until(`${id} is told`, () => puts() > before);
  }
  expect(upkeep.outboxLength).toBe(3);
});

test("who asks when indexes were told of what is decided waits for that, and not for what comes after", async () => {
  const { writer, upkeep, telling, write, puts, until } = partition();
  void write("ada");
  void writer.append(upkeep.keep(index));
  await until("the index is filled, and all is told", () => isFilled(upkeep) && telling.allTold);
  await telling.told(LONG_MS);
  const before = puts();
  void write("eve");
  await gathered();
  const told = telling.told(LONG_MS).then(() => puts());
  void write("joe");
  await telling.told(1);
  expect(puts()).toBe(before);
  await until("both are told", () => puts() === before + 2);
  expect(await told).toBeGreaterThan(before);
});
