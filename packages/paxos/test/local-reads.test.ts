import { getEventListeners } from "node:events";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { LocalReadOptions } from "../src/host/group.js";
import { type LocalReadParts, LocalReads } from "../src/host/local-reads.js";
import { bytes, Journal, until } from "./support/cluster.js";
import { type Node, Nodes } from "./support/in-process.js";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function three(options: ConstructorParameters<typeof Nodes>[1] = {}): Promise<{ nodes: Nodes; leader: Node }> {
  const nodes = new Nodes(undefined, options);
  open.push(() => nodes.close());
  for (const name of nodes.names) await nodes.start(name);
  return { nodes, leader: await nodes.leader() };
}

/** Sees everything acknowledged before it, and waits for as long as that takes: without a signal it would be refused where the machine stands still for a while. */
const newest = () => ({ maxStaleMs: 0, signal: new AbortController().signal });
const count = (node: Node) => () => node.journal.commands.length;

describe("who may read at once", () => {
  it("is the leader, while its lease runs", async () => {
    let aheadMs = 0;
    const { nodes, leader } = await three({ now: () => performance.now() + aheadMs });
    await leader.group.propose(bytes("one"));
    await until(() => leader.group.mayReadNow());
    expect(nodes.others(leader).map(({ group }) => group.mayReadNow())).toEqual([false, false]);
    aheadMs += 300;
    expect(leader.group.mayReadNow()).toBe(false);
  });

  it("is nobody without leases, and nobody where the group has stopped", async () => {
    const { leader } = await three({ leaseReads: false });
    await leader.group.propose(bytes("one"));
    expect(leader.group.mayReadNow()).toBe(false);
    const leased = await three();
    await until(() => leased.leader.group.mayReadNow());
    await leased.nodes.drop(leased.leader.nodeId);
    expect(leased.leader.group.mayReadNow()).toBe(false);
  });

  it("is not asked for ever in one turn, nor in the middle of a command", async () => {
    let stoodMs: number | undefined;
    const { leader } = await three({ now: () => stoodMs ?? performance.now() });
    const mayReadNow = () => leader.group.mayReadNow();
    const amidst: boolean[] = [];
    leader.journal.onApply = () => amidst.push(mayReadNow());
    await leader.group.propose(bytes("one"));
    expect(amidst).toEqual([false]);
    // From here on time stands still, within the lease.
    await until(() => {
      stoodMs = performance.now();
      if (!mayReadNow()) stoodMs = undefined;
      return stoodMs !== undefined;
    });
    for (const turn of ["one", "the next"]) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(Array.from({ length: 1_000 }, mayReadNow).lastIndexOf(true), turn).toBe(255);
      expect(await leader.group.read(count(leader))).toBe(1);
    }
  });
});

describe("a read of a replica's own state", () => {
  it("is answered anywhere, with the applied slot and an age; on a leader with a lease the age is nothing", async () => {
    const { nodes, leader } = await three();
    await leader.group.propose(bytes("one"));
    const here = await leader.group.readLocal(count(leader));
    expect(here).toEqual({ value: 1, appliedThrough: leader.group.status().appliedThrough, ageMs: 0 });
    for (const follower of nodes.others(leader)) {
      await until(() => follower.journal.commands.length === 1);
      let ageMs = Number.POSITIVE_INFINITY;
      // The first one may know nothing yet; it has the leader asked in passing.
      for (; ageMs === Number.POSITIVE_INFINITY; await new Promise((resolve) => setImmediate(resolve))) {
        const read = await follower.group.readLocal(count(follower));
        expect(read).toMatchObject({ value: 1, appliedThrough: follower.group.status().appliedThrough });
        ageMs = read.ageMs;
      }
      expect(ageMs).toBeGreaterThan(0);
    }
  });

  it.each([true, false])(
    "with a bound of nothing sees everything acknowledged before it (leases: %s)",
    async (leaseReads) => {
      const { nodes, leader } = await three({ leaseReads });
      const everybody = [leader, ...nodes.others(leader)];
      for (let n = 1; n <= 20; n++) {
        await leader.group.propose(bytes(`${n}`));
        const reads = everybody.map((node) => node.group.readLocal(count(node), newest()));
        for (const { value } of await Promise.all(reads)) expect(value).toBe(n);
      }
    },
  );

  it("does not ask for each of many reads at once", async () => {
    const { nodes, leader } = await three();
    const [follower] = nodes.others(leader);
    await leader.group.propose(bytes("one"));
    const before = follower.host.stats().messagesReceived;
    const reads = Array.from({ length: 2_000 }, () => follower.group.readLocal(count(follower), newest()));
    for (const { value } of await Promise.all(reads)) expect(value).toBe(1);
    expect(follower.host.stats().messagesReceived - before).toBeLessThan(100);
  });

  it("grows old on a replica that is cut off, still answers without a bound, and says so with one", async () => {
    const { nodes, leader } = await three();
    const [follower] = nodes.others(leader);
    await leader.group.propose(bytes("one"));
    await follower.group.readLocal(count(follower), newest());
    nodes.network.isolate(follower.nodeId);
    await leader.group.propose(bytes("two"));
    const { ageMs } = await follower.group.readLocal(count(follower));
    const stale = follower.group.readLocal(count(follower), { maxStaleMs: 0 });
    await expect(stale).rejects.toMatchObject({ code: "ERR_PAXOS_STALE" });
    const later = await follower.group.readLocal(count(follower));
    expect(later.value).toBe(1);
    expect(later.ageMs).toBeGreaterThan(ageMs);
    // What is old enough to be within a wide bound is answered at once.
    expect(await follower.group.readLocal(count(follower), { maxStaleMs: 3_600_000 })).toMatchObject({ value: 1 });
    const given = new AbortController();
    const waiting = follower.group.readLocal(count(follower), { maxStaleMs: 0, signal: given.signal });
    given.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    // With a signal it waits for as long as that takes.
    const patient = follower.group.readLocal(count(follower), newest());
    nodes.network.heal();
    expect(await patient).toMatchObject({ value: 2 });
  });

  it("finds the next leader when the one that it asked has died", async () => {
    const { nodes, leader } = await three();
    const [follower] = nodes.others(leader);
    await leader.group.propose(bytes("one"));
    await nodes.drop(leader.nodeId);
    expect(await follower.group.readLocal(count(follower), newest())).toMatchObject({ value: 1 });
  });

  it("is refused where there is no state, and where the bound makes no sense; a stopped group tells who waits", async () => {
    const { nodes, leader } = await three();
    const log = await nodes.start("l", new Journal(), { role: "log" });
    const refused = { code: "ERR_PAXOS_ARGUMENT" };
    await expect(log.group.readLocal(() => 1)).rejects.toMatchObject(refused);
    for (const maxStaleMs of [-1, Number.NaN])
      await expect(leader.group.readLocal(() => 1, { maxStaleMs })).rejects.toMatchObject(refused);
    // Under another name it would be no bound at all.
    await expect(leader.group.readLocal(() => 1, { maxStaleMS: 5 } as never)).rejects.toMatchObject(refused);
    const [follower] = nodes.others(leader);
    nodes.network.isolate(follower.nodeId);
    const { signal } = new AbortController();
    const waiting = follower.group.readLocal(() => 1, { maxStaleMs: 0, signal });
    const told = expect(waiting).rejects.toMatchObject({ code: "ERR_PAXOS_CLOSED" });
    await nodes.drop(follower.nodeId);
    await told;
    await expect(follower.group.readLocal(() => 1)).rejects.toMatchObject({ code: "ERR_PAXOS_CLOSED" });
  });

  it("does not wait in any number", async () => {
    const { nodes, leader } = await three({ readsMax: 2 });
    const [follower] = nodes.others(leader);
    nodes.network.isolate(follower.nodeId);
    const reads = [1, 2, 3].map(() => follower.group.readLocal(() => 1, { maxStaleMs: 0 }));
    const codes = await Promise.all(reads.map((read) => read.catch((error: { code: string }) => error.code)));
    expect(codes).toEqual(["ERR_PAXOS_STALE", "ERR_PAXOS_STALE", "ERR_PAXOS_OVERLOADED"]);
  });

  it("is, each time, the state at the slot that it tells, no older than it tells, and refused where it would be", async () => {
    const { nodes, leader } = await three();
    const acknowledged: { atMs: number; count: number }[] = [];
    const reads: { value: number; appliedThrough: number; ageMs: number; atMs: number; sinceMs: number }[] = [];
    const seen = { refused: 0, waited: 0, aged: 0, written: 0 };
    let over = false;
    const write = async () => {
      while (!over) {
        try {
          const leads = [...nodes.running.values()].find(({ group }) => group.status().ready) ?? leader;
          const count = await leads.group.propose(bytes("one more"));
          acknowledged.push({ atMs: performance.now(), count });
          seen.written++;
        } catch {
          // Whoever leads now: what is acknowledged is what counts.
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    const read = async (node: Node, bounds: readonly (number | undefined)[]) => {
      for (let turn = 0; !over; turn++) {
        const maxStaleMs = bounds[turn % bounds.length];
        const calledMs = performance.now();
        const state = () => ({ value: node.journal.commands.length, atMs: performance.now() });
        try {
          const { value, ...told } = await node.group.readLocal(state, maxStaleMs === undefined ? {} : { maxStaleMs });
          reads.push({ ...value, ...told, sinceMs: calledMs - (maxStaleMs ?? Number.POSITIVE_INFINITY) });
          if (told.ageMs > 0 && Number.isFinite(told.ageMs)) seen.aged++;
          if (maxStaleMs !== undefined && value.atMs > calledMs) seen.waited++;
        } catch (error) {
          expect(error).toMatchObject({ code: "ERR_PAXOS_STALE" });
          seen.refused++;
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    const [cut, other] = nodes.others(leader);
    const all = [
      write(),
      read(leader, [undefined, 0]),
      read(cut, [undefined, 0, 20, 1000]),
      read(other, [undefined, 0, 20]),
    ];
    await until(() => seen.written > 50 && seen.aged > 10 && seen.waited > 10);
    nodes.network.isolate(cut.nodeId);
    await until(() => seen.refused > 0);
    nodes.network.heal();
    const through = seen.waited;
    await until(() => seen.waited > through + 5);
    over = true;
    await Promise.all(all);
    await until(() => new Set([leader, cut, other].map(({ journal }) => journal.commands.length)).size === 1);
    for (const { value, appliedThrough, ageMs, atMs, sinceMs } of reads) {
      expect(value).toBe(leader.journal.slots.filter((slot) => slot <= appliedThrough).length);
      const missing = acknowledged.filter(({ count }) => count > value);
      expect(missing.filter((one) => one.atMs < atMs - ageMs || one.atMs < sinceMs)).toEqual([]);
    }
  });
});

describe("the state of who leads, or thinks so", () => {
  const ballot = { round: 1, node: "a" };
  /** One that leads, with a clock, a lease and a majority of our own. */
  function leading({ tickMs = 0 } = {}) {
    const table = {
      nowMs: 1000,
      leaseUntilMs: 1100,
      ready: true,
      /** What it asks its majority for. */
      asked: [] as (() => void)[],
    };
    const now = () => {
      table.nowMs += tickMs;
      return table.nowMs;
    };
    const parts = {
      knownMs: undefined,
      groupId: "g",
      home: { settings: { now, random: () => 0, readsMax: 10, tuning: {} } },
      role: "storage",
      core: { knownChosen: 5, leaseRemainingMs: (nowMs: number) => Math.max(0, table.leaseUntilMs - nowMs) },
      applier: { appliedThrough: 5 },
      leadership: () => ({ leading: true, ready: table.ready, ballot, leader: "a" }),
      read: (fn: () => number) => new Promise((resolve) => table.asked.push(() => resolve(fn()))),
      post: () => {},
      refuseIfStopped: () => {},
    };
    const reads = new LocalReads(parts as unknown as LocalReadParts);
    const ageMs = async () => (await reads.read(() => "state")).ageMs;
    /** A read of what is newest, and whether it has been answered. */
    const newestRead = (options: LocalReadOptions = newest()) => {
      const read = { answered: false, refused: undefined as unknown };
      reads
        .read(() => "state", options)
        .then(
          () => {
            read.answered = true;
          },
          (error: unknown) => {
            read.refused = error;
          },
        );
      return read;
    };
    return Object.assign(table, { ageMs, newestRead });
  }
  /** Until everything that needs no clock has happened. */
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  it("is new while its lease runs, and from its end on as old as anybody's, until a majority has said that it leads", async () => {
    const one = leading();
    expect(await one.ageMs()).toBe(0);
    one.nowMs = 1099;
    expect(await one.ageMs()).toBe(0);
    expect(one.asked).toEqual([]);
    one.nowMs = 1189;
    expect(await one.ageMs()).toBeCloseTo(100);
    const read = one.newestRead();
    await settled();
    expect(read.answered).toBe(false);
    for (const confirm of one.asked) confirm();
    await settled();
    expect(read.answered).toBe(true);
  });

  it("is of an age that nobody knows before its first own entry is applied, whatever lease it has", async () => {
    const one = leading();
    one.ready = false;
    const read = one.newestRead();
    expect(await one.ageMs()).toBe(Number.POSITIVE_INFINITY);
    await settled();
    expect(read.answered).toBe(false);
    one.ready = true;
    expect(await one.ageMs()).toBe(0);
  });

  it("is waited for through two leases, or until a signal that leaves nothing behind; who has given up takes nobody's place", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const one = leading();
      one.leaseUntilMs = 0;
      const given = new AbortController();
      const { signal } = given;
      const listening = () => getEventListeners(signal, "abort").length;
      const [impatient, patient] = [one.newestRead({ maxStaleMs: 0 }), one.newestRead({ maxStaleMs: 0, signal })];
      expect(listening()).toBe(1);
      for (let lease = 1; lease <= 10; lease++) {
        one.nowMs += 300;
        await vi.advanceTimersByTimeAsync(300);
        const refused = lease < 2 ? undefined : { code: "ERR_PAXOS_STALE" };
        expect([impatient.refused, patient]).toMatchObject([refused, { answered: false, refused: undefined }]);
      }
      for (const confirm of one.asked.splice(0)) confirm();
      await settled();
      expect([patient.answered, listening()]).toEqual([true, 0]);
      // As many as may wait.
      one.nowMs += 10;
      const waiting = Array.from({ length: 10 }, () => one.newestRead({ maxStaleMs: 0, signal }));
      given.abort(new Error("enough"));
      await settled();
      expect(waiting.map(({ refused }) => refused)).toEqual(Array.from({ length: 10 }, () => signal.reason));
      const [next, late] = [one.newestRead(), one.newestRead({ maxStaleMs: 0, signal })];
      await settled();
      expect([next, late]).toMatchObject([{ answered: false, refused: undefined }, { refused: signal.reason }]);
      one.leaseUntilMs = Number.POSITIVE_INFINITY;
      const fresh = new AbortController();
      const atOnce = one.newestRead({ maxStaleMs: 0, signal: fresh.signal });
      await settled();
      expect([atOnce.answered, getEventListeners(fresh.signal, "abort").length]).toEqual([true, 0]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("is asked for once for a read: by a question that left after the read came", async () => {
    const one = leading({ tickMs: 1 });
    one.leaseUntilMs = 0;
    const read = one.newestRead();
    expect(one.asked.length).toBe(1);
    one.asked[0]?.();
    await settled();
    expect(read.answered).toBe(true);
  });
});
