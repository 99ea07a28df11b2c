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
  const world = new World<Uint8Array>({ seed });
  const random = world.random.fork("gray");
  const tally = new Tally();
  const observer = new Observer(names);
  const replicas = names.map((name) => {
    const options = { members: names };
    return new SimReplica({ node: world.node(name), random: random.fork(name), options, observer, tally });
  });
  for (const replica of replicas) replica.start();
  const leader = () => replicas.find((replica) => replica.core?.ready === true);
  world.run({ untilMs: 2000, until: () => leader() !== undefined });
  const first = leader();
  if (first === undefined) throw new Violation("nobody leads within 2 s");
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
  let answered = 0;
  const write = () => {
    first.request({ kind: "swap", key: 1, value: answered }, (reply) => {
      if (reply.kind === "ok") answered++;
    });
    world.timer(20, write);
  };
  write();
  world.run({ untilMs: world.now + 4000 });
  const what = `${kind}, ${bothWays ? "both ways" : "one way"}, ${flapping ? "flapping" : "for good"}`;
  if (tally.counts.reigns !== reigns) throw new Violation(`an election: link ${from} -> ${to} ${what}`);
  if (first.core?.leading !== true) throw new Violation(`the leader gave up: link ${from} -> ${to} ${what}`);
  if (answered <= 190) throw new Violation(`${answered} writes of 200 answered: link ${from} -> ${to} ${what}`);
  return what;
}
