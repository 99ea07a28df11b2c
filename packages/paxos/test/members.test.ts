import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import { afterEach, describe, expect, it } from "vitest";
import type { JoinOptions } from "../src/index.js";
import { walStorage } from "../src/storage/index.js";
import { bytes, until } from "./support/cluster.js";
import { DurableJournal, type JournalDisk } from "./support/durable-journal.js";
import { type Node, Nodes } from "./support/in-process.js";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

class Group extends Nodes {
  readonly diskOf = new Map<string, JournalDisk[]>();

  async begin(nodeId: string, options: Partial<JoinOptions<number>> = {}): Promise<Node> {
    const disk = this.diskOf.get(nodeId) ?? [];
    this.diskOf.set(nodeId, disk);
    return this.start(nodeId, new DurableJournal(disk), options);
  }

  async begun(): Promise<this> {
    for (const name of this.names) await this.begin(name);
    open.push(() => this.close());
    return this;
  }

  node(nodeId: string): Node {
    return this.running.get(nodeId) as Node;
  }

  async equal(...among: readonly string[]): Promise<void> {
    await until(() => new Set(among.map((name) => (this.node(name).journal as DurableJournal).state)).size === 1);
  }
}

async function propose(node: Node, count: number, what = "command"): Promise<void> {
  for (let i = 0; i < count; i++) await node.group.propose(bytes(`${what} ${i}`));
}

async function three(): Promise<{ nodes: Group; leader: Node; stays: string; fails: string }> {
  // Nothing in memory for laggards: what is let go of is gone.
  const nodes = await new Group(undefined, { tailBytesMax: 0 }).begun();
  const leader = await nodes.leader();
  const [stays, fails] = nodes.others(leader).map(({ nodeId }) => nodeId) as [string, string];
  return { nodes, leader, stays, fails };
}

/** A storage replica is gone, a log replica has taken its place. */
async function replaced(): Promise<{ nodes: Group; leader: Node; stays: string; fails: string }> {
  const all = await three();
  const { nodes, leader, fails } = all;
  await propose(leader, 10);
  await nodes.drop(fails);
  await nodes.begin("l", { role: "log" });
  await leader.group.replaceWithLogReplica({ failed: fails, by: "l" });
  return all;
}

/** The log replica has not heard of what the two storage replicas have done since, and let go of. */
async function behind() {
  const all = await replaced();
  const { nodes, leader, stays } = all;
  nodes.network.isolate("l");
  await propose(leader, 20, "without the log replica");
  await nodes.equal(leader.nodeId, stays);
  for (const name of [leader.nodeId, stays]) {
    const { group, journal } = nodes.node(name);
    (journal as DurableJournal).checkpoint();
    await group.trim(group.status().appliedThrough);
  }
  return all;
}

describe("a log replica", () => {
  it("takes the place of a failed storage replica, and one more may fail", async () => {
    const { nodes, leader, stays, fails } = await replaced();
    expect(leader.group.members()).toEqual({ storage: [leader.nodeId, stays].sort(), log: ["l"], chosen: true });
    expect(leader.group.status().members).not.toContain(fails);
    await propose(leader, 5, "all three");
    await nodes.drop(stays);
    await propose(leader, 5, "leader and log replica");
    const { group } = nodes.node("l");
    await until(() => group.status().chosenThrough >= leader.group.status().chosenThrough - 1);
    expect(group.status()).toMatchObject({ role: "log", leading: false, failure: undefined });
  });

  it("never leads, and has what a storage replica that is behind lacks", async () => {
    const { nodes, leader, stays } = await replaced();
    nodes.network.isolate(stays);
    await propose(leader, 20, "only the log replica has it besides");
    await nodes.drop(leader.nodeId);
    nodes.network.heal();
    await until(() => nodes.node(stays).group.status().ready);
    await propose(nodes.node(stays), 1, "afterwards");
    expect(nodes.node("l").group.status().leading).toBe(false);
    expect(nodes.node(stays).journal.commands.filter((text) => text.startsWith("only")).length).toBe(20);
  });

  it("tells the only one left with the state, which wrote down less, that all which it has let go of is chosen", async () => {
    const { nodes, leader, stays } = await replaced();
    const { group } = nodes.node("l");
    await propose(leader, 3, "the last");
    await nodes.equal(leader.nodeId, stays);
    await nodes.drop(stays);
    const found = await nodes.disks.get(stays)?.("g").load();
    const end = found?.entries.at(-1)?.slot ?? 0;
    expect(found?.chosenThrough).toBeLessThan(end);
    await until(() => group.status().chosenThrough >= end);
    await group.trim(end);
    await nodes.drop(leader.nodeId);
    const left = await nodes.begin(stays);
    await until(() => left.group.status().ready);
    await propose(left, 3, "afterwards");
    expect((left.journal as DurableJournal).installed).toEqual([]);
  });

  it("begins where the log begins, not at its very beginning", async () => {
    const { nodes, leader, stays, fails } = await three();
    await propose(leader, 30);
    await nodes.equal(leader.nodeId, stays, fails);
    await leader.group.trim(20);
    await nodes.drop(fails);
    await nodes.begin("l", { role: "log" });
    await leader.group.replaceWithLogReplica({ failed: fails, by: "l" });
    const { group } = nodes.node("l");
    expect(group.status().trimmedThrough).toBe(20);
    const kept: number[] = [];
    for await (const { slot } of group.entries()) kept.push(slot);
    expect(kept[0]).toBe(21);
  });

  it("is itself replaced by a new storage replica, which then may lead", async () => {
    const { nodes, leader, stays } = await replaced();
    await nodes.equal(leader.nodeId, stays);
    for (const name of [leader.nodeId, stays]) {
      (nodes.node(name).journal as DurableJournal).checkpoint();
      await nodes.node(name).group.trim(nodes.node(name).group.status().appliedThrough);
    }
    const joiner = await nodes.begin("s", { role: "storage" });
    await leader.group.addStorageReplica({ node: "s", replaces: "l" });
    expect((joiner.journal as DurableJournal).installed.length).toBe(1);
    expect(leader.group.members()).toMatchObject({ storage: [leader.nodeId, stays, "s"].sort(), log: [] });
    await until(() => nodes.node("l").group.status().departed);
    await propose(leader, 3, "with the new one");
    await nodes.equal(leader.nodeId, stays, "s");
    await nodes.drop(leader.nodeId);
    const next = await nodes.leader([stays, "s"]);
    await propose(next, 3, "without the old leader");
    await nodes.equal(stays, "s");
  });

  it("becomes a storage replica on its own node", async () => {
    const { nodes, leader, stays } = await replaced();
    await nodes.drop("l");
    await nodes.begin("l", { role: "storage" });
    await leader.group.promote({ node: "l" });
    expect(leader.group.members()).toMatchObject({ storage: [leader.nodeId, stays, "l"].sort(), log: [] });
    await nodes.equal(leader.nodeId, stays, "l");
  });

  it("does so after it has fallen behind what is kept of the log, with a state of its own", async () => {
    const { nodes, leader, stays } = await replaced();
    const all = [leader.nodeId, stays, "l"];
    await nodes.drop("l");
    await nodes.begin("l", { role: "storage" });
    await nodes.equal(...all);
    nodes.network.isolate("l");
    await propose(leader, 20, "without it");
    await nodes.equal(leader.nodeId, stays);
    for (const name of [leader.nodeId, stays]) {
      (nodes.node(name).journal as DurableJournal).checkpoint();
      await nodes.node(name).group.trim(nodes.node(name).group.status().appliedThrough);
    }
    nodes.network.heal();
    await leader.group.promote({ node: "l" });
    await nodes.equal(...all);
    expect(leader.group.members()).toMatchObject({ storage: [...all].sort(), log: [] });
  });

  it("goes on although it is behind what is kept, and one of two that hold the rest is lost, under a leader that knows that both held it", async () => {
    const { nodes, leader, stays } = await behind();
    await nodes.drop(stays);
    nodes.network.heal();
    await propose(leader, 3, "with the log replica");
    await until(() => nodes.node("l").group.status().trimmedThrough >= leader.group.status().trimmedThrough);
  });

  it.each(["leader", "stays"] as const)(
    "stands still under a new leader that alone holds what it lacks (lost: %s), until its node has the state too",
    async (lost) => {
      const { nodes, leader, stays } = await behind();
      const [left, gone] = lost === "leader" ? [stays, leader.nodeId] : [leader.nodeId, stays];
      await nodes.drop(gone);
      if (lost === "stays") {
        await nodes.drop(left);
        await nodes.begin(left);
      }
      nodes.network.heal();
      // It may lead, with the log replica's vote, but has nothing chosen.
      const { chosenThrough } = nodes.node("l").group.status();
      await until(() => nodes.node(left).group.status().leading && !nodes.node(left).group.status().ready);
      expect(nodes.node("l").group.status()).toMatchObject({ chosenThrough, failure: undefined });

      await nodes.drop("l");
      await nodes.begin("l", { role: "storage" });
      await until(() => nodes.node(left).group.status().ready);
      await propose(nodes.node(left), 3, "with the state on both");
      await nodes.equal(left, "l");
      // It is a member of the other kind from then on, and what was lost is none any more.
      await nodes.node(left).group.promote({ node: "l" });
      await nodes.node(left).group.remove({ node: gone });
      expect(nodes.node(left).group.members()).toMatchObject({ storage: [left, "l"].sort(), log: [] });
      await propose(nodes.node(left), 3, "two of two");
      await nodes.equal(left, "l");
    },
  );
});

describe("members", () => {
  it("are remembered by everybody, through restarts of all", async () => {
    const { nodes, leader, stays } = await replaced();
    const members = leader.group.members();
    for (const name of [...nodes.running.keys()]) await nodes.drop(name);
    for (const name of [leader.nodeId, stays]) await nodes.begin(name);
    await nodes.begin("l", { role: "log" });
    const next = await nodes.leader([leader.nodeId, stays]);
    await propose(next, 3, "again");
    expect(next.group.members()).toEqual(members);
    await until(() => nodes.node("l").group.members().log.includes("l"));
  });

  it("are found in a real log again, trimmed or not", async () => {
    const dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-members-"));
    open.push(() => rm(dir, { recursive: true, force: true }));
    for (const trims of [false, true]) {
      const wals: Wal[] = [];
      const names = ["a", "b", "c"];
      const path = (name: string) => join(dir, `${trims}-${name}`);
      const nodes = new Group(names);
      const begin = async (name: string, options: Partial<JoinOptions<number>> = {}) => {
        const wal = await Wal.open({ dir: path(name), segmentBytes: 1024 * 1024 });
        wals.push(wal);
        nodes.disks.set(name, walStorage(wal));
        await nodes.begin(name, options);
      };
      for (const name of names) await begin(name);
      await begin("l", { role: "log" });
      const leader = await nodes.leader();
      const failed = nodes.others(leader)[0].nodeId;
      await propose(leader, 5);
      await leader.group.replaceWithLogReplica({ failed, by: "l" });
      await propose(leader, 5, "more");
      if (trims) {
        (leader.journal as DurableJournal).checkpoint();
        await leader.group.trim(leader.group.status().appliedThrough);
      }
      const members = leader.group.members();
      await nodes.close();
      for (const wal of wals.splice(0)) await wal.close();
      nodes.running.clear();
      for (const name of [...members.storage]) await begin(name);
      await begin("l", { role: "log" });
      const next = await nodes.leader([...members.storage]);
      await propose(next, 2, "again");
      expect(next.group.members()).toEqual(members);
      await nodes.close();
      for (const wal of wals.splice(0)) await wal.close();
    }
  });

  it("who was replaced comes back, and is told", async () => {
    const { nodes, leader, fails } = await replaced();
    const asked = { node: fails, signal: AbortSignal.timeout(30_000) };
    // At once, and not when it has come: one that is waited for is fed, and would not hear that it has left.
    await expect(leader.group.addStorageReplica(asked)).rejects.toMatchObject({ code: "ERR_PAXOS_MEMBERS" });
    const back = await nodes.begin(fails);
    await until(() => back.group.status().departed);
    await propose(leader, 3, "undisturbed");
    expect(leader.group.status().leading).toBe(true);
    expect(back.group.status()).toMatchObject({ leading: false, failure: undefined });
    // For good: neither as it was nor under its name with another role.
    await expect(leader.group.addStorageReplica({ node: fails })).rejects.toMatchObject({ code: "ERR_PAXOS_MEMBERS" });
  });

  it("are changed by the leader only, one change at a time, never in a way that is not safe", async () => {
    const { nodes, leader, stays, fails } = await three();
    const follower = nodes.node(stays);
    await expect(follower.group.replaceWithLogReplica({ failed: fails, by: "l" })).rejects.toMatchObject({
      code: "ERR_PAXOS_NOT_LEADER",
    });
    expect(() => leader.group.replaceWithLogReplica({ failed: leader.nodeId, by: "l" })).toThrow(/failed/);
    expect(() => leader.group.remove({ node: leader.nodeId })).toThrow(/node/);
    await expect(leader.group.replaceWithLogReplica({ failed: fails, by: stays })).rejects.toThrow(/by/);
    // Nobody is there to become a member: it waits, and what waits keeps others out, until it is given up.
    const patience = new AbortController();
    const waits = leader.group.replaceWithLogReplica({ failed: fails, by: "nobody", signal: patience.signal });
    await expect(leader.group.remove({ node: fails })).rejects.toMatchObject({ code: "ERR_PAXOS_MEMBERS" });
    await propose(leader, 3, "meanwhile");
    patience.abort(new Error("enough"));
    await expect(waits).rejects.toThrow("enough");
    expect(leader.group.members()).toEqual({ storage: [...nodes.names], log: [], chosen: true });
    // Two log replicas beside one storage replica would hold the state once.
    await nodes.begin("l", { role: "log" });
    await nodes.begin("m", { role: "log" });
    await leader.group.replaceWithLogReplica({ failed: fails, by: "l" });
    await expect(leader.group.replaceWithLogReplica({ failed: stays, by: "m" })).rejects.toMatchObject({
      code: "ERR_PAXOS_MEMBERS",
    });
    await propose(leader, 3, "afterwards");
  });

  it("a change under way when its leader is lost has an unknown outcome, and is made again", async () => {
    const { nodes, leader, stays, fails } = await three();
    await nodes.begin("l", { role: "log" });
    const change = leader.group.replaceWithLogReplica({ failed: fails, by: "l" });
    const ended = change.then(
      () => "done",
      (error: { code: string }) => error.code,
    );
    await nodes.drop(leader.nodeId);
    expect(["done", "ERR_PAXOS_UNKNOWN_OUTCOME", "ERR_PAXOS_NOT_LEADER", "ERR_PAXOS_CLOSED"]).toContain(await ended);
    const next = await nodes.leader([stays, fails]);
    const other = next.nodeId === stays ? fails : stays;
    await next.group.replaceWithLogReplica({ failed: leader.nodeId, by: "l" });
    expect(next.group.members()).toMatchObject({ storage: [next.nodeId, other].sort(), log: ["l"] });
    await propose(next, 3, "afterwards");
  });

  it("wrong arguments are named", async () => {
    const { nodes } = await three();
    const { host } = nodes.node("a");
    const stateMachine = new DurableJournal();
    const wrong: [JoinOptions<number>, RegExp][] = [
      [{ members: ["b"], stateMachine }, /members/],
      [{ members: ["a"], role: "witness" as "log" }, /role/],
      [{ members: ["a"], role: "log", stateMachine }, /stateMachine/],
      [{ members: ["a"], role: "storage" }, /stateMachine/],
    ];
    for (const [options, named] of wrong) await expect(host.join("h", options)).rejects.toThrow(named);
  });
});

describe("a disk that was replaced", () => {
  it("never votes under the old name again, and takes part under a new one", async () => {
    const { nodes, leader, stays, fails } = await three();
    await propose(leader, 10);
    await nodes.drop(fails);
    nodes.disks.delete(fails);
    nodes.diskOf.delete(fails);
    const back = await nodes.begin(fails);
    expect(back.group.status().voting).toBe(false);
    await until(() => back.group.status().failure !== undefined);
    expect(back.group.status().failure).toMatchObject({ code: "ERR_PAXOS_AMNESIA" });
    // Two are left of three: had it a vote, the next loss would not have stopped them, and would have cost what was written.
    await propose(leader, 1, "with the one that stays");
    await nodes.begin("new", { role: "storage" });
    await leader.group.addStorageReplica({ node: "new", replaces: fails });
    await propose(leader, 1, "three again");
    await nodes.equal(leader.nodeId, stays, "new");
  });

  it("is not believed when only those are there who have never voted", async () => {
    const { nodes, leader, stays, fails } = await three();
    await propose(leader, 3);
    await nodes.drop(leader.nodeId);
    await nodes.drop(fails);
    await nodes.drop(stays);
    nodes.disks.delete(fails);
    nodes.diskOf.delete(fails);
    const [survivor, wiped] = [await nodes.begin(stays), await nodes.begin(fails)];
    await until(() => wiped.group.status().failure !== undefined);
    expect(survivor.group.status()).toMatchObject({ leading: false, voting: true });
    // The two that remember go on by themselves.
    await nodes.begin(leader.nodeId);
    await propose(await nodes.leader([leader.nodeId, stays]), 1, "again");
  });

  it("is asked about long after everybody has told everybody", async () => {
    const { nodes, leader, fails } = await three();
    await propose(leader, 3);
    // Nobody has anything left to ask; whoever comes now is answered all the same.
    const beats = () => [...nodes.running.values()].reduce((sum, { host }) => sum + host.stats().beatsSent, 0);
    const before = beats();
    await until(() => beats() > before + 30);
    await nodes.begin("l", { role: "log" });
    await until(() => nodes.node("l").group.status().voting);
    await leader.group.replaceWithLogReplica({ failed: fails, by: "l" });
  });

  it("is asked about after every restart, and remembered when the log was let go", async () => {
    const { nodes, leader, stays, fails } = await three();
    await propose(leader, 10);
    for (const name of [leader.nodeId, stays]) {
      (nodes.node(name).journal as DurableJournal).checkpoint();
      await nodes.node(name).group.trim(Math.min(5, nodes.node(name).group.status().appliedThrough));
    }
    for (const name of [leader.nodeId, stays, fails]) await nodes.drop(name);
    for (const name of [leader.nodeId, stays]) await nodes.begin(name);
    await propose(await nodes.leader([leader.nodeId, stays]), 1, "two of three");
    nodes.disks.delete(fails);
    nodes.diskOf.delete(fails);
    const wiped = await nodes.begin(fails);
    await until(() => wiped.group.status().failure?.code === "ERR_PAXOS_AMNESIA");
  });
});

describe("a planned hand-over", () => {
  it("leaves no command in doubt, and the heir leads", async () => {
    const { nodes, leader, stays } = await three();
    await propose(leader, 5);
    const outcomes: string[] = [];
    let running = true;
    const writing = (async () => {
      while (running) {
        const to = [...nodes.running.values()].find(({ group }) => group.status().leading) ?? leader;
        const outcome = await to.group.propose(bytes("under way")).then(
          () => "done",
          (error: { code: string }) => error.code,
        );
        outcomes.push(outcome);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await until(() => outcomes.length > 5);
    await leader.group.handOver(stays);
    await until(() => nodes.node(stays).group.status().ready);
    const so = outcomes.length;
    await until(() => outcomes.length > so + 5);
    running = false;
    await writing;
    expect(new Set(outcomes)).not.toContain("ERR_PAXOS_UNKNOWN_OUTCOME");
    expect(outcomes.at(-1)).toBe("done");
    expect(nodes.node(stays).group.status().leading).toBe(true);
  });

  it("is refused by who cannot take over, and the leader goes on", async () => {
    const { nodes, leader, stays } = await replaced();
    for (const to of ["l", "nobody"]) {
      await expect(leader.group.handOver(to)).rejects.toMatchObject({ code: "ERR_PAXOS_OVERLOADED" });
    }
    await expect(leader.group.handOver(leader.nodeId)).rejects.toMatchObject({ code: "ERR_PAXOS_ARGUMENT" });
    await expect(nodes.node(stays).group.handOver(leader.nodeId)).rejects.toMatchObject({
      code: "ERR_PAXOS_NOT_LEADER",
    });
    await propose(leader, 2, "afterwards");
    // One that does not answer any more is given up after a lease.
    nodes.network.cut(stays, leader.nodeId);
    const passed = leader.group.handOver(stays);
    const late = propose(leader, 1, "meanwhile");
    await Promise.allSettled([passed, late]);
    nodes.network.heal();
    await until(() => [...nodes.running.values()].some(({ group }) => group.status().ready));
  });
});
