import { type BondId, type BondMessage, Bonds, type Message } from "../../src/core/index.js";
import type { SleepMutation } from "./sleepers.js";

/** All bonds of a node have one name. */
class OneName extends Bonds {
  override heardFrom(leader: string) {
    const bond = super.heardFrom(leader);
    return bond && { ...bond, turn: 1 };
  }

  override boundUntilMs(leader: string, bond: BondId) {
    return super.boundUntilMs(leader, super.heardFrom(leader) ?? bond);
  }
}

/** An echo in any bond is as good as one in that which was agreed on. */
class AnyBond extends Bonds {
  override echoedMs(peer: string, bond: BondId) {
    return super.echoedMs(peer, this.echoedBy(peer) ?? bond);
  }
}

class FromEcho extends Bonds {
  override receive(from: string, message: BondMessage, nowMs: number) {
    const { echo } = message;
    return super.receive(from, { ...message, ...(echo && { echo: { ...echo, sentMs: nowMs } }) }, nowMs);
  }
}

/** Who sleeps is bound no longer than the last word of its own group. */
class Unbound extends Bonds {
  override boundUntilMs() {
    return Number.NEGATIVE_INFINITY;
  }
}

/** What its leader said before it fell asleep wakes it. */
function wokenByStaleWords() {
  const rounds = new Map<string, number>();
  return (from: string, message: Message): Message => {
    if (!("round" in message && "sentMs" in message) || message.type === "ack") return message;
    const reign = `${from} ${message.ballot.round}`;
    const asked = rounds.get(reign) ?? -1;
    if (message.type === "sleep") rounds.set(reign, Math.max(message.round, asked));
    return message.type !== "sleep" && message.round <= asked ? { ...message, round: asked + 1 } : message;
  };
}

/** Ways to get a group's sleep wrong. */
export const sleepMutants: readonly (SleepMutation & {
  readonly name: string;
  /** Where to begin looking: many a night goes by before some of these do harm. */
  readonly firstSeed?: number;
})[] = [
  { name: "gives all its bonds one name", firstSeed: 160, bonds: (options, nowMs) => new OneName(options, nowMs) },
  { name: "counts on an echo in any bond", firstSeed: 160, bonds: (options, nowMs) => new AnyBond(options, nowMs) },
  {
    name: "takes its bonds up again after a restart",
    bonds: (options, nowMs) => new Bonds({ ...options, life: 1 }, nowMs),
  },
  { name: "counts a bond's lease from the echo", bonds: (options, nowMs) => new FromEcho(options, nowMs) },
  { name: "is not bound in its sleep", bonds: (options, nowMs) => new Unbound(options, nowMs) },
  { name: "is woken by what was said before it slept", firstSeed: 420, hears: wokenByStaleWords },
  { name: "opens a group again on the bonds on which it slept", firstSeed: 585, keepsBonds: true },
  { name: "sleeps on when the node of its leader is gone", sleepsOn: true },
  { name: "does not tell who sleeps in its reign that it is over", releasesNobody: true },
];
