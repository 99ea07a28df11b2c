import { forEachSeed, Random } from "@evenkeel/simulation";
import { describe, expect, it } from "vitest";
import {
  type Ballot,
  type Configuration,
  type CoreEvent,
  type Message,
  type PaxosCore,
  PaxosError,
  pack,
  Unpacker,
  unpack,
} from "../src/core/index.js";
import { Violation } from "./support/observer.js";
import { type Sleeper, Sleepers } from "./support/sleepers.js";
import { Tally } from "./support/tally.js";

const only = process.env.PAXOS_SEED;
const count = Number(process.env.PAXOS_SEEDS ?? 80);
const replay = (seed: number) => `PAXOS_SEED=${seed} npx vitest run test/pack.test.ts`;

/** Everything that can be seen of a core. A time that has passed is as good as any other that has. */
function visible(core: PaxosCore, nowMs: number) {
  const { leading, ready, leader, asleep, promised, accepted, stopped, chosenThrough, knownChosen } = core;
  const { configuration, voting, departed, heir, allTakeRequests, logEnd, trimmedThrough, queued } = core;
  return {
    ...{ leading, ready, leader, asleep, promised, accepted, stopped, chosenThrough, knownChosen },
    ...{ configuration, voting, departed, heir, allTakeRequests, logEnd, trimmedThrough, queued },
    progress: ["a", "b", "c"].map((node) => core.progressOf(node)),
    lease: core.leaseRemainingMs(nowMs),
    wakeAtMs: Math.max(core.wakeAtMs, nowMs),
  };
}

/** Feeds both the same, drawn from the seed: what a core may meet, and what it may not. */
class Life {
  readonly #random: Random;
  readonly #sleeper: Sleeper;
  nowMs: number;
  readonly #issued: number[] = [];

  constructor(seed: number, sleeper: Sleeper) {
    this.#random = new Random(seed).fork("life");
    this.#sleeper = sleeper;
    this.nowMs = sleeper.nowMs;
  }

  next(core: PaxosCore): CoreEvent {
    const random = this.#random;
    this.nowMs += random.pick([0, 0, 1, 5, 49, 120, 301, 700]) - (random.chance(0.05) ? 100 : 0);
    const { nowMs } = this;
    const from = random.pick(["a", "b", "c", "d"].filter((name) => name !== this.#sleeper.name));
    switch (random.int(12)) {
      case 0:
        return { type: "propose", proposals: [{ id: 7, command: new Uint8Array(random.int(5)) }], nowMs };
      case 1:
        return { type: "read", id: -3, nowMs };
      case 2:
        return { type: "wake", nowMs, waitMs: random.pick([0, 100]) };
      case 3:
        return random.pick<CoreEvent>([
          { type: "resign", nowMs },
          { type: "handOver", to: from, nowMs },
          { type: "trimmed", throughSlot: core.chosenThrough, nowMs },
          { type: "learners", learners: [{ node: "d", role: "log" }], nowMs },
          { type: "voice", nowMs },
          { type: "persistFailed", nowMs },
        ]);
      case 4:
      case 5:
        return { type: "tick", nowMs };
      case 6: {
        const token = this.#issued.shift();
        return token === undefined ? { type: "tick", nowMs } : { type: "persisted", token, nowMs };
      }
      default:
        return { type: "message", from, message: this.#message(core, from), nowMs };
    }
  }

  issued(token: number): void {
    this.#issued.push(token);
  }

  #message(core: PaxosCore, from: string): Message {
    const random = this.#random;
    const { promised, logEnd, chosenThrough } = core;
    const ballot = random.pick<Ballot>([
      promised,
      { round: promised.round, node: from },
      { round: promised.round + 1, node: from },
      { round: promised.round - 1, node: from },
    ]);
    const round = random.int(12);
    const stamp = { ballot, round, sentMs: this.nowMs - random.int(300), chosenThrough: logEnd };
    const entries = random.chance(0.5)
      ? [{ slot: logEnd + 1, ballot, kind: "command" as const, command: new Uint8Array(2) }]
      : [];
    const ack = {
      ballot,
      round,
      sentMs: this.nowMs - random.int(300),
      acceptedThrough: logEnd,
      receivedThrough: logEnd,
    };
    return random.pick<Message>([
      { type: "preVote", attempt: random.int(3), chosenThrough: logEnd },
      { type: "preVoteReply", attempt: random.int(3), granted: true, round: promised.round, chosenThrough: logEnd },
      { type: "prepare", ballot, accepted: promised, logEnd },
      { type: "nack", ballot: promised, promised: ballot },
      { type: "heartbeat", ...stamp },
      { type: "sleep", ...stamp, logEnd },
      { type: "sync", ...stamp, prevSlot: logEnd, prevBallot: promised, entries },
      { type: "accept", ...stamp, prevSlot: logEnd, entries },
      { type: "ack", ...ack, synced: random.chance(0.8), chosenThrough, gap: random.chance(0.2) },
      { type: "asleep", ballot: promised, round, bond: { life: 1, turn: 1 } },
      { type: "fetch", fromSlot: 1, throughSlot: logEnd },
      { type: "resign", ballot },
      { type: "takeOver", ballot },
      { type: "doubt", id: 5 },
    ]);
  }
}

const expected = [
  "leaders packed in a twin",
  "followers packed in a twin",
  "steps of twins that led",
  "steps of twins that woke",
];

/** A world of which the logs are shed, so that a core that was packed knows no less than one that was not. Then whoever sleeps is compared with its twin. */
function compare(seed: number, tally: Tally, Kind: typeof Unpacker = Unpacker): void {
  const world = new Sleepers(4 * seed, tally);
  world.stormUntil(400 + (seed % 50) * 40);
  for (const sleeper of world.nodes) {
    // What a start has brought into memory is not shed before more is chosen.
    if (!sleeper.core.asleep || sleeper.core.logBytes > 0) continue;
    const bytes = pack(sleeper.core, sleeper.words);
    if (bytes === undefined) {
      tally.add("could not be packed");
      continue;
    }
    const [draws, twinDraws] = [new Random(seed), new Random(seed)];
    sleeper.random = () => draws.next();
    const options = { ...sleeper.options, random: () => twinDraws.next() };
    const twin = unpack(options, new Kind(sleeper.words, bytes), sleeper.bonds);
    tally.add(twin.leading ? "leaders packed in a twin" : "followers packed in a twin");
    const life = new Life(seed, sleeper);
    for (let step = 0; step < 40; step++) {
      const event = life.next(sleeper.core);
      const said = [sleeper.core, twin].map((core) => outcome(core, event, life.nowMs));
      if (said[0]?.text !== said[1]?.text)
        throw new Violation(`step ${step}, ${JSON.stringify(event)}: ${said[0]?.text} or ${said[1]?.text}`);
      for (const token of said[0]?.tokens ?? []) life.issued(token);
      if (twin.leading) tally.add("steps of twins that led");
      if (!twin.asleep) tally.add("steps of twins that woke");
      if (said[0]?.threw === true) break;
    }
  }
}

/** What a step does, and what can be seen afterwards, in words. */
function outcome(core: PaxosCore, event: CoreEvent, nowMs: number) {
  try {
    const effects = core.step(event);
    const tokens = effects.flatMap((effect) => (effect.type === "persist" ? [effect.token] : []));
    return { text: JSON.stringify([effects, visible(core, nowMs)]), tokens, threw: false };
  } catch (error) {
    return { text: String(error), tokens: [], threw: true };
  }
}

class LowerPromise extends Unpacker {
  override ballot(value: Ballot): Ballot {
    const ballot = super.ballot(value);
    return { ...ballot, round: ballot.round - 1 };
  }
}

class NoTimes extends Unpacker {
  override time(value: number, sinceMs: number): number {
    super.time(value, sinceMs);
    return Number.NEGATIVE_INFINITY;
  }
}

class NoBond extends Unpacker {
  override bond() {
    const bond = super.bond({ life: 0, turn: 0 });
    return { ...bond, turn: bond.turn + 1 };
  }
}

class FewerMembers extends Unpacker {
  override configuration(value: Configuration): Configuration {
    const all = super.configuration(value);
    return { ...all, storage: all.storage.slice(0, 2) };
  }
}

class NoFlags extends Unpacker {
  override flag(value: boolean): boolean {
    super.flag(value);
    return false;
  }
}

/** Loses what the nth number was. */
const zeroAt = (nth: number) =>
  class extends Unpacker {
    #count = 0;
    override whole(value: number): number {
      const given = super.whole(value);
      return this.#count++ === nth ? 0 : given;
    }
  };

/** Ways to forget something in one's sleep. */
const mutants: readonly { readonly name: string; readonly unpacker: typeof Unpacker }[] = [
  { name: "forgets its newest promise", unpacker: LowerPromise },
  { name: "forgets what it has granted, and when it heard whom", unpacker: NoTimes },
  { name: "takes another bond for the one on which it slept", unpacker: NoBond },
  { name: "forgets a member", unpacker: FewerMembers },
  { name: "forgets yes and no", unpacker: NoFlags },
  { name: "forgets where its log ends", unpacker: zeroAt(5) },
];

describe("a core that is packed", () => {
  it.runIf(only !== undefined)(`replay of seed ${only}`, () => {
    expect(() => compare(Number(only), new Tally())).not.toThrow();
  });

  it.skipIf(only !== undefined)(
    `does in ${count} lives what one would have done that was not, whatever happens`,
    () => {
      const tally = new Tally();
      forEachSeed({ count, replay }, (seed) => compare(seed, tally));
      expect(expected.filter((what) => !((tally.counts[what] as number) > 0))).toEqual([]);
      expect(tally.counts["could not be packed"] ?? 0).toBe(0);
    },
    60_000,
  );

  it.skipIf(only !== undefined).each(mutants)("one that $name is caught by its twin", ({ unpacker }) => {
    expect(() => {
      for (let seed = 1; seed <= 100; seed++) compare(seed, new Tally(), unpacker);
    }).toThrow();
  });

  it.skipIf(only !== undefined).each([
    { name: "forgets its newest promise", unpacker: LowerPromise, firstSeed: 1 },
    { name: "takes another bond for the one on which it slept", unpacker: NoBond, firstSeed: 640 },
    { name: "forgets a member", unpacker: FewerMembers, firstSeed: 1 },
  ])("one that $name does harm in its sleep", ({ unpacker, firstSeed }) => {
    expect(() => {
      for (let seed = firstSeed; seed <= firstSeed + 300; seed++) {
        try {
          new Sleepers(seed, new Tally(), { unpacker }).run(6000);
        } catch (error) {
          // Where the bytes themselves cannot be read any more, no harm is done yet.
          if (!(error instanceof PaxosError && error.code === "ERR_PAXOS_CORRUPT")) throw error;
        }
      }
    }).toThrow(Violation);
  });

  it("takes a few dozen bytes", () => {
    const sizes = Array.from({ length: 20 }, (_, seed) => {
      const world = new Sleepers(seed, new Tally());
      world.stormUntil(1500);
      return world.nodes.flatMap(({ core, words }) => pack(core, words)?.length ?? []);
    }).flat();
    expect(sizes.length).toBeGreaterThan(0);
    expect(Math.max(...sizes)).toBeLessThan(100);
  });
});
