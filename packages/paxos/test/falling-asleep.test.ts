import { describe, expect, it } from "vitest";
import {
  type BondId,
  Bonds,
  type CoreOptions,
  EMPTY_STATE,
  type Entry,
  type Message,
  PaxosCore,
} from "../src/core/index.js";

const tuning = { leaseMs: 100, heartbeatMs: 10, sleepAfterMs: 0 };
const options = { nodeId: "b", members: ["a", "b", "c"], random: () => 0, ...tuning };
const ballot = { round: 1, node: "a" };
const stamp = { ballot, round: 1, sentMs: 0, chosenThrough: 0 };
const noop = (slot: number): Entry => ({ slot, ballot, kind: "noop", command: new Uint8Array(0) });

/** b, which has taken over a's log and knows all of it as chosen; a's node has beaten once. */
function follower(change: Partial<CoreOptions> = {}) {
  const bonds = new Bonds({ life: 7, quorumLostMs: 200, ...tuning }, 0);
  const core = new PaxosCore({ ...options, ...change }, EMPTY_STATE, 0, bonds);
  const at = { nowMs: 1 };
  let token = 0;
  const hear = (message: Message, from = "a") => {
    const effects = core.step({ type: "message", from, message, nowMs: at.nowMs });
    for (const effect of effects) if (effect.type === "persist") token = effect.token;
    return effects.flatMap((effect) => (effect.type === "send" ? [effect.message] : []));
  };
  const written = () => core.step({ type: "persisted", token, nowMs: at.nowMs });
  const beat = (life = 1) => bonds.receive("a", { life, sentMs: 0, released: [] }, at.nowMs);
  beat();
  const bond = bonds.heardFrom("a") as BondId;
  hear({ type: "sync", ...stamp, prevSlot: 0, prevBallot: { round: 0, node: "" }, entries: [noop(1)] });
  written();
  hear({ type: "heartbeat", ...stamp, round: 2, chosenThrough: 1 });
  const asked = { type: "sleep", ...stamp, round: 3, chosenThrough: 1, logEnd: 1, bond } as const;
  return Object.assign(at, { core, hear, written, beat, asked, bond });
}

describe("who is asked to sleep", () => {
  it("sleeps, in the bond in which it was asked", () => {
    const { core, hear, asked, bond } = follower();
    expect(hear(asked)).toContainEqual({ type: "asleep", ballot, round: 3, bond });
    expect(core.asleep).toBe(true);
  });

  it("sleeps without a state where it has none to lead with: it votes with its log", () => {
    const { core, hear, asked } = follower({ role: "log" });
    hear(asked);
    expect(core.asleep).toBe(true);
  });

  it("stays awake when the question is from before the leader's node was reborn: nobody would release it", () => {
    const { core, hear, asked, beat } = follower();
    beat(2);
    hear(asked);
    expect(core.asleep).toBe(false);
    const { bond: _, ...unnamed } = asked;
    hear({ ...unnamed, round: 4 });
    expect(core.asleep).toBe(false);
  });

  it.each<[string, (one: ReturnType<typeof follower>) => Message]>([
    [
      "is no more the newest thing that the leader has said",
      ({ hear, asked }) => {
        hear({ type: "heartbeat", ...stamp, round: 4, chosenThrough: 1 });
        return asked;
      },
    ],
    ["speaks of more than it holds", ({ asked }) => ({ ...asked, logEnd: 2 })],
    [
      "speaks of what it holds, and does not know as chosen",
      ({ hear, written, asked }) => {
        hear({ type: "accept", ...stamp, round: 2, chosenThrough: 1, prevSlot: 1, entries: [noop(2)] });
        written();
        return { ...asked, logEnd: 2 };
      },
    ],
    [
      "speaks of what it was told by somebody else, and not by this leader",
      ({ hear, written, asked }) => {
        hear({ type: "learn", entries: [noop(2)] }, "c");
        written();
        return { ...asked, logEnd: 2, chosenThrough: 1 };
      },
    ],
    [
      "speaks of what its disk has not written yet",
      ({ hear, asked }) => {
        hear({ type: "accept", ...stamp, round: 2, chosenThrough: 1, prevSlot: 1, entries: [noop(2)] });
        return { ...asked, logEnd: 2, chosenThrough: 2 };
      },
    ],
  ])("stays awake when the question %s", (_, prepare) => {
    const one = follower();
    one.hear(prepare(one));
    expect([one.core.asleep, one.core.leader]).toEqual([false, "a"]);
  });

  it.each<[string, Partial<CoreOptions>]>([
    ["lacks the state to lead with", { awaitsState: true }],
    ["may not vote yet", { mute: true }],
    ["may have forgotten something", { doubtful: true }],
  ])("stays awake when it %s", (_, change) => {
    const { core, hear, asked } = follower(change);
    hear(asked);
    expect([core.asleep, core.leader]).toEqual([false, "a"]);
  });
});

describe("a follower that sleeps", () => {
  function sleeper() {
    const one = follower();
    one.hear(one.asked);
    expect(one.core.asleep).toBe(true);
    return one;
  }

  it("is not woken by what was said before, and says again what it was asked again", () => {
    const { core, hear, asked } = sleeper();
    for (const round of [1, 2, 3]) hear({ type: "heartbeat", ...stamp, round, chosenThrough: 1 });
    expect(core.asleep).toBe(true);
    expect(hear(asked).map(({ type }) => type)).toContain("asleep");
    expect(core.asleep).toBe(true);
    hear({ type: "heartbeat", ...stamp, round: 4, chosenThrough: 1 });
    expect(core.asleep).toBe(false);
  });

  it("is woken by another leader, whatever its round", () => {
    const { core, hear } = sleeper();
    hear({ type: "heartbeat", ...stamp, ballot: { round: 2, node: "c" }, chosenThrough: 1 }, "c");
    expect([core.asleep, core.leader]).toEqual([false, "c"]);
  });

  it("is adrift when the beats on which it sleeps have ended, also when others have come since", () => {
    const silent = sleeper();
    expect(silent.core.adrift).toBe(false);
    silent.nowMs = 101;
    silent.core.step({ type: "tick", nowMs: silent.nowMs });
    expect(silent.core.adrift).toBe(true);
    const reborn = sleeper();
    reborn.beat(2);
    expect(reborn.core.adrift).toBe(true);
  });

  it("wants no tick, and once it is woken without a word of its leader's it stands when its grant is over, so much later as it was told", () => {
    for (const waitMs of [0, 500]) {
      const { core } = sleeper();
      expect(core.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
      core.step({ type: "wake", nowMs: 150, waitMs });
      const fromMs = Math.max(101, 150 + waitMs);
      expect(core.wakeAtMs).toBe(fromMs);
      core.step({ type: "tick", nowMs: fromMs });
      expect(core.standing).toBe(true);
    }
  });

  it("stands when its log begins anew behind a snapshot: whoever it slept under does not lead it any more", () => {
    const { core } = sleeper();
    const configuration = { slot: 0, storage: ["a", "b", "c"], log: [], departed: [] };
    const position = { slot: 5, ballot: { round: 2, node: "c" }, configuration };
    core.step({ type: "installed", position, nowMs: 10 });
    expect([core.asleep, core.chosenThrough]).toEqual([false, 5]);
    core.step({ type: "tick", nowMs: 101 });
    expect(core.standing).toBe(true);
  });

  it("is bound for as long as the last beat has it, awake or asleep", () => {
    for (const wakes of [false, true]) {
      const one = sleeper();
      one.nowMs = 80;
      one.beat();
      const other = { round: 9, node: "c" };
      const prepare = { type: "prepare", ballot: other, accepted: ballot, logEnd: 1 } as const;
      one.nowMs = 90;
      if (wakes) one.core.step({ type: "wake", nowMs: one.nowMs, waitMs: 0 });
      expect(one.core.asleep).toBe(!wakes);
      for (const [nowMs, answer] of [
        [179, "nack"],
        [180, undefined],
      ] as const) {
        one.nowMs = nowMs;
        expect(one.hear(prepare, "c")[0]?.type).toBe(answer);
      }
      expect(one.core.promised).toEqual(other);
      // A promise to another ends what it has slept on.
      expect(one.core.asleep).toBe(false);
    }
  });
});
