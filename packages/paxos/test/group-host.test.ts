import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, describe, expect, it } from "vitest";
import {
  GroupHost,
  type GroupStorage,
  inProcessNetwork,
  type Leadership,
  memoryStorage,
  PaxosError,
} from "../src/index.js";
import { bytes, Journal, tuning, until } from "./support/cluster.js";
import { Nodes } from "./support/in-process.js";

const open: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function three(options?: ConstructorParameters<typeof Nodes>[1]): Promise<Nodes> {
  const nodes = new Nodes(["a", "b", "c"], options);
  open.push(() => nodes.close());
  return nodes.open();
}

function listen<T>(name: string): T[] {
  const seen: T[] = [];
  const onEvent = (event: unknown) => void seen.push(event as T);
  subscribe(name, onEvent);
  open.push(() => void unsubscribe(name, onEvent));
  return seen;
}

describe("a group on three nodes", () => {
  it("answers proposals in order with what apply returned, and applies the same everywhere", async () => {
    const nodes = await three();
    const leader = await nodes.leader();
    const results = await Promise.all(Array.from({ length: 100 }, (_, i) => leader.group.propose(bytes(`c${i}`))));
    expect(results).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    await until(() => [...nodes.running.values()].every((node) => node.journal.commands.length === 100));
    for (const node of nodes.running.values()) {
      expect(node.journal.commands).toEqual(Array.from({ length: 100 }, (_, i) => `c${i}`));
      expect(new Set(node.journal.slots).size).toBe(100);
    }
    expect(leader.group.status()).toMatchObject({
      leader: leader.nodeId,
      leading: true,
      ready: true,
      outstanding: 0,
      failure: undefined,
    });
  });

  it("tells a submitted command's slot at once, in the order of the calls", async () => {
    const nodes = await three();
    const leader = await nodes.leader();
    const before = leader.group.status().appliedThrough;
    const first = Array.from({ length: 5 }, (_, i) => leader.group.submit(bytes(`s${i}`)));
    await first[0]?.done;
    const second = leader.group.submit(bytes("later"));
    expect([...first, second].map(({ slot }) => slot)).toEqual([1, 2, 3, 4, 5, 6].map((n) => before + n));
    await Promise.all([...first, second].map(({ done }) => done));
    expect(leader.journal.slots.slice(-6)).toEqual([...first, second].map(({ slot }) => slot));
    expect(second.ballot).toEqual(leader.group.status().ballot);
  });

  it("reads everything acknowledged before, from the leader only", async () => {
    const nodes = await three();
    const leader = await nodes.leader();
    await leader.group.propose(bytes("x"));
    expect(await leader.group.read(() => leader.journal.commands.at(-1))).toBe("x");
    await expect(leader.group.read(() => Promise.reject(new Error("mine")))).rejects.toThrow("mine");
    const [follower] = nodes.others(leader);
    await expect(follower.group.read(() => 1)).rejects.toMatchObject({
      code: "ERR_PAXOS_NOT_LEADER",
      leader: leader.nodeId,
    });
    expect(() => follower.group.submit(bytes("y"))).toThrow(
      expect.objectContaining({ code: "ERR_PAXOS_NOT_LEADER", leader: leader.nodeId }),
    );
    await expect(follower.group.propose(bytes("y"))).rejects.toMatchObject({ code: "ERR_PAXOS_NOT_LEADER" });
  });

  it("tells its listeners who leads, and when it is ready", async () => {
    const nodes = new Nodes();
    open.push(() => nodes.close());
    const a = await nodes.start("a");
    const seen: Leadership[] = [];
    const stop = a.group.onLeadership((leadership) => seen.push(leadership));
    await nodes.start("b");
    await nodes.start("c");
    await nodes.leader();
    await until(() => seen.some(({ leader }) => leader !== undefined));
    const leader = await nodes.leader();
    if (leader === a) {
      expect(seen.map(({ leading, ready }) => [leading, ready]).slice(-2)).toEqual([
        [true, false],
        [true, true],
      ]);
    }
    stop();
    const count = seen.length;
    leader.group.resign();
    await until(() => [...nodes.running.values()].some((node) => node !== leader && node.group.status().ready));
    expect(seen.length).toBe(count);
  });

  it("refuses what is above its bound, and carries out everything that it took", async () => {
    const nodes = await three({ outstandingMax: 500 });
    const leader = await nodes.leader();
    const taken: Promise<number>[] = [];
    let refused = 0;
    for (let i = 0; i < 10_000; i++) {
      try {
        taken.push(leader.group.submit(bytes(`o${i}`)).done);
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_PAXOS_OVERLOADED" });
        refused++;
      }
    }
    expect([taken.length, refused]).toEqual([500, 9500]);
    await Promise.all(taken);
    await leader.group.propose(bytes("again"));
    expect(leader.journal.commands.length).toBe(501);
  });

  it("bounds the bytes under way and the size of one command", async () => {
    const nodes = await three({ outstandingBytesMax: 10_000, commandBytesMax: 4000 });
    const leader = await nodes.leader();
    expect(() => leader.group.submit(new Uint8Array(4001))).toThrow(
      expect.objectContaining({ code: "ERR_PAXOS_ARGUMENT" }),
    );
    const taken = [leader.group.submit(new Uint8Array(4000)).done, leader.group.submit(new Uint8Array(4000)).done];
    expect(() => leader.group.submit(new Uint8Array(4000))).toThrow(
      expect.objectContaining({ code: "ERR_PAXOS_OVERLOADED" }),
    );
    expect(await Promise.all(taken)).toEqual([1, 2]);
  });

  it("says that an outcome is unknown when leadership is lost, and never carries a command out twice", async () => {
    const nodes = await three();
    const old = await nodes.leader();
    await old.group.propose(bytes("before"));
    nodes.network.isolate(old.nodeId);
    const lost = old.group.submit(bytes("lost?"));
    const read = old.group.read(() => "stale");
    const others = nodes.others(old).map(({ nodeId }) => nodeId);
    const next = await nodes.leader(others);
    await next.group.propose(bytes("after"));
    await expect(lost.done).rejects.toMatchObject({ code: "ERR_PAXOS_UNKNOWN_OUTCOME" });
    // Either the lease still ran when it was asked, and then nothing newer had been acknowledged, or it was refused.
    await read.catch((error: unknown) => expect(error).toMatchObject({ code: "ERR_PAXOS_NOT_LEADER" }));
    nodes.network.heal();
    await until(() => old.journal.commands.includes("after"));
    expect(old.journal.commands.filter((command) => command === "lost?").length).toBeLessThanOrEqual(1);
    await until(() => old.journal.commands.length === next.journal.commands.length);
    expect(old.journal.commands).toEqual(next.journal.commands);
  });

  it("lets the event loop turn however fast its reads are answered and asked again", async () => {
    const nodes = await three({ leaseMs: 5000 });
    const leader = await nodes.leader();
    let turned = false;
    let answered = 0;
    setImmediate(() => {
      turned = true;
    });
    const reader = async () => {
      while (!turned && answered < 100_000) {
        await leader.group.read(() => undefined);
        answered++;
      }
    };
    await Promise.all(Array.from({ length: 10 }, reader));
    expect(turned).toBe(true);
    expect(answered).toBeLessThan(1000);
  });

  it("answers many reads at once, and refuses those above the bound", async () => {
    const nodes = await three({ readsMax: 500, leaseMs: 5000 });
    const leader = await nodes.leader();
    const reads = Array.from({ length: 1000 }, (_, i) => leader.group.read(() => i));
    const outcomes = await Promise.allSettled(reads);
    const refused = outcomes.filter(({ status }) => status === "rejected");
    // The first are answered at once, five hundred wait for the end of the turn.
    expect(refused.length).toBe(1000 - 256 - 500);
    for (const outcome of refused) expect(outcome).toMatchObject({ reason: { code: "ERR_PAXOS_OVERLOADED" } });
    expect(outcomes[0]).toMatchObject({ value: 0 });
    expect(outcomes[755]).toMatchObject({ value: 755 });
  });

  it("hands leadership on quickly when asked to", async () => {
    const nodes = await three();
    const old = await nodes.leader();
    old.group.resign();
    expect(old.group.status().leading).toBe(false);
    const next = await nodes.leader(nodes.others(old).map(({ nodeId }) => nodeId));
    await next.group.propose(bytes("x"));
    expect(next.nodeId).not.toBe(old.nodeId);
  });

  it("gives up waiting when a signal says so, not the command", async () => {
    const nodes = await three();
    const leader = await nodes.leader();
    const gone = new AbortController();
    const waiting = leader.group.propose(bytes("aborted"), { signal: gone.signal });
    gone.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(leader.group.propose(bytes("never"), { signal: gone.signal })).rejects.toThrow("enough");
    await leader.group.propose(bytes("next"));
    expect(leader.journal.commands).toEqual(["aborted", "next"]);
  });

  it("lets a state machine call back into its group", async () => {
    const nodes = await three();
    const leader = await nodes.leader();
    const reads: Promise<number>[] = [];
    leader.journal.onApply = () => {
      if (reads.length < 3) reads.push(leader.group.read(() => leader.journal.commands.length));
    };
    await Promise.all(["p", "q", "r"].map((text) => leader.group.propose(bytes(text))));
    expect(Math.min(...(await Promise.all(reads)))).toBeGreaterThan(0);
    expect(leader.journal.commands).toEqual(["p", "q", "r"]);
  });
});

describe("a replica in trouble", () => {
  it("stops loudly when apply throws, and the others go on", async () => {
    const stopped = listen<{ nodeId: string; groupId: string }>("evenkeel:paxos:stopped");
    const nodes = await three();
    const leader = await nodes.leader();
    await leader.group.propose(bytes("good"));
    leader.journal.onApply = () => {
      throw new Error("no room");
    };
    await expect(leader.group.propose(bytes("bad"))).rejects.toMatchObject({
      code: "ERR_PAXOS_APPLY",
      cause: { message: "no room" },
    });
    expect(leader.group.status().failure).toMatchObject({ code: "ERR_PAXOS_APPLY" });
    expect(() => leader.group.submit(bytes("x"))).toThrow(expect.objectContaining({ code: "ERR_PAXOS_APPLY" }));
    expect(stopped.map(({ nodeId, groupId }) => [nodeId, groupId])).toEqual([[leader.nodeId, "g"]]);
    const next = await nodes.leader(nodes.others(leader).map(({ nodeId }) => nodeId));
    await next.group.propose(bytes("on"));
    expect(next.journal.commands).toEqual(["good", "bad", "on"]);
  });

  it("calls it a failure of apply also when apply threw one of our own errors", async () => {
    const stopped = listen<{ nodeId: string }>("evenkeel:paxos:stopped");
    const nodes = await three();
    const leader = await nodes.leader();
    const [follower] = nodes.others(leader);
    const elsewhere = new PaxosError("ERR_PAXOS_CLOSED", "another group's host is closed");
    follower.journal.onApply = () => {
      throw elsewhere;
    };
    await leader.group.propose(bytes("x"));
    await until(() => follower.group.status().failure !== undefined);
    expect(follower.group.status().failure).toMatchObject({ code: "ERR_PAXOS_APPLY", cause: elsewhere });
    expect(stopped.map(({ nodeId }) => nodeId)).toEqual([follower.nodeId]);
  });

  it("steps down when its log fails, and the others go on", async () => {
    const nodes = new Nodes();
    open.push(() => nodes.close());
    let broken: string | undefined;
    for (const name of nodes.names) {
      const memory = memoryStorage();
      nodes.disks.set(name, (groupId) => breakable(memory(groupId), () => broken === name));
    }
    await nodes.open();
    const leader = await nodes.leader();
    broken = leader.nodeId;
    // The leader's own log fails; the others may have chosen it all the same.
    await expect(leader.group.propose(bytes("x"))).rejects.toMatchObject({ code: "ERR_PAXOS_UNKNOWN_OUTCOME" });
    expect(leader.group.status()).toMatchObject({
      leading: false,
      failure: { code: "ERR_PAXOS_STORAGE", cause: { message: "EIO" } },
    });
    const next = await nodes.leader(nodes.others(leader).map(({ nodeId }) => nodeId));
    await next.group.propose(bytes("y"));
    expect(next.journal.commands.at(-1)).toBe("y");
  });

  it("is not held up by one slow disk among the followers", async () => {
    const nodes = new Nodes();
    open.push(() => nodes.close());
    let slow: string | undefined;
    const held: (() => void)[] = [];
    for (const name of nodes.names) {
      const memory = memoryStorage();
      nodes.disks.set(name, (groupId) => {
        const group = memory(groupId);
        const write = group.write.bind(group);
        group.write = async (w) => {
          if (slow === name) await new Promise<void>((resolve) => held.push(resolve));
          return write(w);
        };
        return group;
      });
    }
    await nodes.open();
    const leader = await nodes.leader();
    const [lagging] = nodes.others(leader);
    slow = lagging.nodeId;
    for (let i = 0; i < 50; i++) await leader.group.propose(bytes(`s${i}`));
    expect(lagging.journal.commands.length).toBe(0);
    slow = undefined;
    for (const release of held.splice(0)) release();
    await until(() => lagging.journal.commands.length === 50);
  });

  it("close waits for a trim under way, and does not wait for ever for a write that threw", async () => {
    const nodes = new Nodes(["a"]);
    open.push(() => nodes.close());
    const memory = memoryStorage()("g");
    let broken = false;
    let trimmed: () => void = () => {};
    nodes.disks.set("a", () => ({
      load: () => memory.load(),
      read: (from, through, bytesMax) => memory.read(from, through, bytesMax),
      write: (write) => {
        if (broken) throw new Error("EIO");
        return memory.write(write);
      },
      trim: () =>
        new Promise<void>((resolve) => {
          trimmed = resolve;
        }),
      markInstall: (position) => memory.markInstall(position),
      remember: (node, birth) => memory.remember(node, birth),
      trimmedThrough: 0,
      base: undefined,
    }));
    await nodes.open();
    const { group, host } = await nodes.leader();
    const trim = group.trim(1);
    broken = true;
    await expect(group.propose(bytes("x"))).rejects.toMatchObject({ code: "ERR_PAXOS_UNKNOWN_OUTCOME" });
    let closed = false;
    const closing = host.close().then(() => {
      closed = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(closed).toBe(false);
    trimmed();
    await Promise.all([trim, closing]);
  });

  it("close waits for a replay under way, which then is refused", async () => {
    const memory = memoryStorage()("g");
    let loaded: () => void = () => {};
    const host = await GroupHost.open({
      transport: inProcessNetwork().transport("a"),
      storage: () => ({
        load: async () => {
          await new Promise<void>((resolve) => {
            loaded = resolve;
          });
          return memory.load();
        },
        read: (from, through, bytesMax) => memory.read(from, through, bytesMax),
        write: (write) => memory.write(write),
        trim: (throughSlot, founders) => memory.trim(throughSlot, founders),
        markInstall: (position) => memory.markInstall(position),
        remember: (node, birth) => memory.remember(node, birth),
        get base() {
          return memory.base;
        },
        trimmedThrough: 0,
      }),
    });
    const ends: string[] = [];
    const joining = host.join("g", { members: ["a"], stateMachine: new Journal() }).catch((error: PaxosError) => {
      ends.push(error.code);
    });
    const closing = host.close().then(() => ends.push("closed"));
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(ends).toEqual([]);
    loaded();
    await Promise.all([joining, closing]);
    expect(ends.sort()).toEqual(["ERR_PAXOS_CLOSED", "closed"]);
  });

  it("close leaves nobody waiting and nothing running", async () => {
    const nodes = await three();
    const leader = await nodes.leader();
    for (const other of nodes.others(leader)) nodes.network.isolate(other.nodeId);
    const pending = [leader.group.propose(bytes("x")), leader.group.propose(bytes("y"))];
    const outcomes = Promise.allSettled(pending);
    await Promise.all([leader.host.close(), leader.host.close()]);
    for (const outcome of await outcomes)
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_PAXOS_UNKNOWN_OUTCOME" } });
    expect(() => leader.group.submit(bytes("z"))).toThrow(expect.objectContaining({ code: "ERR_PAXOS_CLOSED" }));
    await expect(leader.group.read(() => 1)).rejects.toMatchObject({ code: "ERR_PAXOS_CLOSED" });
    await expect(leader.host.join("h", { members: nodes.names, stateMachine: new Journal() })).rejects.toMatchObject({
      code: "ERR_PAXOS_CLOSED",
    });
    expect(leader.host.stats()).toMatchObject({ groups: 0, outstanding: 0 });
  });
});

describe("a node that comes back", () => {
  it("replays exactly what its state machine lacks", async () => {
    const nodes = await three();
    const leader = await nodes.leader();
    for (let i = 0; i < 30; i++) await leader.group.propose(bytes(`r${i}`));
    const [follower] = nodes.others(leader);
    await until(() => follower.journal.commands.length === 30);
    await follower.host.close();
    const resumed = new Journal();
    resumed.appliedThrough = follower.journal.slots[19] as number;
    const again = await nodes.start(follower.nodeId, resumed);
    await until(() => again.journal.commands.length === 10);
    expect(again.journal.commands).toEqual(Array.from({ length: 10 }, (_, i) => `r${i + 20}`));
    await leader.group.propose(bytes("r30"));
    await until(() => again.journal.commands.at(-1) === "r30");
    expect(again.journal.commands.length).toBe(11);
  });

  it("catches up on more than the leader keeps in memory", async () => {
    const nodes = await three({ tailBytesMax: 10_000, messageBytesMax: 5000 });
    const leader = await nodes.leader();
    const [away] = nodes.others(leader);
    nodes.network.isolate(away.nodeId);
    for (let i = 0; i < 200; i++) await leader.group.propose(bytes(`${i}`.padStart(500, "-")));
    nodes.network.heal();
    await until(() => away.journal.commands.length === 200);
    expect(away.journal.commands).toEqual(leader.journal.commands);
  });

  it("is refused when its log has lost what its state machine has applied, or has let go of what it lacks", async () => {
    const network = inProcessNetwork();
    const storage = memoryStorage();
    const host = await GroupHost.open({ ...tuning, transport: network.transport("a"), storage });
    open.push(() => host.close());
    const ahead = new Journal();
    ahead.appliedThrough = 7;
    await expect(host.join("lost", { members: ["a"], stateMachine: ahead })).rejects.toMatchObject({
      code: "ERR_PAXOS_CORRUPT",
    });
    const group = await host.join("g", { members: ["a"], stateMachine: new Journal() });
    await until(() => group.status().ready);
    for (let i = 0; i < 10; i++) await group.propose(bytes("x"));
    await group.trim(5);
    await host.leave("g");
    await expect(host.join("g", { members: ["a"], stateMachine: new Journal() })).rejects.toMatchObject({
      code: "ERR_PAXOS_TRIMMED",
    });
    const good = new Journal();
    good.appliedThrough = 5;
    await host.join("g", { members: ["a"], stateMachine: good });
    await until(() => good.commands.length === 6);
  });
});

describe("the log of a group", () => {
  it("is refused, not kept waiting for ever, by a storage that gives back nothing", async () => {
    const nodes = new Nodes(["a"]);
    open.push(() => nodes.close());
    const memory = memoryStorage()("g");
    await memory.write({ entries: [{ slot: 1, ballot: { round: 1, node: "a" }, kind: "noop", command: bytes("") }] });
    await memory.write({ promised: { round: 1, node: "a" }, accepted: { round: 1, node: "a" }, chosenThrough: 1 });
    nodes.disks.set("a", () => ({
      load: () => memory.load(),
      read: () => Promise.resolve([]),
      write: (write) => memory.write(write),
      trim: (throughSlot, founders) => memory.trim(throughSlot, founders),
      markInstall: (position) => memory.markInstall(position),
      remember: (node, birth) => memory.remember(node, birth),
      get base() {
        return memory.base;
      },
      trimmedThrough: 0,
    }));
    await expect(nodes.open()).rejects.toMatchObject({ code: "ERR_PAXOS_CORRUPT" });
  });

  it("gives back chosen entries until they are trimmed, never beyond what is applied", async () => {
    const nodes = await three();
    const leader = await nodes.leader();
    for (let i = 0; i < 20; i++) await leader.group.propose(bytes(`e${i}`));
    const { appliedThrough } = leader.group.status();
    const read = async (range: { from?: number; through?: number }) => {
      const texts: string[] = [];
      for await (const { kind, command } of leader.group.entries(range))
        texts.push(kind === "noop" ? "-" : Buffer.from(command).toString("utf8"));
      return texts;
    };
    expect((await read({})).filter((text) => text !== "-")).toEqual(leader.journal.commands);
    expect(await read({ from: appliedThrough - 2 })).toEqual(["e17", "e18", "e19"]);
    expect(await read({ from: appliedThrough - 2, through: appliedThrough - 1 })).toEqual(["e17", "e18"]);
    await expect(read({ through: appliedThrough + 1 })).rejects.toMatchObject({ code: "ERR_PAXOS_ARGUMENT" });
    await expect(leader.group.trim(appliedThrough + 1)).rejects.toMatchObject({ code: "ERR_PAXOS_ARGUMENT" });
    await leader.group.trim(appliedThrough - 3);
    await expect(read({ from: appliedThrough - 3 })).rejects.toMatchObject({ code: "ERR_PAXOS_TRIMMED" });
    expect(await read({})).toEqual(["e17", "e18", "e19"]);
    expect(leader.group.status().trimmedThrough).toBe(appliedThrough - 3);
  });

  it("says who needs a snapshot because what it lacks is trimmed", async () => {
    const needed = listen<{ nodeId: string; to: string; fromSlot: number }>("evenkeel:paxos:snapshot-needed");
    const nodes = await three({ tailBytesMax: 1000 });
    const leader = await nodes.leader();
    const [away] = nodes.others(leader);
    nodes.network.isolate(away.nodeId);
    for (let i = 0; i < 50; i++) await leader.group.propose(bytes("x".repeat(200)));
    await leader.group.trim(40);
    nodes.network.heal();
    await until(() => needed.some(({ to, fromSlot }) => to === away.nodeId && fromSlot <= 40));
    await leader.group.propose(bytes("goes on"));
  });
});

describe("many groups on three nodes", () => {
  it("are led and written to side by side, several messages to an envelope", async () => {
    const network = inProcessNetwork();
    const names = ["a", "b", "c"];
    const hosts = await Promise.all(
      names.map((name) =>
        GroupHost.open({ ...tuning, leaseMs: 5000, transport: network.transport(name), storage: memoryStorage() }),
      ),
    );
    open.push(() => Promise.all(hosts.map((host) => host.close())));
    const ids = Array.from({ length: 40 }, (_, i) => `t/${i}`);
    const groups = await Promise.all(
      hosts.map((host) => Promise.all(ids.map((id) => host.join(id, { members: names, stateMachine: new Journal() })))),
    );
    const leaderOf = (index: number) => groups.map((row) => row[index]).find((group) => group?.status().ready);
    await until(() => ids.every((_, index) => leaderOf(index) !== undefined));
    const before = hosts.map((host) => host.stats());
    await Promise.all(ids.flatMap((id, index) => [1, 2, 3].map((n) => leaderOf(index)?.propose(bytes(`${id}:${n}`)))));
    for (const [index, id] of ids.entries()) {
      const leader = leaderOf(index);
      expect(await leader?.read(() => leader.status().appliedThrough)).toBeGreaterThanOrEqual(4);
      expect(leader?.groupId).toBe(id);
    }
    const sum = (key: "messagesSent" | "envelopesSent") =>
      hosts.reduce((total, host, i) => total + host.stats()[key] - (before[i]?.[key] ?? 0), 0);
    expect(sum("envelopesSent")).toBeLessThan(sum("messagesSent") / 2);
  });

  it("survive messages that nobody can read, and for groups that are not here", async () => {
    const network = inProcessNetwork();
    const host = await GroupHost.open({ ...tuning, transport: network.transport("a"), storage: memoryStorage() });
    open.push(() => host.close());
    const stranger = network.transport("b");
    for (const wrong of [
      Uint8Array.of(),
      Uint8Array.of(9, 1, 2),
      Uint8Array.of(1, 200),
      Uint8Array.of(1, 1, 103, 255, 255, 255, 255),
    ]) {
      stranger.send("a", wrong);
    }
    stranger.send("a", Uint8Array.of(1, 1, 103, 0, 0, 0, 0));
    const group = await host.join("h", { members: ["a"], stateMachine: new Journal() });
    stranger.send("a", Uint8Array.of(1, 1, 104, 2, 0, 0, 0, 99, 99));
    await until(() => host.stats().messagesForNobody === 1 && host.stats().messagesUnreadable === 5);
    await until(() => group.status().ready);
    expect(await group.propose(bytes("alone"))).toBe(1);
  });

  it("names wrong arguments", async () => {
    const transport = inProcessNetwork().transport("a");
    const storage = memoryStorage();
    const wrongs: readonly Record<string, unknown>[] = [
      { tickMs: 0 },
      { outstandingMax: -1 },
      { nodeId: "b" },
      // Those that are each group's own as well, which would otherwise be found when the first group is joined.
      { heartbeatMs: Number.NaN },
      { leaseMs: "300" },
      { leaseReads: "no" },
      { clockDriftMax: -0.1 },
      { commandBytesMax: 0 },
      { readsMax: 1.5 },
    ];
    for (const wrong of wrongs) {
      await expect(GroupHost.open({ transport, storage, ...wrong })).rejects.toMatchObject({
        code: "ERR_PAXOS_ARGUMENT",
        message: expect.stringContaining(Object.keys(wrong)[0] ?? ""),
      });
    }
    await expect(GroupHost.open(undefined as never)).rejects.toMatchObject({ code: "ERR_PAXOS_ARGUMENT" });
    const host = await GroupHost.open({ transport, storage });
    open.push(() => host.close());
    const stateMachine = new Journal();
    await host.join("g", { members: ["a"], stateMachine });
    await expect(host.join("g", { members: ["a"], stateMachine })).rejects.toMatchObject({
      code: "ERR_PAXOS_ARGUMENT",
    });
    await expect(host.join("", { members: ["a"], stateMachine })).rejects.toMatchObject({ code: "ERR_PAXOS_ARGUMENT" });
    await expect(host.join("x", { members: ["b"], stateMachine })).rejects.toMatchObject({
      code: "ERR_PAXOS_ARGUMENT",
    });
  });
});

function breakable(storage: GroupStorage, isBroken: () => boolean): GroupStorage {
  return {
    load: () => storage.load(),
    write: async (write) => {
      if (isBroken()) throw new Error("EIO");
      return storage.write(write);
    },
    read: (from, through, bytesMax) => storage.read(from, through, bytesMax),
    trim: (throughSlot, founders) => storage.trim(throughSlot, founders),
    markInstall: (position) => storage.markInstall(position),
    remember: (node, birth) => storage.remember(node, birth),
    get base() {
      return storage.base;
    },
    get trimmedThrough() {
      return storage.trimmedThrough;
    },
  };
}
