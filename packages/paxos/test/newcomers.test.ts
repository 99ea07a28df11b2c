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

const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0).reverse()) await one();
});

/** Nodes with real logs, in directories of their own. */
class RealLogs extends Nodes {
  readonly dir: string;
  readonly wals = new Map<string, Wal>();
  readonly journals = new Map<string, JournalDisk[]>();

  constructor(dir: string) {
    super();
    this.dir = dir;
  }

  static async begun(): Promise<RealLogs> {
    const dir = await mkdtemp(join(tmpdir(), "newcomers-"));
    close.push(() => rm(dir, { recursive: true, force: true }));
    const nodes = new RealLogs(dir);
    close.push(async () => {
      await nodes.close();
      for (const wal of nodes.wals.values()) await wal.close();
    });
    for (const name of nodes.names) await nodes.begin(name);
    // A group is founded when all of its founders have told one another that they begin.
    await until(() => [...nodes.running.values()].every(({ group }) => group.status().voting));
    return nodes;
  }

  async begin(name: string, options: Partial<JoinOptions<number>> = {}): Promise<Node> {
    const wal = await Wal.open({ dir: join(this.dir, name), segmentBytes: 1024 * 1024 });
    this.wals.set(name, wal);
    this.disks.set(name, walStorage(wal));
    const disk = this.journals.get(name) ?? [];
    this.journals.set(name, disk);
    return this.start(name, new DurableJournal(disk), { role: "storage", ...options });
  }

  async stop(name: string): Promise<void> {
    await this.drop(name);
    await this.wals.get(name)?.close();
    this.wals.delete(name);
  }

  /** For good, with all that it had. */
  async lose(name: string): Promise<void> {
    await this.stop(name);
    await this.wipe(name);
  }

  async wipe(name: string): Promise<void> {
    this.journals.delete(name);
    await rm(join(this.dir, name), { recursive: true, force: true });
  }

  get leading(): Node | undefined {
    return [...this.running.values()].find(({ group }) => group.status().ready);
  }

  get state(): string[] {
    const journals = [...this.running.values()].filter(({ group }) => group.status().role === "storage");
    return journals.map(({ journal }) => (journal as DurableJournal).state);
  }

  /** The change is made by whoever leads, however often that changes. */
  async change(make: (leader: Node) => Promise<unknown>): Promise<void> {
    for (;;) {
      await until(() => this.leading !== undefined);
      const leader = this.leading;
      if (leader === undefined) continue;
      try {
        await make(leader);
        return;
      } catch (error) {
        const { code } = error as { code?: string };
        if (code !== "ERR_PAXOS_NOT_LEADER" && code !== "ERR_PAXOS_UNKNOWN_OUTCOME") throw error;
      }
    }
  }
}

/** Writes all the time, one command after the other, and keeps those that were acknowledged. */
function writer(nodes: RealLogs) {
  const acknowledged: string[] = [];
  let running = true;
  const done = (async () => {
    for (let i = 0; running; i++) {
      const command = `write ${i}`;
      const { leading } = nodes;
      await leading?.group.propose(bytes(command)).then(
        () => acknowledged.push(command),
        () => undefined,
      );
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  const stop = async () => {
    running = false;
    await done;
  };
  const goesOn = async () => {
    const so = acknowledged.length;
    await until(() => acknowledged.length > so + 3);
  };
  return { acknowledged, stop, goesOn };
}

describe("a group that has lost its founders", () => {
  it("lives on in newcomers, one after the other, with real logs, and takes in more when no founder is left", async () => {
    const nodes = await RealLogs.begun();
    const writes = writer(nodes);
    close.push(writes.stop);
    await writes.goesOn();
    for (const [index, failed] of nodes.names.entries()) {
      await nodes.lose(failed);
      const by = `n${index + 1}`;
      if (index === 1) {
        await nodes.begin(by, { role: "log" });
        await nodes.change(({ group }) => group.replaceWithLogReplica({ failed, by }));
        await nodes.stop(by);
        await nodes.begin(by);
        await nodes.change(({ group }) => group.promote({ node: by }));
      } else {
        await nodes.begin(by);
        await nodes.change(({ group }) => group.addStorageReplica({ node: by, replaces: failed }));
      }
      await writes.goesOn();
    }
    expect([...nodes.running.keys()].sort()).toEqual(["n1", "n2", "n3"]);
    // Each of them votes: with any one of them gone the two others go on, and a further one takes its place.
    await nodes.lose("n1");
    await writes.goesOn();
    await nodes.begin("n4");
    await nodes.change(({ group }) => group.addStorageReplica({ node: "n4", replaces: "n1" }));
    await writes.goesOn();
    await writes.stop();
    await until(() => new Set(nodes.state).size === 1);
    const held = JSON.parse(nodes.state[0] as string) as string[];
    for (const command of writes.acknowledged) expect(held.filter((one) => one === command)).toEqual([command]);
    // All of them begin again, and know one another.
    const names = [...nodes.running.keys()];
    for (const name of names) await nodes.stop(name);
    for (const name of names) await nodes.begin(name);
    await nodes.change(({ group }) => group.propose(bytes("after all of that")));
    await until(() => names.every((name) => nodes.running.get(name)?.group.status().voting));
    expect((await nodes.leader(names)).group.members()).toMatchObject({ storage: ["n2", "n3", "n4"], log: [] });
  });

  it("does not take back one of them whose disk is another", async () => {
    const nodes = await RealLogs.begun();
    for (const [index, failed] of ["a", "b"].entries()) {
      await nodes.lose(failed);
      await nodes.begin(`n${index + 1}`);
      await nodes.change(({ group }) => group.addStorageReplica({ node: `n${index + 1}`, replaces: failed }));
    }
    await nodes.lose("n2");
    const back = await nodes.begin("n2");
    expect(back.group.status().voting).toBe(false);
    await until(() => back.group.status().failure !== undefined);
    expect(back.group.status().failure).toMatchObject({ code: "ERR_PAXOS_AMNESIA" });
    // Nothing is missed: the others go on.
    await nodes.change(({ group }) => group.propose(bytes("two of three")));
  });
});

describe("a log that was fed before its node had a voice", () => {
  it("has none after a restart either", async () => {
    const nodes = await RealLogs.begun();
    const leader = await nodes.leader();
    const [one] = nodes.others(leader);
    await nodes.lose(one.nodeId);
    // It hears everybody, and nobody hears it: nobody can tell it that it is remembered.
    for (const other of nodes.names) if (other !== one.nodeId) nodes.network.cut(one.nodeId, other);
    const wiped = await nodes.begin(one.nodeId);
    await until(() => wiped.group.status().leader === leader.nodeId);
    expect(wiped.group.status().voting).toBe(false);
    await nodes.stop(one.nodeId);
    const again = await nodes.begin(one.nodeId);
    expect(again.group.status().ballot.round).toBeGreaterThan(0);
    expect(again.group.status().voting).toBe(false);
    nodes.network.heal();
    await until(() => again.group.status().failure?.code === "ERR_PAXOS_AMNESIA");
  });
});
