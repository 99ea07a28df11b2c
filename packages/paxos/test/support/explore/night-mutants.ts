import { type Betrayal, faithful } from "./betrayal.js";
import { line } from "./mutants.js";
import type { NightOptions } from "./night-model.js";
import { nights } from "./nights.js";

export interface NightMutant {
  readonly name: string;
  readonly caughtBy: string;
  readonly night: NightOptions;
}

const lease = "one lease at a time";
const led = "somebody leads again";
const read = "no stale read";

function mutant(name: string, caughtBy: string, night: NightOptions, changes: Partial<Betrayal>): NightMutant {
  return { name, caughtBy, night: { ...night, betrayal: { ...faithful, unobserved: true, ...changes } } };
}

/** Ways to get a group's sleep wrong. */
export const nightMutants: readonly NightMutant[] = [
  mutant("gives all its bonds one name", lease, nights.links, line("bonds.ts", "turn: ++this.#turns", "turn: 1")),
  mutant(
    "counts on an echo in any bond",
    lease,
    nights.links,
    line("bonds.ts", "outgoing?.bond === undefined || !sameBond(outgoing.bond, bond)", "outgoing?.bond === undefined"),
  ),
  mutant(
    "counts a bond's lease from the echo",
    lease,
    nights.links,
    line("bonds.ts", "Math.max(outgoing.echoedMs, echo.sentMs);", "this.#nowMs;"),
  ),
  mutant(
    "is not bound in its sleep",
    lease,
    nights.links,
    line("bonds.ts", "return incoming.heardMs + this.#options.leaseMs;", "return 0;"),
  ),
  mutant(
    "is woken by what was said before it slept",
    lease,
    nights.late,
    line("follower-sleep.ts", "return round < this.#sleep.round ||", "return false && round < this.#sleep.round ||"),
  ),
  mutant(
    "counts on its voters' bonds when it has woken",
    lease,
    nights.woken,
    line(
      "reign-sleep.ts",
      "const bond = this.#asleep ? ",
      "const bond = true ? ",
      line("reign-sleep.ts", "    this.#agreed = nobody;\n", ""),
    ),
  ),
  mutant(
    "keeps its lease when it hands over",
    lease,
    nights.handover,
    line(
      "core.ts",
      `type: "takeOver", ballot: leader.ballot });
    this.#stepDown(2 * this.#replica.settings.leaseMs);`,
      `type: "takeOver", ballot: leader.ballot });
    this.#replica.broadcast({ type: "resign", ballot: leader.ballot });`,
      line("heir.ts", "? this.#node : undefined;", "? [this.#node, (this.#node = undefined)][0] : undefined;"),
    ),
  ),
  mutant(
    "answers a read by a round of before it was asked",
    read,
    nights.reads,
    line("reads.ts", "this.#inRound.length === 0 || round < this.#asked", "this.#inRound.length === 0"),
  ),
  mutant(
    "answers reads before anything of its own reign is chosen",
    read,
    nights.reads,
    line("leader.ts", "this.#reads.waiting === 0 || !this.ready", "this.#reads.waiting === 0"),
  ),
  mutant("opens a group again on the bonds on which it slept", lease, nights.reopened, { keepsBonds: true }),
  mutant("takes its bonds up again after a restart", led, nights.deaths, { sameLife: true }),
  mutant("sleeps on when the node of its leader is gone", led, nights.links, { sleepsOn: true }),
  mutant(
    "does not tell who sleeps in its reign that it is over",
    led,
    nights.closed,
    line("leader.ts", "for (const to of this.#sleep?.perhapsAsleep ?? [])", "for (const to of [] as string[])"),
  ),
  mutant(
    "tells only those of its reign's end who have agreed to sleep",
    led,
    nights.closed,
    line(
      "reign-sleep.ts",
      ".filter(([node, round]) => (this.#peers.get(node)?.round ?? 0) <= round)",
      ".filter(([node]) => this.#agreed.has(node))",
    ),
  ),
  mutant(
    "takes the first echo for a word that its reign is over was heard",
    led,
    nights.closed,
    line("bonds.ts", "if (saidMs <= echo.sentMs) outgoing", "if (saidMs <= echo.sentMs || true) outgoing"),
  ),
  mutant(
    "falls asleep by a question from before its leader's node was reborn",
    led,
    nights.deaths,
    line("follower-sleep.ts", "asked === undefined || !sameBond(asked, bond)", "asked === undefined"),
  ),
];
