import type { Bench } from "../../../scripts/bench-types.js";
import type { ProcessCpu } from "./support/cpu.js";
import { ITEMS } from "./support/loader.js";
import { storeServer, WARM_SECONDS } from "./support/subjects.js";

/** One partition, so that one node leads all that is written and the others follow. */
const server = storeServer(1);

/**
 * What an operation costs each process, the kernel's work for it included. On a machine where the load and all processes share the processors it is
 * this that decides the throughput; and it can be measured again while others use the machine, which a rate cannot.
 */
function costs(name: string, readShare: number): Bench {
  const unit = { unit: "µs/op", better: "lower" } as const;
  server.expectUser();
  return {
    name: `processor time, ${name}, 64 clients, one partition, ${ITEMS} items of 900 B, warm (${WARM_SECONDS} s)`,
    metrics: { router: unit, leader: unit, "each follower": unit, "all processes": unit, "load generator": unit },
    subjects: {
      evenkeel: {
        note: "the node that used most is the leader",
        ...(server.skip === undefined ? {} : { skip: server.skip }),
        open: () => server.start({ readShare, clients: 64 }),
        async run() {
          const { operations, clientCpuUs, cpu, processes } = await server.load({ readShare, clients: 64, seconds: 2 });
          const isNode = ({ command }: ProcessCpu) => command.includes("node-process");
          const spent = (some: readonly ProcessCpu[]) => some.map(({ cpuUs }) => cpuUs / operations);
          const nodes = spent(processes.filter(isNode)).sort((a, b) => b - a);
          const [router = 0] = spent(processes.filter((each) => !isNode(each)));
          const [leader = 0, second = 0, third = 0] = nodes;
          return {
            router,
            leader,
            "each follower": (second + third) / 2,
            "all processes": cpu,
            "load generator": clientCpuUs / operations,
          };
        },
        close: () => server.stop(),
      },
    },
  };
}

export default [
  costs("PutItem", 0),
  costs("GetItem", 1),
  costs("YCSB A (50 % GetItem, 50 % PutItem)", 0.5),
  costs("YCSB B (95 % GetItem, 5 % PutItem)", 0.95),
];
