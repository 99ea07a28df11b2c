import type { Group } from "@evenkeel/paxos";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { hashOfKey, itemKey } from "../src/api/keys.js";
import type { KeySchema, TableRecord } from "../src/api/model.js";
import { itemOf } from "../src/item-of.js";
import { HASH_END, holds, type PartitionRecord } from "../src/metadata/records.js";
import { AtOnce } from "../src/storage-node/at-once.js";
import type { Write } from "../src/storage-node/command.js";
import { ENDED_FROM, ENDED_TO } from "../src/storage-node/ended-transaction.js";
import { StoreError } from "../src/storage-node/errors.js";
import { FIRST_ITEM_KEY } from "../src/storage-node/own-keys.js";
import { Participant } from "../src/storage-node/participant.js";
import type { Replica } from "../src/storage-node/replica.js";
import { Writer } from "../src/storage-node/writer.js";
import { type Action, Coordinator, type Reach } from "../src/transactions/coordinator.js";
import { cancel } from "../src/transactions/ledger.js";
import { LEDGER_DEFINITION } from "../src/transactions/ledger-record.js";
import { atPartitions } from "../src/transactions/places.js";
import { freshReplicas } from "./support/fresh-replicas.js";
import { gate } from "./support/gate.js";
import { gathered, SteeredGroup } from "./support/steered-group.js";

const newReplica = freshReplicas();
const schema: KeySchema = { partition: { name: "pk", type: "S" } };
const keyOf = (pk: string) => itemKey(schema, { pk: { S: pk } });
const lost = () => new StoreError("ERR_STORE_UNKNOWN_OUTCOME", "the answer was lost");

/** One partition at its leader, in which what is asked for is chosen at once. */
class Partition {
  readonly record: PartitionRecord;
  readonly replica: Replica;
  readonly participant: Participant;
  readonly writer: Writer;
  readonly #atOnce: AtOnce;
  readonly #group: SteeredGroup;

  constructor(tableId: string, hashFrom = 0, hashTo = HASH_END) {
    this.replica = newReplica();
    this.#group = new SteeredGroup(this.replica);
    this.writer = new Writer(this.#group as unknown as Group<number>, this.replica);
    this.participant = new Participant(this.writer, this.replica);
    this.#atOnce = new AtOnce(this.writer, this.replica);
    this.record = { partition: this.replica.partition, tableId, hashFrom, hashTo, members: ["a1"] };
  }

  async chosen<T>(ask: () => Promise<T>): Promise<T> {
    const asked = ask();
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    asked.then(over, over);
    while (!isOver) await this.#group.choose();
    return await asked;
  }

  async ask(method: string, params: never): Promise<unknown> {
    const { key, op } = params as { key: Uint8Array; op: never };
    if (method === "write") return await this.writer.write(key, op);
    if (method === "prepare") return await this.participant.prepare(params);
    if (method === "resolve") return { resolved: await this.participant.resolve(params) };
    if (method === "abandon") return await this.#atOnce.abandon((params as { transaction: string }).transaction);
    return await this.#atOnce.transact(params, method === "transactAgain");
  }
}

type Fault = "late" | "lost before" | "lost behind" | "dies before" | "dies behind";
/** Others have come to their ends by then. */
const LATE_TURNS = 20;
const TABLE = { tableId: "table" } as TableRecord;
const OTHER = { tableId: "other" } as TableRecord;

/** A table whose partition may be split, one that stays as it is, and the ledger. */
class World {
  readonly ledger = new Partition("ledger");
  readonly other = new Partition("other");
  table = [new Partition("table")];
  readonly #gone: Partition[] = [];

  get #all(): Partition[] {
    return [this.ledger, this.other, ...this.table];
  }

  /** @param faults what becomes of the calls that a coordinator makes, one after the other */
  reach(faults: readonly (Fault | undefined)[], onDeath: () => void): Reach {
    const left = [...faults];
    const death = (): Promise<never> => {
      onDeath();
      return new Promise(() => undefined);
    };
    return {
      ledgerTable: async () => ({ ...LEDGER_DEFINITION, tableId: "ledger" }) as unknown as TableRecord,
      atPartition: async ({ tableId }, hash, use) => {
        for (;;) {
          const at = this.#all.find(({ record }) => record.tableId === tableId && holds(record, hash)) as Partition;
          try {
            return await use(at.record);
          } catch (error) {
            if (!(error instanceof StoreError) || error.code !== "ERR_STORE_SPLIT") throw error;
            await gathered();
          }
        }
      },
      call: async (record, method, params) => {
        const fault = left.shift();
        for (let turns = 0; fault === "late" && turns < LATE_TURNS; turns++) await gathered();
        if (fault === "lost before") throw lost();
        if (fault === "dies before") return await death();
        const at = [...this.#all, ...this.#gone].find((one) => one.record.partition === record.partition) as Partition;
        const answer = await at.chosen(() => at.ask(method, params as never));
        if (fault === "lost behind") throw lost();
        return fault === "dies behind" ? await death() : (answer as never);
      },
    };
  }

  /** As the control plane does it: sealed once nothing is prepared, and found in its parts from then on. */
  async split(): Promise<void> {
    const [whole] = this.table;
    if (whole === undefined || this.table.length > 1) return;
    while (!whole.participant.isQuiet()) await this.recover();
    await whole.chosen(() => whole.writer.seal());
    const middle = (keyOf("x").hash + keyOf("y").hash) / 2;
    const parts = [new Partition("table", 0, middle), new Partition("table", middle)];
    for (const part of parts) {
      const found = [
        ...whole.replica.range({ from: ENDED_FROM, to: ENDED_TO }),
        ...[...whole.replica.range({ from: FIRST_ITEM_KEY })].filter(({ key }) => holds(part.record, hashOfKey(key))),
      ];
      const writes = found.map(({ key, value: { json, itemSizeBytes } }): Write => {
        return { op: "put", key: Uint8Array.from(key), bytes: json, itemSizeBytes };
      });
      if (writes.length > 0) await part.chosen(() => part.writer.submit(writes));
    }
    this.#gone.push(whole);
    this.table = parts;
  }

  /** What leaders do about transactions whose coordinators are gone, or only slow. */
  async recover(): Promise<void> {
    for (const at of this.#all)
      for (const { transaction, ledger } of at.participant.locks.heldFor(0)) {
        const committed = await cancel(
          (op) => this.ledger.chosen(() => this.ledger.writer.write(ledger.key, op)),
          transaction,
        );
        const time = committed === undefined ? {} : { committedAtMs: committed.committedAtMs };
        await at.chosen(() => at.participant.resolve({ transaction, ...time }));
      }
  }

  values(...pks: string[]): number[] {
    return pks.map((pk) => {
      const { hash, bytes } = keyOf(pk);
      const found = [this.other, ...this.table].flatMap(({ record, replica }) =>
        holds(record, hash) ? [replica.get(bytes)] : [],
      );
      const there = found.find((value) => value !== undefined);
      return there === undefined ? 0 : Number((itemOf(there.json).v as { N: string }).N);
    });
  }
}

const addOne = (table: TableRecord, pk: string): Action => {
  const actions = [{ kind: "add", path: ["v"], value: { N: "1" } }] as const;
  return {
    table,
    key: keyOf(pk),
    op: { kind: "update", keyAttributes: { pk: { S: pk } }, actions, returnValues: "NONE" },
  };
};
/** Of one partition until that is split, and of two. */
const REQUESTS = {
  near: [addOne(TABLE, "x"), addOne(TABLE, "y")],
  far: [addOne(TABLE, "u"), addOne(OTHER, "z")],
};

/** A request for both tables that goes its way alone, where `faults` do not stop it. */
function far(world: World, faults: readonly (Fault | undefined)[] = []) {
  const coordinator = new Coordinator(world.reach(faults, () => undefined));
  coordinator.lostAfterMs = 0;
  const done = () => coordinator.run({ actions: REQUESTS.far, token: "once", fingerprint: "far" });
  return { coordinator, done };
}

async function run(world: World, name: keyof typeof REQUESTS, token: number, faults: readonly (Fault | undefined)[]) {
  let dies!: () => void;
  const died = new Promise<undefined>((resolve) => {
    dies = () => resolve(undefined);
  });
  const coordinator = new Coordinator(world.reach(faults, dies));
  // Whoever is asked with the same token takes the one before for lost at once.
  coordinator.lostAfterMs = 0;
  const asked = { actions: REQUESTS[name], token: `${name} ${token}`, fingerprint: name };
  return await Promise.race([coordinator.run(asked), died]).catch((error: { type?: string; code?: string }) => {
    expect(["TransactionInProgressException", "TransactionCanceledException", "ERR_STORE_UNKNOWN_OUTCOME"]).toContain(
      error.type ?? error.code,
    );
    return undefined;
  });
}

/** A transaction makes seven calls where nothing goes wrong; most of them come through. */
const faults = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(undefined) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Fault>("late", "late", "lost before", "lost behind", "dies before", "dies behind"),
    },
  ),
  { minLength: 9, maxLength: 9 },
);
const step = fc.record({
  name: fc.constantFrom<keyof typeof REQUESTS>("near", "far"),
  token: fc.nat(2),
  faults,
  beside: fc.constantFrom("nothing", "nothing", "the next", "recovery", "split"),
});

test("whatever is lost, dies, is asked again or split: a transaction is done once or not at all, and never in part", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), async (steps) => {
      const world = new World();
      const tokens = { near: new Set<number>(), far: new Set<number>() };
      let running: Promise<unknown>[] = [];
      for (const { name, token, faults, beside } of steps) {
        tokens[name].add(token);
        running.push(run(world, name, token, faults));
        if (beside === "the next") continue;
        if (beside === "recovery") running.push(world.recover());
        if (beside === "split") running.push(world.split());
        await Promise.all(running);
        running = [];
      }
      await Promise.all(running);
      for (const name of ["near", "far"] as const)
        for (const token of tokens[name])
          while ((await run(world, name, token, [])) === undefined) await world.recover();
      const near = tokens.near.size;
      const far = tokens.far.size;
      expect(world.values("x", "y", "u", "z")).toEqual([near, near, far, far]);
    }),
    { numRuns: 40 },
  );
});

afterEach(() => void vi.useRealTimers());

const none = undefined;
const undecided: [string, (Fault | undefined)[]][] = [
  ["decided", [none, none, none, "lost behind", ...Array<Fault>(5).fill("lost before")]],
  ["made so", [none, none, none, none, ...Array<Fault>(5).fill("lost before")]],
];

test.each(undecided)("what may be committed is not cancelled, whatever is lost when it is %s", async (_, faults) => {
  const world = new World();
  await expect(far(world, faults).done()).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
  await world.recover();
  expect(world.values("u", "z")).toEqual([1, 1]);
});

test("who was taken for lost decides nothing of what was begun in its place", async () => {
  const world = new World();
  const [slow, next] = [far(world), far(world)];
  const [decision, preparation] = [gate(), gate()];
  const [atDecision, atPreparation] = [gate(), gate()];
  slow.coordinator.onStep = async (step) => {
    if (step !== "decide") return;
    atDecision.open();
    await decision.opened;
  };
  next.coordinator.onStep = async (step) => {
    if (step !== "prepare") return;
    atPreparation.open();
    await preparation.opened;
  };
  const first = slow.done();
  await atDecision.opened;
  const second = next.done();
  await atPreparation.opened;
  decision.open();
  await expect(first).rejects.toMatchObject({ type: "TransactionCanceledException" });
  preparation.open();
  await second;
  expect(world.values("u", "z")).toEqual([1, 1]);
});

test("what is refused leaves nothing behind, in the ledger or prepared", async () => {
  const world = new World();
  const blocked = { transaction: "before it", ledger: { partition: 0, key: Buffer.alloc(0) } };
  const [, { key, op }] = REQUESTS.far as [Action, Action];
  await world.other.chosen(() =>
    world.other.participant.prepare({ ...blocked, actions: [{ key: key.bytes, op: op as never }] }),
  );
  await expect(far(world).done()).rejects.toMatchObject({
    extra: { CancellationReasons: [{ Code: "None" }, { Code: "TransactionConflict" }] },
  });
  expect(world.table[0]?.participant.preparedItems()).toBe(0);
  expect([...world.ledger.replica.range({ from: FIRST_ITEM_KEY })]).toEqual([]);
});

test("a transaction's time is behind everything that it was prepared in, and not far behind, whatever the coordinator's clock says", async () => {
  const world = new World();
  const ahead = Date.now() + 3_600_000;
  world.table[0]?.replica.noteTime(ahead);
  await far(world).done();
  const { lastTimeMs } = world.other.replica;
  expect(lastTimeMs).toBeGreaterThan(ahead);
  vi.useFakeTimers({ toFake: ["Date"] });
  const next = far(world);
  next.coordinator.onStep = (step) => {
    if (step === "decide") vi.setSystemTime(ahead + 7_200_000);
    if (step === "decided") vi.setSystemTime(ahead);
  };
  await next.coordinator.run({ actions: REQUESTS.far, token: "twice", fingerprint: "far" });
  expect(world.other.replica.lastTimeMs).toBeGreaterThan(lastTimeMs);
  expect(world.other.replica.lastTimeMs).toBeLessThan(lastTimeMs + 60_000);
});

test("a beginning whose answer was lost is gone on with", async () => {
  const world = new World();
  const { coordinator, done } = far(world, ["lost behind"]);
  coordinator.lostAfterMs = 60_000;
  expect(await done()).toMatchObject({ repeated: false });
  expect(world.values("u", "z")).toEqual([1, 1]);
});

test("keys that lie in two partitions by now are asked about in both, each once", async () => {
  const parts = [new Partition("table", 0, 5), new Partition("table", 5)];
  const atPartition: Reach["atPartition"] = async (_, hash, use) =>
    await use((parts.find(({ record }) => holds(record, hash)) as Partition).record);
  const places = [1, 7, 2, 9].map((hash, at) => ({ hash, at }));
  const asked = await atPartitions({ atPartition }, TABLE, places, async ({ hashFrom }) => hashFrom);
  expect(asked).toMatchObject([
    { at: [0, 2], result: 0 },
    { at: [1, 3], result: 5 },
  ]);
});
