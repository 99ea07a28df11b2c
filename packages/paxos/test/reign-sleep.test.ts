import { describe, expect, it } from "vitest";
import {
  type Ack,
  type BondId,
  Bonds,
  type CoreEvent,
  type Effect,
  EMPTY_STATE,
  type Message,
  PaxosCore,
} from "../src/core/index.js";

const tuning = { leaseMs: 100, heartbeatMs: 10, sleepAfterMs: 50, quorumLostMs: 200 };
const lives: Record<string, number> = { b: 21, c: 31 };
const bondOf = (node: string, turn = 1): BondId => ({ life: lives[node] as number, turn });

type Event = CoreEvent extends infer E ? (E extends { nowMs: number } ? Omit<E, "nowMs"> : never) : never;

/** a, which leads b and c; nothing was asked of it since. Its disk is prompt. */
class Reign {
  nowMs = 0;
  readonly bonds = new Bonds({ life: 7, ...tuning }, 0);
  readonly core: PaxosCore;
  readonly effects: Effect[] = [];
  /** Newest of what each was told. */
  readonly told = new Map<string, Message>();

  constructor(members = ["a", "b", "c"]) {
    for (const node of ["b", "c"]) this.bonds.know(node);
    this.core = new PaxosCore({ nodeId: "a", members, random: () => 0, ...tuning }, EMPTY_STATE, 0, this.bonds);
    this.step({ type: "tick" });
    if (members.length === 1) return;
    this.hear("b", { type: "preVoteReply", attempt: 1, granted: true, round: 0, chosenThrough: 0 });
    const none = { round: 0, node: "" };
    const empty = { accepted: none, logEnd: 0, chosenThrough: 0, chosenBallot: none, entries: [] };
    this.hear("b", { type: "promised", ballot: this.core.promised, ...empty });
    for (const node of ["b", "c"]) {
      this.echo(node);
      this.ack(node, { synced: false, acceptedThrough: 0, receivedThrough: 0, chosenThrough: 0 });
    }
    for (let i = 0; i < 2; i++) for (const node of ["b", "c"]) this.ack(node);
    expect(this.core.ready).toBe(true);
  }

  step(event: Event): Effect[] {
    const made = this.core.step({ ...event, nowMs: this.nowMs } as CoreEvent);
    this.effects.push(...made);
    for (const effect of made) {
      if (effect.type === "send") this.told.set(effect.to, effect.message);
      if (effect.type === "persist") this.step({ type: "persisted", token: effect.token });
    }
    return made;
  }

  hear(from: string, message: Message): void {
    this.step({ type: "message", from, message });
  }

  /** What the leader said last, to anybody, of a round. */
  get round(): number {
    return Math.max(...[...this.told.values()].map((message) => ("round" in message ? message.round : 0)));
  }

  ack(from: string, change: Partial<Ack> = {}): void {
    const { logEnd, promised: ballot } = this.core;
    const through = { acceptedThrough: logEnd, receivedThrough: logEnd, chosenThrough: logEnd };
    const ack = { ballot, round: this.round, sentMs: this.nowMs, synced: true, ...through, gap: false };
    this.hear(from, { type: "ack", ...ack, readsBonds: true, ...change });
  }

  echo(from: string, turn = 1): void {
    const echo = { life: 7, sentMs: this.nowMs, bond: bondOf(from, turn) };
    this.bonds.receive(from, { life: lives[from] as number, sentMs: this.nowMs, echo, released: [] }, this.nowMs);
  }

  agree(from: string, change: Partial<{ round: number; bond: BondId }> = {}): void {
    const { promised: ballot } = this.core;
    this.hear(from, { type: "asleep", ballot, round: this.round, bond: bondOf(from), ...change });
  }

  /** The next beat, answered by who is given; returns how each was told. */
  beat(answer: readonly string[] = ["b", "c"], echoes = answer): string {
    this.nowMs = Math.max(this.nowMs, this.core.wakeAtMs);
    this.bonds.tick(this.nowMs);
    for (const node of echoes) this.echo(node);
    this.told.clear();
    this.step({ type: "tick" });
    const types = ["b", "c"].map((node) => this.told.get(node)?.type).join(" ");
    for (const node of answer) this.ack(node);
    return types;
  }

  /** Beats until it asks somebody to sleep. */
  asks(answer?: readonly string[]): this {
    for (let beats = 0; beats < 40; beats++) if (this.beat(answer).includes("sleep")) return this;
    throw new Error("it asks nobody");
  }

  sleeps(): this {
    this.asks();
    for (const node of ["b", "c"]) this.agree(node);
    expect(this.core.asleep).toBe(true);
    return this;
  }

  get released(): string[] {
    return this.effects.flatMap((effect) => (effect.type === "release" ? [effect.to] : []));
  }
}

describe("a leader of whom nothing is asked", () => {
  it("asks everybody to sleep once that has been so for a while, by the bond in which each echoes", () => {
    const reign = new Reign();
    reign.step({ type: "propose", proposals: [{ id: 2, command: new Uint8Array(1) }] });
    for (const node of ["b", "c", "b", "c"]) reign.ack(node);
    for (reign.echo("c", 2); reign.nowMs < 40; ) expect(reign.beat(["b", "c"], ["b"])).toBe("heartbeat heartbeat");
    expect(reign.beat(["b", "c"], ["b"])).toBe("sleep sleep");
    expect(reign.told.get("b")).toMatchObject({ logEnd: 2, chosenThrough: 2, bond: bondOf("b") });
    expect(reign.told.get("c")).toMatchObject({ bond: bondOf("c", 2) });
  });

  it("asks at once in a reign of which nothing was ever asked", () => {
    expect(new Reign().beat()).toBe("sleep sleep");
  });

  it("asks nobody who does not echo it, or has not said in this life that it reads the question", () => {
    const reign = new Reign();
    lives.b = 22;
    reign.echo("b");
    expect(reign.beat([])).toBe("heartbeat sleep");
    reign.ack("b");
    expect(reign.beat([])).toBe("sleep sleep");
    lives.b = 21;
    const silent = new Reign();
    while (silent.nowMs <= 200) silent.beat(["c"]);
    expect(silent.beat(["c"])).toBe("heartbeat sleep");
  });

  it.each<[string, Partial<Ack>]>([
    ["holds less than all of the log", { acceptedThrough: 0 }],
    ["knows less than all of it as chosen", { chosenThrough: 0 }],
    ["lacks the state to lead with", { lacksState: true }],
    ["is not synced", { synced: false }],
  ])("asks nobody while somebody %s", (_, change) => {
    const reign = new Reign();
    reign.step({ type: "propose", proposals: [{ id: 2, command: new Uint8Array(1) }] });
    reign.ack("b");
    reign.ack("c", change);
    while (reign.nowMs < 80) {
      expect(reign.beat(["b"], ["b", "c"])).toBe("heartbeat heartbeat");
      reign.ack("c", change);
    }
    for (const node of ["c", "c"]) reign.ack(node);
    expect(reign.beat()).toBe("sleep sleep");
  });

  it("asks less and less often while it is in vain, as often as two beats are in a lease, and anew when something was asked", () => {
    const reign = new Reign();
    const pauses = (count: number) =>
      Array.from({ length: count }, () => {
        reign.beat();
        return reign.core.wakeAtMs - reign.nowMs;
      });
    expect(pauses(6)).toEqual([10, 20, 40, 50, 50, 50]);
    reign.step({ type: "propose", proposals: [{ id: 2, command: new Uint8Array(1) }] });
    for (const node of ["b", "c", "b", "c"]) reign.ack(node);
    expect(pauses(4)).toEqual([10, 20, 40, 50]);
  });

  it("sleeps alone where there is nobody else", () => {
    const alone = new Reign(["a"]);
    expect(alone.core.ready).toBe(true);
    alone.nowMs = 60;
    alone.step({ type: "tick" });
    expect([alone.core.asleep, alone.core.wakeAtMs]).toEqual([true, Number.POSITIVE_INFINITY]);
  });
});

describe("a leader that has asked the others to sleep", () => {
  it("sleeps when each has agreed, in this round, in the bond in which it echoes now, and none of them has to be asked for anything", () => {
    const reign = new Reign().asks();
    reign.agree("b");
    reign.agree("c", { round: reign.round - 1 });
    reign.agree("d");
    reign.agree("c", { bond: bondOf("c", 2) });
    reign.hear("c", { type: "asleep", ballot: { round: 9, node: "a" }, round: reign.round, bond: bondOf("c") });
    expect(reign.core.asleep).toBe(false);
    reign.echo("b", 2);
    reign.agree("c");
    expect(reign.core.asleep).toBe(false);
    reign.agree("b", { bond: bondOf("b", 2) });
    expect([reign.core.asleep, reign.core.wakeAtMs]).toEqual([true, Number.POSITIVE_INFINITY]);
  });

  it("counts what was agreed to in an earlier round no more", () => {
    const reign = new Reign().asks();
    reign.agree("b");
    reign.asks();
    reign.agree("c");
    expect(reign.core.asleep).toBe(false);
    reign.agree("b");
    expect(reign.core.asleep).toBe(true);
  });

  it("does not wait for who is gone: heard neither by its node nor in this group for long", () => {
    const reign = new Reign();
    while (reign.nowMs < 150) reign.beat(["b"]);
    reign.agree("b");
    expect(reign.core.asleep).toBe(false);
    while (reign.nowMs <= 200) reign.beat(["b"]);
    reign.asks(["b"]);
    expect(reign.told.get("c")?.type).toBe("heartbeat");
    reign.agree("b");
    expect(reign.core.asleep).toBe(true);
  });

  it("stays awake when something is asked of it before all have agreed", () => {
    for (const event of [
      { type: "propose", proposals: [{ id: 2, command: new Uint8Array(1) }] },
      { type: "handOver", to: "b" },
    ] as const) {
      const reign = new Reign().asks();
      const { round } = reign;
      reign.step({ ...event });
      for (const node of ["b", "c"]) reign.agree(node, { round });
      expect(reign.core.asleep).toBe(false);
    }
  });
});

describe("a leader that sleeps", () => {
  it("is woken by a command, which is said in a round of its own, by a read without a lease and by who wants to lead", () => {
    const proposed = new Reign().sleeps();
    const { round } = proposed;
    proposed.step({ type: "propose", proposals: [{ id: 2, command: new Uint8Array(1) }] });
    expect(proposed.told.get("b")).toMatchObject({ type: "accept", round: round + 1 });
    const read = new Reign().sleeps();
    read.nowMs += 20;
    read.step({ type: "read", id: -1 });
    expect([read.core.asleep, read.effects.at(-1)?.type]).toEqual([true, "readable"]);
    read.nowMs += 90;
    read.step({ type: "read", id: -2 });
    expect([read.core.asleep, read.round]).toEqual([false, round + 1]);
    const asked = new Reign().sleeps();
    asked.hear("c", { type: "preVote", attempt: 1, chosenThrough: 1 });
    expect([asked.core.asleep, asked.core.leading]).toEqual([false, true]);
  });

  it("has a lease by the echoes in the bonds that were agreed on, of a majority, and by no others", () => {
    const reign = new Reign().sleeps();
    const from = reign.nowMs;
    const usable = (100 * 0.9) / 1.1;
    const until = () => Math.round(reign.core.leaseRemainingMs(reign.nowMs) + reign.nowMs - usable);
    expect(until()).toBe(from);
    reign.nowMs += 30;
    reign.echo("c", 2);
    expect(until()).toBe(from);
    reign.echo("b");
    expect(until()).toBe(from + 30);
    // What the bonds have brought stays when it wakes; from then on answers count.
    reign.step({ type: "wake" });
    expect([reign.core.asleep, until()]).toEqual([false, from + 30]);
    reign.nowMs += 10;
    reign.echo("b");
    expect(until()).toBe(from + 30);
    reign.ack("c");
    expect(until()).toBe(from + 40);
  });

  it("is not woken by late answers of those that have agreed, but by one of who was taken for gone", () => {
    const reign = new Reign().sleeps();
    reign.ack("b");
    expect(reign.core.asleep).toBe(true);
    const without = new Reign();
    while (without.nowMs <= 200) without.beat(["b"]);
    without.asks(["b"]);
    without.agree("b");
    expect(without.core.asleep).toBe(true);
    without.ack("c", { round: without.round - 1 });
    expect(without.core.asleep).toBe(true);
    without.ack("c");
    expect([without.core.asleep, without.told.get("c")?.type]).toEqual([false, "heartbeat"]);
  });

  it("tells who may sleep in its reign when that ends: whoever was asked, and has said nothing later", () => {
    const reign = new Reign().sleeps();
    reign.step({ type: "resign" });
    expect(reign.released).toEqual(["b", "c"]);
    const woken = new Reign().sleeps();
    woken.step({ type: "propose", proposals: [{ id: 2, command: new Uint8Array(1) }] });
    woken.ack("c");
    woken.step({ type: "resign" });
    expect(woken.released).toEqual(["b"]);
    const awake = new Reign();
    awake.step({ type: "resign" });
    expect(awake.released).toEqual([]);
  });
});
