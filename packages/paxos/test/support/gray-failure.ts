import { World } from "@evenkeel/simulation";
import { Observer, Violation } from "./observer.js";
import { SimReplica } from "./replica.js";
import { Tally } from "./tally.js";

const names = ["a1", "b1", "c1"];

/**
 * One link of three replicas fails: in one direction or both, for good or flapping; it loses everything, nearly everything, or only makes it late. Throws when
 * that brings about an election, or keeps the leader from serving. Returns what kind of failure it was.
 */
export function runGrayFailure(seed: number): string {
  const { world, random, tally, first, idle } = begun(seed);
  // Some sleep already when the link fails.
  if (idle && world.random.fork("rest").chance(0.5)) world.run({ untilMs: world.now + 600 });
  const { reigns } = tally.counts;

  const [from, to] = random.shuffle(names) as [string, string, string];
  const flapping = random.chance(0.5);
  const bothWays = random.chance(0.5);
  const ways = bothWays
    ? [
        { from, to },
        { from: to, to: from },
      ]
    : [{ from, to }];
  const kind = random.pick(["cut", "cut", "lossy", "slow"] as const);
  const fail = () => {
    if (kind === "cut" && bothWays) world.network.partitionBoth(from, to);
    else if (kind === "cut") world.network.partition(from, to);
    for (const way of ways) {
      if (kind === "lossy") world.network.setFaults({ lossChance: 0.9 }, way);
      if (kind === "slow") world.network.setFaults({ delayMinMs: 100, delayMaxMs: 900 }, way);
    }
  };
  const mend = () => {
    world.network.heal();
    for (const way of ways) world.network.setFaults({ lossChance: 0, delayMinMs: 0.1, delayMaxMs: 1 }, way);
  };
  let failed = false;
  const toggle = () => {
    failed = flapping ? !failed : true;
    if (failed) fail();
    else mend();
    if (flapping) world.timer(random.between(10, 800), toggle);
  };
  toggle();
  // A group of which nothing is asked sleeps, through that or not; then it is asked.
  const idleMs = idle ? 2000 : 0;
  if (idle) world.run({ untilMs: world.now + idleMs });
  const slept = tally.counts["leaders fell asleep"] !== undefined;
  const answered = writes(world, () => first);
  world.run({ untilMs: world.now + 4000 - idleMs });
  const what = `${kind}, ${bothWays ? "both ways" : "one way"}, ${flapping ? "flapping" : "for good"}${idle ? ", idle at first" : ""}`;
  if (tally.counts.reigns !== reigns) throw new Violation(`an election: link ${from} -> ${to} ${what}`);
  if (first.core?.leading !== true) throw new Violation(`the leader gave up: link ${from} -> ${to} ${what}`);
  const asked = (4000 - idleMs) / 20;
  if (answered() <= asked - 10)
    throw new Violation(`${answered()} writes of ${asked} answered: link ${from} -> ${to} ${what}`);
  return slept ? `${what}, asleep` : what;
}

/**
 * One node hears nobody and is heard by all (deaf), or is heard by nobody and hears all (mute), for good or flapping. A follower like that asks and asks, or is asked and says nothing: that must
 * bring about no election, and not keep the leader from serving. A leader like that must give up, or be followed by another; and what was the leader disturbs it no more. Returns what it was.
 */
export function runHalfDeath(seed: number): string {
  const { world, random, tally, replicas, first } = begun(seed);
  const victim = random.pick(replicas);
  const deaf = random.chance(0.5);
  const flapping = victim !== first && random.chance(0.3);
  const what = `a ${victim === first ? "leader" : "follower"} is ${deaf ? "deaf" : "mute"}${flapping ? ", now and then" : ""}`;
  const { reigns } = tally.counts;
  let failed = false;
  const toggle = () => {
    failed = !failed;
    world.network.heal();
    for (const other of failed ? replicas : []) {
      if (other === victim) continue;
      const [from, to] = deaf ? [other, victim] : [victim, other];
      world.network.partition(from.name, to.name);
    }
    if (flapping) world.timer(random.between(10, 1500), toggle);
  };
  toggle();
  const serving = () => replicas.find((replica) => replica !== victim && replica.core?.ready === true);
  if (victim === first) world.run({ untilMs: world.now + 3000, until: () => serving() !== undefined });
  const leader = victim === first ? serving() : first;
  if (leader === undefined) throw new Violation(`nobody else leads within 3 s: ${what}`);
  if (victim !== first && tally.counts.reigns !== reigns) throw new Violation(`an election: ${what}`);
  // Until whoever stood at the same time has found its place.
  if (victim === first) world.run({ untilMs: world.now + 500 });
  const later = tally.counts.reigns;
  const answered = writes(world, serving);
  world.run({ untilMs: world.now + 4000 });
  if (tally.counts.reigns !== later) throw new Violation(`an election: ${what}`);
  if (serving() !== leader) throw new Violation(`the leader gave up: ${what}`);
  if (answered() <= 190) throw new Violation(`${answered()} writes of 200 answered: ${what}`);
  return what;
}

function begun(seed: number) {
  const world = new World<Uint8Array>({ seed });
  const random = world.random.fork("gray");
  const tally = new Tally();
  const observer = new Observer(names);
  const idle = world.random.fork("idle").chance(0.4);
  const replicas = names.map((name) => {
    const options = { members: names };
    return new SimReplica({
      node: world.node(name),
      random: random.fork(name),
      options,
      observer,
      tally,
      bonded: idle,
    });
  });
  for (const replica of replicas) replica.start();
  const leader = () => replicas.find((replica) => replica.core?.ready === true);
  world.run({ untilMs: 2000, until: () => leader() !== undefined });
  const first = leader();
  if (first === undefined) throw new Violation("nobody leads within 2 s");
  return { world, random, tally, replicas, first, idle };
}

/** Asks for a write each 20 ms; returns how many were answered. */
function writes(world: World<Uint8Array>, leader: () => SimReplica | undefined): () => number {
  let answered = 0;
  const write = () => {
    leader()?.request({ kind: "swap", key: 1, value: answered }, (reply) => {
      if (reply.kind === "ok") answered++;
    });
    world.timer(20, write);
  };
  write();
  return () => answered;
}
