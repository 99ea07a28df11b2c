import { describe, expect, it } from "vitest";
import { type BondEffect, type BondId, type BondMessage, Bonds } from "../src/core/index.js";

const tuning = { leaseMs: 100, heartbeatMs: 10, quorumLostMs: 200 };
const ballot = { round: 1, node: "b" };

/** Those of node b, which hears a. */
function bonds(nowMs = 0): Bonds {
  const made = new Bonds({ life: 7, ...tuning }, nowMs);
  made.know("a");
  return made;
}

const beat = (sentMs: number, change: Partial<BondMessage> = {}): BondMessage => ({
  life: 1,
  sentMs,
  released: [],
  ...change,
});
/** a has heard b's beat of then, in this bond. */
const echo = (sentMs: number, turn = 1, change: { life?: number; of?: number } = {}) =>
  beat(sentMs, { echo: { life: change.of ?? 7, sentMs, bond: { life: change.life ?? 1, turn } } });
const kinds = (effects: readonly BondEffect[]) => effects.filter(({ type }) => type !== "send");
const changes = (effects: readonly BondEffect[]) => effects.filter(({ type }) => type === "changed");
const sent = (effects: readonly BondEffect[]) => effects.flatMap((one) => (one.type === "send" ? [one.message] : []));

/** Ticks every heartbeat through then. */
function pass(b: Bonds, fromMs: number, throughMs: number): BondEffect[] {
  const effects: BondEffect[] = [];
  for (let ms = fromMs + 10; ms <= throughMs; ms += 10) effects.push(...b.tick(ms));
  return effects;
}

describe("a bond that binds a follower", () => {
  it("is renewed by each beat, and over a lease after the last one: then its name is never said again", () => {
    const b = bonds();
    b.receive("a", beat(0), 0);
    const bond = b.heardFrom("a") as BondId;
    expect(pass(b, 0, 90).filter(({ type }) => type !== "send")).toEqual([]);
    b.receive("a", beat(90), 90);
    expect([b.heardFrom("a"), b.boundUntilMs("a", bond)]).toEqual([bond, 190]);
    b.sawTime(189);
    expect(b.heardFrom("a")).toEqual(bond);
    // Whoever looks first sees it, before any tick.
    b.sawTime(190);
    expect(b.heardFrom("a")).toBe(undefined);
    expect(kinds(b.receive("a", beat(190), 190))).toEqual([{ type: "lost", node: "a", renewed: true }]);
    const next = b.heardFrom("a") as BondId;
    expect(next).not.toEqual(bond);
    // What was granted in the old one ends when it would have.
    expect([b.boundUntilMs("a", bond), b.boundUntilMs("a", next)]).toEqual([190, 290]);
  });

  it("is over with the life of the other's process, and when this node wants it so", () => {
    const b = bonds();
    b.receive("a", beat(0), 0);
    const first = b.heardFrom("a") as BondId;
    expect(kinds(b.receive("a", beat(5, { life: 2 }), 50))).toEqual([{ type: "lost", node: "a", renewed: true }]);
    const second = b.heardFrom("a") as BondId;
    expect(second).not.toEqual(first);
    expect(b.boundUntilMs("a", first)).toBe(100);
    expect(b.breakWith("a")).toEqual([{ type: "lost", node: "a", renewed: true }]);
    expect([b.heardFrom("a"), b.breakWith("a")]).toEqual([undefined, []]);
    expect(kinds(b.receive("a", beat(60, { life: 2 }), 60))).toEqual([]);
    const third = b.heardFrom("a") as BondId;
    expect(third.turn).toBeGreaterThan(second.turn);
    // Through the later of those that broke.
    expect([b.boundUntilMs("a", first), b.boundUntilMs("a", second), b.boundUntilMs("a", third)]).toEqual([
      150, 150, 160,
    ]);
  });

  it("is looked after while nothing is heard; but time in which this process stood still is not held against the other", () => {
    const b = bonds();
    b.tick(0);
    b.receive("a", beat(0), 0);
    expect(kinds(pass(b, 0, 90))).toEqual([]);
    expect(kinds(b.tick(100))).toEqual([{ type: "lost", node: "a", renewed: false }]);
    expect(kinds(b.tick(110))).toEqual([]);
    b.receive("a", beat(110), 110);
    // Beats of then may wait to be read.
    expect(kinds(b.tick(500))).toEqual([]);
    expect(kinds(b.tick(519))).toEqual([]);
    expect(kinds(b.tick(520))).toEqual([{ type: "lost", node: "a", renewed: false }]);
  });
});

describe("an echo by which a leader counts", () => {
  it("is worth the moment at which its beat was sent, in this bond, this life, and no less than a newer one", () => {
    const b = bonds();
    const bond = { life: 1, turn: 1 };
    expect(b.echoedBy("a")).toBe(undefined);
    expect(kinds(b.receive("a", echo(20), 30))).toEqual([{ type: "changed", node: "a" }]);
    expect([b.echoedBy("a"), b.echoedMs("a", bond)]).toEqual([bond, 20]);
    expect(kinds(b.receive("a", echo(40), 50))).toEqual([]);
    b.receive("a", echo(30), 50);
    b.receive("a", echo(60, 1, { of: 6 }), 70);
    expect(b.echoedMs("a", bond)).toBe(40);
    expect(b.echoedMs("a", { life: 1, turn: 2 })).toBe(Number.NEGATIVE_INFINITY);
    // A new one, and a late word of the one before.
    expect(kinds(b.receive("a", echo(70, 2), 80))).toEqual([{ type: "changed", node: "a" }]);
    expect(kinds(b.receive("a", echo(75, 1), 80))).toEqual([]);
    expect([b.echoedBy("a"), b.echoedMs("a", bond)]).toEqual([{ life: 1, turn: 2 }, Number.NEGATIVE_INFINITY]);
    expect(kinds(b.receive("a", echo(80, 1, { life: 2 }), 90))).toEqual([{ type: "changed", node: "a" }]);
    expect(b.echoedBy("a")).toEqual({ life: 2, turn: 1 });
  });

  it("that does not come any more has the other counted as away, once, until it is of a new moment", () => {
    const b = bonds();
    b.receive("a", echo(0), 0);
    expect(changes(pass(b, 0, 200))).toEqual([]);
    expect(changes(pass(b, 200, 300))).toEqual([{ type: "changed", node: "a" }]);
    expect(b.echoedBy("a")).toBe(undefined);
    // Long on its way.
    expect(changes(b.receive("a", echo(50), 300))).toEqual([]);
    expect(b.echoedBy("a")).toBe(undefined);
    expect(changes(b.receive("a", echo(290), 300))).toEqual([{ type: "changed", node: "a" }]);
    expect(b.echoedBy("a")).toEqual({ life: 1, turn: 1 });
    // This process stands still.
    expect(changes(b.tick(900))).toEqual([]);
    expect(changes(pass(b, 900, 1100))).toEqual([]);
    expect(changes(b.tick(1110))).toEqual([{ type: "changed", node: "a" }]);
  });
});

describe("a beat", () => {
  it("goes to everybody known, once a heartbeat, and says what was heard of him last in a bond that holds", () => {
    const b = bonds();
    b.know("c");
    expect(sent(b.tick(0)).map((message) => message.echo)).toEqual([undefined, undefined]);
    expect(sent(b.tick(9))).toEqual([]);
    b.receive("a", beat(8), 9);
    b.receive("a", beat(5), 9);
    const bond = b.heardFrom("a");
    expect(sent(b.tick(10)).map((message) => message.echo)).toEqual([{ life: 1, sentMs: 8, bond }, undefined]);
    b.knowOnly(new Set(["a", "d"]));
    expect(b.nodes).toEqual(["a", "d"]);
    b.tick(60);
    expect(sent(b.tick(109)).map((message) => message.echo)).toEqual([undefined, undefined]);
  });

  it("says which reigns are over until it is echoed, a thousand and some at a time", () => {
    const b = bonds();
    const groups = Array.from({ length: 1500 }, (_, i) => `g${i}`);
    for (const group of groups) b.release("a", { group, ballot });
    const [first] = sent(b.tick(0));
    expect(first?.released.length).toBe(1024);
    // Of a beat before they were said: nothing of it is known there.
    b.receive("a", echo(-1), 5);
    expect(sent(b.tick(10))[0]?.released).toEqual(first?.released);
    b.receive("a", echo(0), 15);
    expect(sent(b.tick(20))[0]?.released.map(({ group }) => group)).toEqual(groups.slice(1024));
    b.receive("a", echo(20), 25);
    expect(sent(b.tick(30))[0]?.released).toEqual([]);
  });
});
