import { afterEach, describe, expect, it } from "vitest";
import { Arena } from "../src/host/arena.js";
import {
  type Group,
  GroupHost,
  type GroupStorage,
  inProcessNetwork,
  memoryStorage,
  type StateMachine,
} from "../src/index.js";
import { walStorage } from "../src/storage/index.js";
import { bytes, Journal, tuning, until } from "./support/cluster.js";
import { FakeWal } from "./support/fake-wal.js";

const names = ["a", "b", "c"];

interface Node {
  readonly host: GroupHost;
  readonly journal: Journal;
  readonly group: Group<number>;
}

/** Three nodes in this process, each with a group that is packed as soon as it sleeps. */
class Packed {
  readonly network = inProcessNetwork();
  readonly nodes: Node[] = [];

  async open(storage: () => (groupId: string) => GroupStorage, clientsMax?: number): Promise<this> {
    for (const nodeId of names) {
      const transport = this.network.transport(nodeId);
      const host = await GroupHost.open({ transport, storage: storage(), ...tuning });
      const journal = new Journal();
      const options = { members: names, stateMachine: journal as StateMachine<number> };
      const group = await host.join("g", clientsMax === undefined ? options : { ...options, clientsMax });
      this.nodes.push({ host, journal, group });
    }
    await this.packed();
    return this;
  }

  async packed(): Promise<void> {
    await until(() => this.nodes.every(({ host }) => host.stats().groupsPacked === 1));
  }

  get leader(): Node {
    return this.nodes.find(({ group }) => group.leadership().ready) as Node;
  }

  get follower(): Node {
    return this.nodes.find(({ group }) => !group.leadership().leading) as Node;
  }

  async close(): Promise<void> {
    for (const { host } of this.nodes) await host.close();
  }
}

/** A storage that knows nothing of packing. */
function plain(): (groupId: string) => GroupStorage {
  const storage = memoryStorage();
  return (groupId) => {
    const real = storage(groupId);
    return {
      load: () => real.load(),
      write: (write) => real.write(write),
      read: (from, through, bytesMax) => real.read(from, through, bytesMax),
      trim: (throughSlot, founders) => real.trim(throughSlot, founders),
      markInstall: (position) => real.markInstall(position),
      remember: (nodeId, birth) => real.remember(nodeId, birth),
      get trimmedThrough() {
        return real.trimmedThrough;
      },
      get base() {
        return real.base;
      },
    };
  };
}

const storages = {
  "in memory": memoryStorage,
  "in a log": () => walStorage(new FakeWal()),
  "in a storage that knows nothing of it": plain,
};

describe("a group that is packed", () => {
  let three: Packed;
  afterEach(() => three.close());

  it.each(Object.entries(storages))("%s goes on where it was: the handle stays the same", async (_, storage) => {
    three = await new Packed().open(storage);
    for (let round = 1; round <= 5; round++) {
      const { group, journal } = three.leader;
      expect(await group.propose(bytes(`round ${round}`))).toBe(round);
      expect(await group.read(() => journal.commands.length)).toBe(round);
      await three.packed();
      expect(three.nodes.map((node) => node.journal.commands.length)).toEqual([round, round, round]);
    }
    for (const { host } of three.nodes) expect(host.stats().packedBytes).toBeLessThan(300);
    const { group } = three.leader;
    await group.trim(3);
    await three.packed();
    expect(group.status().trimmedThrough).toBe(3);
    const commands: string[] = [];
    for await (const { command } of group.entries()) {
      commands.push(Buffer.from(command).toString());
      await three.packed();
    }
    expect(commands.filter((text) => text !== "").slice(-2)).toEqual(["round 4", "round 5"]);
  });

  it("keeps in its log by whom it is remembered, and whom it remembers, when it was let go of after a sleep", async () => {
    const wals: FakeWal[] = [];
    three = await new Packed().open(() => {
      wals.push(new FakeWal());
      return walStorage(wals.at(-1) as FakeWal);
    });
    const found = () => Promise.all(wals.map((wal) => walStorage(wal)("g").load()));
    const before = await found();
    for (const { births } of before) expect([...(births?.keys() ?? [])].sort()).toEqual(names);
    for (const { group } of three.nodes) await group.trim(group.status().appliedThrough);
    await three.close();
    const after = await found();
    expect(after.map(({ births }) => births)).toEqual(before.map(({ births }) => births));
    expect(after.every(({ trimmedThrough }) => trimmedThrough > 0)).toBe(true);
  });

  it("says how it stands without being put together", async () => {
    three = await new Packed().open(memoryStorage);
    const { group } = three.leader;
    const node = three.leader.host.nodeId;
    expect(group.groupId).toBe("g");
    expect(group.leadership()).toMatchObject({ leading: true, ready: true, leader: node });
    expect(three.follower.group.leadership()).toMatchObject({ leading: false, ready: false, leader: node });
    expect(group.members()).toEqual({ storage: names, log: [], chosen: true });
    expect(group.status()).toMatchObject({
      asleep: true,
      leading: true,
      voting: true,
      outstanding: 0,
    });
    // On the real clock there is none for a moment where the machine stood still.
    await until(() => group.status().leaseRemainingMs > 0);
    expect(three.follower.group.status()).toMatchObject({
      asleep: true,
      leading: false,
      leader: node,
    });
    expect(three.nodes.map(({ host }) => host.stats().groupsPacked)).toEqual([1, 1, 1]);
    for (const { host } of three.nodes) {
      expect(host.stats()).toMatchObject({ groups: 1, groupsAsleep: 1 });
      expect(host.stats().packedBytes).toBeLessThan(300);
    }
    expect(three.nodes.reduce((sum, { host }) => sum + host.stats().groupsLed, 0)).toBe(1);
  });

  it("reads by its lease, and tells how old a follower's state is", async () => {
    three = await new Packed().open(memoryStorage);
    // On a busy machine the beats on which the lease rests may be late; then a read asks the others, and the next one need not.
    let silent = false;
    for (let tries = 0; tries < 50 && !silent; tries++) {
      await three.packed();
      const sent = three.nodes.map(({ host }) => host.stats().messagesSent);
      expect(await three.leader.group.read(() => "read")).toBe("read");
      silent = three.nodes.every(({ host }, node) => host.stats().messagesSent === sent[node]);
    }
    expect(silent).toBe(true);
    const { follower } = three;
    await follower.group.readLocal(() => "old", { maxStaleMs: 0 });
    await three.packed();
    expect((await follower.group.readLocal(() => "old")).ageMs).toBeLessThan(60_000);
  });

  it("keeps its listeners and its clients", async () => {
    three = await new Packed().open(memoryStorage, 10);
    const heard: boolean[] = [];
    const { leader } = three;
    const stop = leader.group.onLeadership(({ leading }) => heard.push(leading));
    const client = await leader.group.register();
    await leader.group.propose(bytes("once"), { client, sequence: 1 });
    await three.packed();
    expect(leader.group.status().clients).toBe(1);
    await leader.group.propose(bytes("once"), { client, sequence: 1 });
    expect(leader.journal.commands).toEqual(["once"]);
    await three.packed();
    leader.group.resign();
    await until(() => heard.includes(false));
    stop();
    await until(() => three.leader !== undefined);
  });

  it("is led by another when its leader is closed, and refuses what is asked of it where it was closed", async () => {
    three = await new Packed().open(memoryStorage);
    const { leader } = three;
    const heard: boolean[] = [];
    leader.group.onLeadership(({ leading }) => heard.push(leading));
    await three.packed();
    const before = leader.host.stats().messagesSent;
    await leader.host.leave("g");
    // It says so to both others.
    expect(leader.host.stats().messagesSent - before).toBe(2);
    expect(heard.at(-1)).toBe(false);
    expect(leader.group.leadership().leading).toBe(false);
    expect(leader.group.status()).toMatchObject({ asleep: false, failure: { code: "ERR_PAXOS_CLOSED" } });
    await expect(leader.group.propose(bytes("late"))).rejects.toMatchObject({ code: "ERR_PAXOS_CLOSED" });
    expect(() => leader.group.submit(bytes("late"))).toThrow(/closed/);
    const others = three.nodes.filter((node) => node !== leader);
    await until(() => others.some(({ group }) => group.leadership().ready));
    const again = await leader.host.join("g", { members: names, stateMachine: new Journal() });
    await three.packed();
    expect(again.status().asleep).toBe(true);
    await expect(leader.group.read(() => 1)).rejects.toMatchObject({ code: "ERR_PAXOS_CLOSED" });
    expect(three.nodes.reduce((sum, { host }) => sum + host.stats().groupsLed, 0)).toBe(1);
  });
});

describe("an arena", () => {
  it("gives back what was put there, and uses again what was let go of", () => {
    const arena = new Arena();
    const block = (seed: number) => new Uint8Array(20 + (seed % 90)).fill(seed);
    const places = new Map<number, number>();
    for (let seed = 0; seed < 3000; seed++) places.set(seed, arena.put(block(seed)) as number);
    const { reserved } = arena;
    for (let round = 0; round < 5; round++) {
      for (let seed = round; seed < 3000; seed += 3) {
        arena.free(places.get(seed) as number);
        places.set(seed, arena.put(block(seed)) as number);
      }
    }
    expect(arena.reserved).toBe(reserved);
    const wrong = [...places].filter(([seed, place]) => Buffer.compare(arena.at(place), block(seed)) !== 0);
    expect(wrong).toEqual([]);
    for (const place of places.values()) arena.free(place);
    expect(arena.used).toBe(0);
    const whole = new Uint8Array(65_530).map((_, i) => i);
    const place = arena.put(whole) as number;
    const next = arena.put(block(1)) as number;
    expect([Buffer.compare(arena.at(place), whole), Buffer.compare(arena.at(next), block(1))]).toEqual([0, 0]);
    expect(arena.put(new Uint8Array(65_531))).toBeUndefined();
  });
});
