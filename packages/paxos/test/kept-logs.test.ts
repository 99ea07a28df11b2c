import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import { afterEach, describe, expect, it } from "vitest";
import { KeptLogs } from "../src/host/kept-logs.js";
import { type Group, GroupHost, inProcessNetwork, memoryStorage } from "../src/index.js";
import { walStorage } from "../src/storage/index.js";
import { tuning, until } from "./support/cluster.js";

const kib = 1024;

/** Groups that are nothing but what they keep; of some a part may not go. */
class Keepers {
  readonly keeps = new Map<string, number>();
  /** May not go. */
  readonly needs = new Map<string, number>();
  readonly asked: string[] = [];
  #under: (() => void)[] = [];
  nowMs = 0;
  readonly logs: KeptLogs<string>;

  constructor(bytesMax: number) {
    this.logs = new KeptLogs({
      bytesMax,
      halve: (name) => {
        this.asked.push(name);
        const keeps = this.keeps.get(name) as number;
        const left = Math.max(Math.floor(keeps / 2), this.needs.get(name) ?? 0);
        if (left >= keeps) return undefined;
        this.keep(name, left);
        return new Promise((resolve) => this.#under.push(resolve));
      },
    });
  }

  get underWay(): number {
    return this.#under.length;
  }

  keep(name: string, bytes: number): void {
    this.keeps.set(name, bytes);
    this.logs.weighed(name, bytes);
  }

  /** What is under way comes to its end, and the next tick. */
  async tick(): Promise<void> {
    for (const resolve of this.#under.splice(0)) resolve();
    await new Promise((resolve) => setImmediate(resolve));
    this.nowMs += 10;
    this.logs.tick(this.nowMs);
  }
}

describe("what all logs of a node keep together", () => {
  it("is as much as each may, until that is too much; then those that keep most give up half, whoever they are", async () => {
    const keepers = new Keepers(1000 * kib);
    for (let i = 0; i < 8; i++) keepers.keep(`small ${i}`, 40 * kib);
    keepers.keep("large", 600 * kib);
    await keepers.tick();
    expect(keepers.asked).toEqual([]);
    keepers.keep("larger", 700 * kib);
    for (let n = 0; n < 5; n++) await keepers.tick();
    expect(keepers.asked).toEqual(["large", "larger"]);
    expect(keepers.logs.bytes).toBe((8 * 40 + 300 + 350) * kib);
  });

  it("counts nothing of those that keep next to nothing or are closed, and asks them for nothing", async () => {
    const keepers = new Keepers(0);
    for (let i = 0; i < 1000; i++) keepers.keep(`tiny ${i}`, 16 * kib - 1);
    keepers.keep("closed", 100 * kib);
    keepers.logs.forget("closed");
    await keepers.tick();
    expect([keepers.logs.bytes, keepers.asked]).toEqual([0, []]);
  });

  it("comes down beside groups that may let go of nothing, however many and large they are; they count, and are asked again", async () => {
    const keepers = new Keepers(1000 * kib);
    for (let i = 0; i < 100; i++) {
      keepers.needs.set(`stuck ${i}`, 900 * kib);
      keepers.keep(`stuck ${i}`, 900 * kib);
    }
    for (let i = 0; i < 100; i++) keepers.keep(`free ${i}`, 300 * kib);
    const free = () => [...keepers.keeps].filter(([name]) => name.startsWith("free"));
    for (let n = 0; n < 100 && free().some(([, bytes]) => bytes >= 16 * kib); n++) await keepers.tick();
    expect(free().every(([, bytes]) => bytes < 16 * kib)).toBe(true);
    expect(keepers.logs.bytes).toBe(100 * 900 * kib);
    keepers.needs.clear();
    for (let n = 0; n < 1000 && keepers.logs.bytes > 1000 * kib; n++) await keepers.tick();
    expect(keepers.logs.bytes).toBeLessThanOrEqual(1000 * kib);
  });

  it("takes as little of a turn with 100,000 groups as with a few: a bounded number is asked, and lets go at the same time", async () => {
    const keepers = new Keepers(0);
    for (let i = 0; i < 100_000; i++) keepers.keep(`${i}`, 100 * kib);
    for (let n = 0; n < 10; n++) {
      const before = keepers.asked.length;
      await keepers.tick();
      expect(keepers.asked.length - before).toBeLessThanOrEqual(16);
      // Nothing more until some of it is done.
      keepers.logs.tick(keepers.nowMs);
      expect(keepers.underWay).toBeLessThanOrEqual(16);
    }
    expect(keepers.asked.length).toBe(160);
  });
});

describe("a node with a bound on all of its logs", () => {
  const close: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const step of close.splice(0).reverse()) await step();
  });

  /** Durable through where the test says. */
  class Machine {
    appliedThrough = 0;
    durable = Number.POSITIVE_INFINITY;
    apply({ slot }: { slot: number }): void {
      this.appliedThrough = slot;
    }
    get durableThrough(): number {
      return Math.min(this.durable, this.appliedThrough);
    }
  }

  async function written(groups: number, options: { inLog: boolean }) {
    const dir = await mkdtemp(join(tmpdir(), "evenkeel-kept-"));
    close.push(() => rm(dir, { recursive: true, force: true }));
    const wal = await Wal.open({ dir, segmentBytes: 64 * kib, packAfterMs: 0 });
    close.push(() => wal.close());
    const storage = options.inLog ? walStorage(wal) : memoryStorage();
    const transport = inProcessNetwork().transport("a");
    const host = await GroupHost.open({ ...tuning, transport, storage, logsKeptBytesMax: 400 * kib });
    close.push(() => host.close());
    const nodes: { group: Group<void>; machine: Machine }[] = [];
    for (let i = 0; i < groups; i++) {
      const machine = new Machine();
      if (i === 0) machine.durable = 3;
      const group = await host.join(`g${i}`, { members: ["a"], stateMachine: machine });
      await until(() => group.status().ready);
      for (let n = 0; n < 10; n++) await group.propose(new Uint8Array(8 * kib));
      nodes.push({ group, machine });
    }
    return { host, wal, nodes };
  }

  it.each([
    ["in memory", false],
    ["in a log", true],
  ])(
    "keeps no more (%s), also of groups that were packed long before, and nothing goes that a group needs",
    async (_, inLog) => {
      const { host, nodes } = await written(20, { inLog });
      await until(() => host.stats().logKeptBytes <= 400 * kib && host.stats().groupsPacked === 20);
      const trimmed = nodes.map(({ group }) => group.status().trimmedThrough);
      expect(trimmed.slice(1).filter((slot) => slot > 0).length).toBeGreaterThan(8);
      // Its state is durable through slot 3, and its log is nobody else's.
      expect(trimmed[0]).toBeLessThanOrEqual(3);
      nodes.forEach(({ machine }, i) => {
        expect(trimmed[i]).toBeLessThanOrEqual(machine.durableThrough);
      });
      // They go on where they were, and what is closed here is not counted any more.
      for (const { group } of nodes) await group.propose(new Uint8Array(1));
      for (const { group } of nodes) await host.leave(group.groupId);
      expect(host.stats().logKeptBytes).toBe(0);
    },
  );

  it("lets go at its next start of what was kept before it had that bound", async () => {
    const { host, wal, nodes } = await written(1, { inLog: true });
    // Slots from 4 on may not go in the first life.
    expect(host.stats().logKeptBytes).toBeGreaterThan(50 * kib);
    const end = nodes[0]?.machine.appliedThrough as number;
    await host.close();
    const transport = inProcessNetwork().transport("a");
    const again = await GroupHost.open({ ...tuning, transport, storage: walStorage(wal), logsKeptBytesMax: 0 });
    close.push(() => again.close());
    const machine = new Machine();
    machine.appliedThrough = end;
    const group = await again.join("g0", { members: ["a"], stateMachine: machine });
    await until(() => group.status().trimmedThrough > 3 && again.stats().logKeptBytes === 0);
    expect(group.status().trimmedThrough).toBeLessThanOrEqual(group.status().appliedThrough);
  });

  it("may be told to keep nothing, and no less", async () => {
    for (const logsKeptBytesMax of [-1, 0.5, Number.NaN]) {
      const transport = inProcessNetwork().transport("a");
      const opened = GroupHost.open({ transport, storage: memoryStorage(), logsKeptBytesMax });
      await expect(opened).rejects.toMatchObject({ code: "ERR_PAXOS_ARGUMENT" });
    }
  });
});
