import { expect, test } from "vitest";
import { Healing, type HealingOptions } from "../src/control/healing.js";
import type { PartitionRecord } from "../src/metadata/records.js";
import type { Caller } from "../src/rpc/protocol.js";
import { StoreError } from "../src/storage-node/errors.js";

const MINUTE_MS = 60_000;
const FOUNDERS = ["a1", "b1", "c1"];

/** The metadata's leader and its nodes, of which some are silent; time goes on as it is told. */
class World {
  nowMs = 0;
  leads = true;
  departed = false;
  replaced = 0;
  readonly nodes = new Set([...FOUNDERS, "d1"]);
  readonly silent = new Set<string>();
  readonly metadata = new Set(FOUNDERS);
  readonly asked: string[] = [];
  record: PartitionRecord = { partition: 1, tableId: "t", hashFrom: 0, hashTo: 2 ** 32, members: FOUNDERS };
  readonly healing: Healing;

  constructor() {
    const leads = () => this.leads;
    const call = async (node: string, method: string, params: unknown) => {
      if (this.silent.has(node)) throw new StoreError("ERR_STORE_UNREACHABLE", "silent");
      if (method === "status") {
        // Of thousands of partitions an answer would have thousands of parts.
        expect(params).toEqual({ only: [] });
        return { nodeId: node, partitions: [], logReplicas: [] };
      }
      this.asked.push(method);
      return null;
    };
    const options: HealingOptions = {
      metadata: {
        get leading() {
          return leads();
        },
        changePartition: async (_, next) => {
          const changed = next(this.record);
          if (changed !== undefined) this.record = changed;
          return changed;
        },
      },
      view: { partitions: { values: () => [this.record].values() } as unknown as Map<number, PartitionRecord> },
      group: {
        status: () => ({ departed: this.departed }),
        members: () => ({ storage: [...this.metadata], log: [], chosen: true }),
        addStorageReplica: async ({ node }: { node: string }) => void this.metadata.add(node),
        remove: async ({ node }: { node: string }) => void this.metadata.delete(node),
      } as unknown as HealingOptions["group"],
      founders: FOUNDERS,
      nodeIds: () => [...this.nodes],
      callerTo: (node) =>
        ({
          call: (method: string, params: unknown) => call(node, method, params),
          close: async () => undefined,
        }) as unknown as Caller,
      onReplaced: () => this.replaced++,
      upkeep: { replaceAfterMs: MINUTE_MS },
      now: () => this.nowMs,
    };
    this.healing = new Healing(options);
  }

  async rounds(count: number, everyMs: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.nowMs += everyMs;
      // Again while there is more to do.
      for (let busy = 0; busy < 20 && (await this.healing.round()); busy++)
        await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

test("a node that is there becomes a member of the metadata's group; none is replaced that was silent for less than a minute", async () => {
  const world = new World();
  await world.rounds(3, 1_000);
  expect([...world.metadata]).toEqual(["a1", "b1", "c1", "d1"]);
  for (let i = 0; i < 5; i++) {
    world.silent.add("b1");
    await world.rounds(50, 1_000);
    world.silent.clear();
    await world.rounds(1, 1_000);
  }
  expect(world.record.members).toEqual(FOUNDERS);
  expect(world.asked).toEqual([]);
  expect(world.healing.placement()).toEqual(FOUNDERS);
});

test("one that is silent for longer is replaced, everywhere, by one that is there; new tables do without it", async () => {
  const world = new World();
  await world.rounds(3, 1_000);
  world.silent.add("b1");
  await world.rounds(70, 1_000);
  expect([...world.metadata]).toEqual(["a1", "c1", "d1"]);
  expect(world.record).toMatchObject({ members: ["a1", "c1", "d1"], founders: FOUNDERS, gone: ["b1"] });
  expect(world.asked).toEqual(["replaceMember", "promoteMember"]);
  expect(world.healing.placement()).toEqual(["a1", "c1", "d1"]);
  // It is back, under its old name: nothing comes of that.
  world.nodes.delete("b1");
  await world.rounds(70, 1_000);
  expect(world.record.members).toEqual(["a1", "c1", "d1"]);
});

test("a leader that was away itself for an hour blames nobody for it", async () => {
  const world = new World();
  await world.rounds(3, 1_000);
  world.silent.add("b1");
  await world.rounds(1, 3_600_000);
  expect(world.record.members).toEqual(FOUNDERS);
  world.silent.clear();
  await world.rounds(2, 1_000);
  // A new leader counts anew.
  world.silent.add("b1");
  await world.rounds(50, 1_000);
  world.leads = false;
  await world.rounds(1, 1_000);
  world.leads = true;
  await world.rounds(50, 1_000);
  expect(world.record.members).toEqual(FOUNDERS);
});

test("where nobody can take the place nothing is begun; one that is given up is not waited for; who was replaced says so", async () => {
  const world = new World();
  world.nodes.delete("d1");
  world.silent.add("b1");
  await world.rounds(100, 1_000);
  expect(world.record.members).toEqual(FOUNDERS);
  expect([...world.metadata]).toEqual(FOUNDERS);
  const other = new World();
  await other.rounds(3, 1_000);
  other.healing.giveUp("c1");
  await other.rounds(3, 1_000);
  expect(other.record.members).toEqual(["a1", "b1", "d1"]);
  other.departed = true;
  await other.rounds(1, 1_000);
  expect(other.replaced).toBeGreaterThan(0);
});
