import { forEachSeed, World } from "@evenkeel/simulation";
import { describe, expect, it } from "vitest";
import { Observer } from "./support/observer.js";
import { SimReplica } from "./support/replica.js";
import { Tally } from "./support/tally.js";

const names = ["a1", "b1", "c1"];
const count = Number(process.env.PAXOS_SEEDS ?? 150);

describe("one link that fails, one way or both, for good or flapping", () => {
  it(`causes no election in ${count} seeds`, () => {
    forEachSeed({ count, replay: (seed) => `seed ${seed} of test/gray-failures.test.ts` }, (seed) => {
      const world = new World<Uint8Array>({ seed });
      const random = world.random.fork("gray");
      const tally = new Tally();
      const observer = new Observer(["a1", "b1", "c1"]);
      const replicas = names.map((name) => {
        const options = { members: names };
        return new SimReplica({ node: world.node(name), random: random.fork(name), options, observer, tally });
      });
      for (const replica of replicas) replica.start();
      const leader = () => replicas.find((replica) => replica.core?.ready === true);
      world.run({ untilMs: 2000, until: () => leader() !== undefined });
      const first = leader() as SimReplica;
      const reigns = tally.counts.reigns;

      const [from, to] = random.shuffle(names) as [string, string, string];
      const flapping = random.chance(0.5);
      const bothWays = random.chance(0.5);
      let cut = false;
      const toggle = () => {
        cut = flapping ? !cut : true;
        if (cut && bothWays) world.network.partitionBoth(from, to);
        else if (cut) world.network.partition(from, to);
        else world.network.heal();
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
      expect(tally.counts.reigns).toBe(reigns);
      expect(first.core?.leading).toBe(true);
      expect(answered).toBeGreaterThan(190);
    });
  });
});
