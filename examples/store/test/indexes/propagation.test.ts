import type { Group } from "@evenkeel/paxos";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { itemKey } from "../../src/api/keys.js";
import type { Item } from "../../src/api/model.js";
import { itemBytes } from "../../src/api/size.js";
import { HASH_END, holds, type PartitionRecord } from "../../src/metadata/records.js";
import type { LeaderCalls } from "../../src/router/leader-calls.js";
import type { Params } from "../../src/rpc/protocol.js";
import { StoreError } from "../../src/storage-node/errors.js";
import { IndexPropagator } from "../../src/storage-node/index-propagator.js";
import { entryOf, IndexUpkeep } from "../../src/storage-node/index-upkeep.js";
import { keyText } from "../../src/storage-node/key-text.js";
import { Writer } from "../../src/storage-node/writer.js";
import { freshReplicas } from "../support/fresh-replicas.js";
import { indexBy, tableKey } from "../support/kept-index.js";
import { gathered, SteeredGroup } from "../support/steered-group.js";

const newReplica = freshReplicas();
const index = indexBy("team", "ALL");
const TEAMS = ["red", "blue", "green"];
const keyOf = (id: string) => itemKey(tableKey, { id: { S: id } }).bytes;
type Told = Params<"tellIndex">;
type Fault = "lost before" | "lost behind" | "late";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

/** A partition whose leaders come and go, and an index of two partitions that takes what it is told as `tellIndex` does. */
class World {
  readonly #replica = newReplica();
  readonly #group = new SteeredGroup(this.#replica);
  readonly #targets: PartitionRecord[] = [0, HASH_END / 2].map((hashFrom, i) => {
    return { partition: 8 + i, tableId: "i", hashFrom, hashTo: hashFrom + HASH_END / 2, members: ["a1"] };
  });
  readonly #noted = new Map<number, number>();
  readonly #index = new Map<string, string>();
  /** Of the items, as decided and chosen. */
  readonly items = new Map<string, Item>();
  readonly late: Told[] = [];
  faults: (Fault | undefined)[] = [];
  writer!: Writer;
  upkeep!: IndexUpkeep;
  #propagator: IndexPropagator | undefined;

  constructor() {
    this.lead();
  }

  /** As a leader that knows nothing but what is applied. */
  lead(): void {
    this.#propagator?.close();
    this.upkeep = new IndexUpkeep(this.#replica, () => ({ keySchema: tableKey }));
    this.writer = new Writer(this.#group as unknown as Group<number>, this.#replica, this.upkeep);
    this.#propagator = new IndexPropagator({
      partition: 7,
      group: this.#group as unknown as Group<number>,
      replica: this.#replica,
      writer: this.writer,
      upkeep: this.upkeep,
      partitionsOf: () => this.#targets,
      calls: { call: this.#tell, leaderOf: () => undefined } as unknown as Pick<LeaderCalls, "call" | "leaderOf">,
    });
    this.#propagator.wake();
  }

  readonly #tell = async (_: number, __: unknown, ___: string, told: Told): Promise<null> => {
    const fault = this.faults.shift();
    if (fault === "late") this.late.push(told);
    if (fault !== "late" && fault !== "lost before") this.take(told);
    if (fault !== undefined) throw new StoreError("ERR_STORE_UNKNOWN_OUTCOME", fault);
    return null;
  };

  take({ partition, through, last, writes }: Told): void {
    if ((this.#noted.get(partition) ?? 0) >= through) return;
    for (const write of writes) {
      const target = this.#targets.find((one) => one.partition === partition) as PartitionRecord;
      expect(holds(target, Buffer.from(write.key).readUInt32BE(0))).toBe(true);
      if (write.op === "delete") this.#index.delete(keyText(write.key));
      else this.#index.set(keyText(write.key), Buffer.from(write.bytes).toString());
    }
    if (last) this.#noted.set(partition, through);
  }

  /** Resolves false where it was lost with the leadership. */
  async write(id: string, item: Item | undefined): Promise<boolean> {
    const json = Buffer.from(JSON.stringify(item ?? {}));
    const put = { kind: "put", json, itemSizeBytes: itemBytes(item ?? {}), returnValues: "NONE" } as const;
    const written = this.writer.write(keyOf(id), item === undefined ? { kind: "delete", returnValues: "NONE" } : put);
    return await written.then(
      () => {
        if (item === undefined) this.items.delete(id);
        else this.items.set(id, item);
        return true;
      },
      () => false,
    );
  }

  async choose(): Promise<void> {
    await this.#group.choose();
  }

  async lose(): Promise<void> {
    await this.#group.loseLeadership();
    this.lead();
  }

  async pass(ms: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
    for (let turns = 0; turns < 3; turns++) await gathered();
  }

  /** Until there is nothing to be told any more. */
  async settle(): Promise<void> {
    const isTold = () =>
      this.#propagator?.allTold === true && this.upkeep.globals.get(1)?.backfill.throughSeq !== undefined;
    do {
      await this.choose();
      await this.pass(200);
    } while (!isTold());
  }

  close(): void {
    this.#propagator?.close();
  }

  expectAll(): void {
    const wanted = [...this.items].flatMap(([id, item]) => {
      const entry = entryOf(index, tableKey, keyOf(id), item);
      return entry === undefined ? [] : [[keyText(entry.key), JSON.stringify(entry.shown)] as const];
    });
    expect(new Map(this.#index)).toEqual(new Map(wanted));
  }
}

const item = (id: string, team: string | undefined, text: number): Item => ({
  id: { S: id },
  ...(team !== undefined && { team: { S: team } }),
  text: { N: String(text) },
});
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      id: fc.constantFrom("ada", "eve", "joe"),
      team: fc.option(fc.constantFrom(undefined, ...TEAMS), { nil: null }),
      text: fc.nat(2),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("choose" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(0, 1, 60, 200) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("lose" as const, "keep" as const, "arrive" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("faults" as const),
      faults: fc.array(fc.constantFrom<(Fault | undefined)[]>(undefined, "lost before", "lost behind", "late"), {
        maxLength: 4,
      }),
    }),
  },
);

test("whoever leads, whatever is lost and however late it comes: an index has for each item the entry of its last version", async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 40 }), async (isKept, steps) => {
      const world = new World();
      const under: Promise<unknown>[] = [];
      const keep = () => {
        const writes = world.upkeep.keep(index);
        if (writes.length > 0) under.push(world.writer.append(writes).catch(() => undefined));
      };
      if (isKept) {
        world.writer.assertLeading();
        keep();
        await world.choose();
      }
      for (const one of steps) {
        if (one.kind === "write")
          under.push(world.write(one.id, one.team === null ? undefined : item(one.id, one.team, one.text)));
        else if (one.kind === "choose") await world.choose();
        else if (one.kind === "pass") await world.pass(one.ms);
        else if (one.kind === "lose") await world.lose();
        else if (one.kind === "arrive") for (const told of world.late.splice(0)) world.take(told);
        else if (one.kind === "faults") world.faults.push(...one.faults);
        else {
          world.writer.assertLeading();
          keep();
        }
      }
      await world.choose();
      world.writer.assertLeading();
      keep();
      world.faults = [];
      await world.settle();
      await Promise.all(under);
      for (const told of world.late) world.take(told);
      world.expectAll();
      world.close();
    }),
    { numRuns: 60 },
  );
});

test("an index is filled with all that was there, step by step, whoever leads by then", async () => {
  const world = new World();
  const written = Array.from({ length: 650 }, (_, i) =>
    world.write(`${i}`, item(`${i}`, i % 3 === 0 ? undefined : "red", i)),
  );
  await world.choose();
  await world.choose();
  await Promise.all(written);
  world.writer.assertLeading();
  void world.writer.append(world.upkeep.keep(index)).catch(() => undefined);
  for (let i = 0; i < 3; i++) {
    await world.choose();
    await world.pass(10);
    if (i === 1) await world.lose();
  }
  await world.settle();
  world.expectAll();
  world.close();
});

test("what is more than one message is told in several, of which the last says how far", async () => {
  const world = new World();
  const long = (id: string): Item => ({ ...item(id, "red", 1), long: { S: "x".repeat(300_000) } });
  world.writer.assertLeading();
  void world.writer.append(world.upkeep.keep(index));
  await world.settle();
  const written = ["ada", "eve", "joe"].map((id) => world.write(id, long(id)));
  // The first message comes, and the second is lost: all of it is told again.
  world.faults = [undefined, "lost before"];
  await world.choose();
  await world.settle();
  await Promise.all(written);
  world.expectAll();
  world.close();
});
