import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../../scripts/free-port.js";
import { type Group, GroupHost, inProcessNetwork, memoryStorage } from "../src/index.js";
import { bytes, Journal, tuning, until } from "./support/cluster.js";
import { Crowd } from "./support/crowd.js";
import { lines } from "./support/fixtures.js";
import { earlierRelease, type Release, thisRelease } from "./support/releases.js";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Running {
  readonly release: Release;
  readonly host: GroupHost;
  readonly group: Group<number>;
  readonly journal: Journal;
  readonly wal: Wal;
  readonly transport: { setPeer(name: string, at: { host: string; port: number }): void };
}

const names = ["a", "b", "c"];

/** Three nodes over TCP with logs on disk, each of which runs whatever release it is given. */
class Fleet {
  readonly nodes = new Map<string, Running>();
  readonly #ports = new Map<string, number>();
  readonly #dir: string;
  readonly #join: { readonly clientsMax?: number };

  /** `join`: what each node is joined with; an earlier release does not look at what it does not know. */
  constructor(dir: string, join: { readonly clientsMax?: number } = {}) {
    this.#dir = dir;
    this.#join = join;
  }

  /** `role`: of one that is no founder. */
  async start(nodeId: string, release: Release, role?: "storage" | "log"): Promise<void> {
    const port = this.#ports.get(nodeId) ?? (await freePort());
    const transport = await release.tcpTransport({ nodeId, port, backoffMinMs: 5, backoffMaxMs: 50 });
    this.#ports.set(nodeId, transport.port);
    for (const [name, at] of this.#ports) {
      transport.setPeer(name, { host: "127.0.0.1", port: at });
      this.nodes.get(name)?.transport.setPeer(nodeId, { host: "127.0.0.1", port: transport.port });
    }
    const wal = await Wal.open({ dir: join(this.#dir, nodeId), segmentBytes: 1024 * 1024 });
    const host = await release.GroupHost.open({ ...tuning, transport, storage: release.walStorage(wal) });
    const journal = new Journal();
    const joined = host.join("g", { members: names, stateMachine: journal, ...this.#join, ...(role && { role }) });
    const group = await joined.catch(async (refused: unknown) => {
      await host.close();
      await wal.close();
      throw refused;
    });
    this.nodes.set(nodeId, { release, host, group, journal, wal, transport });
  }

  /** As a deployment does: leadership is handed over first, then the node stops. */
  async stop(nodeId: string): Promise<void> {
    const node = this.nodes.get(nodeId) as Running;
    const [heir] = names.filter((name) => name !== nodeId);
    // Refused when the heir lags at this moment: then it is an election.
    if (node.group.status().leading) await node.group.handOver(heir as string).catch(() => {});
    this.nodes.delete(nodeId);
    await node.host.close();
    await node.wal.close();
  }

  async exchange(nodeId: string, release: Release): Promise<void> {
    await this.stop(nodeId);
    await this.start(nodeId, release);
  }

  /** The other two first are told where everybody is; later ones come back to the same ports. */
  async begin(release: Release): Promise<void> {
    for (const name of names) await this.start(name, release);
    for (const name of names) await this.exchange(name, release);
  }

  get leader(): Running | undefined {
    return [...this.nodes.values()].find(({ group }) => group.status().ready);
  }

  async close(): Promise<void> {
    for (const name of [...this.nodes.keys()]) await this.stop(name);
  }
}

/** Writes all the time, through whoever leads, and keeps account of what was acknowledged. */
function load(fleet: Fleet) {
  const acknowledged: string[] = [];
  let running = true;
  const client = async (id: number) => {
    for (let n = 0; running; n++) {
      const { leader } = fleet;
      const command = `client ${id}, command ${n}`;
      const done = await leader?.group.propose(bytes(command)).then(
        () => true,
        () => false,
      );
      if (done) acknowledged.push(command);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const clients = [1, 2, 3, 4].map(client);
  return {
    acknowledged,
    stop: async () => {
      running = false;
      await Promise.all(clients);
    },
  };
}

describe("two releases in one group", () => {
  let before: Release;
  beforeAll(async () => {
    before = await earlierRelease("before-doubts");
  });

  it.each(["before-marks", "before-named-bonds", "before-doubts"])(
    "serve together under load, are exchanged one node at a time, and back again; nothing acknowledged is lost: this one and the one %s",
    async (name) => {
      before = await earlierRelease(name);
      const dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-upgrade-"));
      open.push(() => rm(dir, { recursive: true, force: true }));
      const fleet = new Fleet(dir);
      open.push(() => fleet.close());
      await fleet.begin(before);
      await until(() => fleet.leader !== undefined);
      const { acknowledged, stop } = load(fleet);
      const more = async () => {
        const seen = acknowledged.length;
        await until(() => acknowledged.length > seen + 40);
      };
      await more();
      const led = new Set<string>();
      /** Has each node lead the others for a while. */
      const leadInTurns = async () => {
        for (const name of names) {
          await until(() => {
            const { leader } = fleet;
            if (leader === fleet.nodes.get(name)) return true;
            // Refused while that one lags, or another hand-over is under way: asked again.
            void leader?.group.handOver(name).catch(() => {});
            return false;
          });
          await more();
          const mixed = [...fleet.nodes.values()]
            .map(({ release }) => (release === before ? "earlier" : "later"))
            .sort();
          led.add(`${fleet.nodes.get(name)?.release === before ? "earlier" : "later"} leads ${mixed.join(", ")}`);
        }
      };
      for (const release of [thisRelease, before]) {
        for (const name of names) {
          await fleet.exchange(name, release);
          await more();
          if (name === "a") await leadInTurns();
        }
      }
      await stop();
      await until(() => {
        const journals = [...fleet.nodes.values()].map(({ journal }) => journal.commands);
        return new Set(journals.map((commands) => JSON.stringify(commands))).size === 1;
      });
      const { commands } = (fleet.nodes.get("a") as Running).journal;
      expect(new Set(commands).size).toBe(commands.length);
      expect(acknowledged.filter((command) => !commands.includes(command))).toEqual([]);
      // Each led members of the other one, on the way there and on the way back.
      const groups = ["earlier, earlier, later", "earlier, later, later"];
      expect([...led].sort()).toEqual(
        ["earlier", "later"].flatMap((who) => groups.map((group) => `${who} leads ${group}`)),
      );
      for (const { host } of fleet.nodes.values()) expect(host.stats().messagesUnreadable).toBe(0);
    },
  );

  it.each(["a", "b", "ab", "bc"])(
    "keep their leader and understand one another when nothing is asked of them: the one before on %s",
    async (earlier) => {
      const { GroupHost: Earlier } = await earlierRelease("before-named-bonds");
      const crowd = new Crowd(1, 0.1, 3, {}, (name) => (earlier.includes(name) ? Earlier : GroupHost));
      try {
        await crowd.open();
        const all = () => [...crowd.hosts.values()];
        const leading = () => all().find((host) => host.group("group/0")?.status().ready)?.nodeId;
        await crowd.until(() => leading() !== undefined);
        const leader = leading();
        const said = await crowd.pass(2000);
        expect(leading()).toBe(leader);
        expect([said.preVote, said.prepare]).toEqual([undefined, undefined]);
        expect(all().map((host) => host.stats().messagesUnreadable)).toEqual([0, 0, 0]);
        expect(crowd.asleep()).toBe(false);
      } finally {
        await crowd.close();
      }
    },
  );

  it("do not begin to remember clients before the last member can, and can go back until then", async () => {
    const earlier = await earlierRelease("before-clients");
    const dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-upgrade-"));
    open.push(() => rm(dir, { recursive: true, force: true }));
    const fleet = new Fleet(dir, { clientsMax: 10 });
    open.push(() => fleet.close());
    await fleet.begin(earlier);
    for (const name of ["a", "b"]) await fleet.exchange(name, thisRelease);
    await until(() => {
      if (fleet.leader?.release === thisRelease) return true;
      void fleet.leader?.group.handOver("a").catch(() => {});
      return false;
    });
    const { group } = fleet.leader as Running;
    await group.propose(bytes("for all"));
    await until(() => fleet.nodes.get("c")?.journal.commands.join() === "for all");
    await expect(group.register()).rejects.toMatchObject({ code: "ERR_PAXOS_UNSUPPORTED" });
    // Nothing of it has come into any log: this one may still go back.
    await fleet.exchange("b", earlier);
    await fleet.exchange("b", thisRelease);
    await fleet.exchange("c", thisRelease);
    let client: number | undefined;
    while (client === undefined) {
      client = await fleet.leader?.group.register().catch(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const asked = { client, sequence: 1 };
    const ask = () => fleet.leader?.group.propose(bytes("once"), asked);
    expect([await ask(), await ask()]).toEqual([2, 2]);
    await until(() => [...fleet.nodes.values()].every(({ journal }) => journal.commands.join() === "for all,once"));
    // From here on there is no way back, and the earlier release says so.
    await fleet.stop("c");
    await expect(fleet.start("c", earlier)).rejects.toMatchObject({ code: "ERR_PAXOS_UNSUPPORTED" });
    for (const { host } of fleet.nodes.values()) expect(host.stats().messagesUnreadable).toBe(0);
  });

  it("know newcomers by their names alone before the last member reads marks, by their marks from then on, and the earlier one says that it cannot read that", async () => {
    const earlier = await earlierRelease("before-marks");
    const dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-upgrade-"));
    open.push(() => rm(dir, { recursive: true, force: true }));
    const fleet = new Fleet(dir);
    open.push(() => fleet.close());
    await fleet.begin(earlier);
    for (const name of ["a", "b"]) await fleet.exchange(name, thisRelease);
    const asLeader = async (ask: (group: Group<number>) => Promise<unknown>) => {
      for (;;) {
        await until(() => {
          if (fleet.leader?.release === thisRelease) return true;
          void fleet.leader?.group.handOver("a").catch(() => {});
          return false;
        });
        try {
          await ask((fleet.leader as Running).group);
          return;
        } catch (error) {
          const { code } = error as { code: string };
          if (code !== "ERR_PAXOS_NOT_LEADER" && code !== "ERR_PAXOS_UNKNOWN_OUTCOME") throw error;
        }
      }
    };
    const heardBy = (name: string, command: string) =>
      until(() => fleet.nodes.get(name)?.journal.commands.includes(command) === true);
    await fleet.start("d", thisRelease, "storage");
    await asLeader((group) => group.addStorageReplica({ node: "d" }));
    await asLeader((group) => group.propose(bytes("d is there")));
    await heardBy("c", "d is there");
    // It has read all of that, and reads it again.
    await fleet.exchange("c", earlier);
    await asLeader((group) => group.propose(bytes("c is back")));
    await heardBy("c", "c is back");
    await fleet.exchange("c", thisRelease);
    await fleet.start("e", thisRelease, "storage");
    await asLeader((group) => group.addStorageReplica({ node: "e" }));
    await asLeader((group) => group.propose(bytes("e is there")));
    for (const name of ["c", "d", "e"]) await heardBy(name, "e is there");
    // From here on there is no way back.
    await fleet.stop("c");
    await expect(fleet.start("c", earlier)).rejects.toMatchObject({ code: "ERR_PAXOS_UNSUPPORTED" });
    await fleet.start("c", thisRelease);
    await asLeader((group) => group.propose(bytes("all of them")));
    for (const name of ["c", "d", "e"]) await heardBy(name, "all of them");
  });

  it.each(["before-marks", "before-named-bonds", "before-clients", "before-doubts"])(
    "pass over, where they do not know of it, what this one tells a candidate of where its log begins: %s",
    async (name) => {
      const { GroupHost: Earlier } = await earlierRelease(name);
      const network = inProcessNetwork();
      const host = await Earlier.open({ ...tuning, transport: network.transport("c"), storage: memoryStorage() });
      open.push(() => host.close());
      const group = await host.join("g", { members: names, stateMachine: new Journal() });
      const b = network.transport("b");
      const tells = (message: Uint8Array) => {
        const head = Buffer.from([1, 1, "g".charCodeAt(0), message.length, 0, 0, 0]);
        b.send("c", Buffer.concat([head, message]));
      };
      tells(Buffer.from(lines("messages-v1-edge.txt")[0]?.split(" ")[1] as string, "hex"));
      // What comes behind it is the first that cannot be read.
      tells(Uint8Array.of(99, 1));
      await until(() => host.stats().messagesUnreadable > 0);
      expect(host.stats()).toMatchObject({ messagesReceived: 1, messagesForNobody: 0, messagesUnreadable: 1 });
      expect(group.status()).toMatchObject({ leading: false, chosenThrough: 0, failure: undefined });
    },
  );

  it("read the other one's log", async () => {
    const dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-upgrade-"));
    open.push(() => rm(dir, { recursive: true, force: true }));
    const ballot = { round: 1, node: "a" };
    let slot = 0;
    for (const release of [before, thisRelease, before, thisRelease]) {
      const wal = await Wal.open({ dir });
      const group = release.walStorage(wal)("g");
      const found = await group.load();
      expect(found.entries.at(-1)?.slot ?? 0).toBe(slot);
      const entry = { slot: ++slot, ballot, kind: "command" as const, command: bytes(`slot ${slot}`) };
      await group.write({ promised: ballot, accepted: ballot, entries: [entry], chosenThrough: slot - 1 });
      await group.remember(`node ${slot}`, `birth ${slot}`);
      await wal.close();
    }
    const wal = await Wal.open({ dir });
    open.push(() => wal.close());
    const state = await thisRelease.walStorage(wal)("g").load();
    expect(state).toMatchObject({ promised: ballot, accepted: ballot, chosenThrough: 3 });
    expect([...(state.births ?? [])].length).toBe(4);
  });
});
