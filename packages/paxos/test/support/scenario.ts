import { assertLinearizable, History, World } from "@evenkeel/simulation";
import { Client } from "./clients.js";
import { type Answer, type Op, opKey, swapModel } from "./machine.js";
import type { Mutation } from "./mutation.js";
import { drawWeather, Nemesis, type Weather } from "./nemesis.js";
import { Observer, Violation } from "./observer.js";
import { SimReplica } from "./replica.js";
import { Tally } from "./tally.js";

export interface ScenarioOptions {
  readonly seed: number;
  readonly faultsMs?: number;
  readonly mutation?: Mutation;
  readonly weather?: Partial<Weather>;
  /** For debugging: a look at the replicas before the first event. */
  readonly onStart?: (replicas: readonly SimReplica[]) => void;
}

export interface ScenarioReport {
  readonly tally: Tally;
  readonly fingerprint: number;
  readonly chosen: number;
  readonly operations: number;
}

/** Longest time from the end of all faults to three equal replicas and a write for each client. Virtual milliseconds. */
export const RECOVERY_MAX_MS = 3000;

const three = ["a1", "b1", "c1"];
const five = [...three, "d1", "e1"];

/** One world from its seed: three replicas (sometimes five), some clients, bad weather, then calm. Throws at the first thing that must not be. */
export function runScenario({
  seed,
  faultsMs = 2500,
  mutation,
  weather: given,
  onStart,
}: ScenarioOptions): ScenarioReport {
  const world = new World<Uint8Array>({ seed });
  const random = world.random.fork("scenario");
  const tally = new Tally();
  const observer = new Observer();
  const history = new History<Op, Answer>({ now: () => world.now });
  const small = random.chance(0.5);
  const names = random.fork("size").chance(0.15) ? five : three;
  // In some worlds no read rests on a clock, and the clocks are as wrong as they like.
  const leaseReads = random.chance(0.8);
  const options = {
    members: names,
    leaseReads,
    // Small bounds in half of the worlds, so that windows fill, queues reject and logs leave memory.
    ...(small
      ? { pipelineSlotsMax: 6, pipelineBytesMax: 2000, commandBytesMax: 200, queueMax: 3, messageBytesMax: 200 }
      : {}),
    ...(small ? { tailBytesMax: random.pick([0, 500]), candidateLagMax: 10 } : {}),
  };
  const replicas = names.map(
    (name) => new SimReplica({ node: world.node(name), random: random.fork(name), options, observer, tally, mutation }),
  );
  for (const replica of replicas) replica.start();
  const weather = { ...drawWeather(random.fork("weather")), ...(leaseReads ? {} : { drift: 0.5 }), ...given };
  const nemesis = new Nemesis(world, replicas, random.fork("nemesis"), weather, tally);
  let values = 0;
  const clients = Array.from({ length: 2 + random.int(4) }, (_, index) => {
    return new Client(`client ${index}`, index, {
      world,
      history,
      replicas,
      tally,
      random: random.fork(`client ${index}`),
      keys: 1 + (index % 2),
      readShare: 0.4,
      thinkMs: random.pick([1, 5, 20]),
      timeoutMs: 400,
      nextValue: () => ++values,
    });
  });

  onStart?.(replicas);
  world.run({ untilMs: faultsMs });
  nemesis.stop();
  const before = clients.map(({ succeeded }) => succeeded);
  const recovered = () =>
    clients.every((client, index) => client.succeeded > (before[index] as number) + 2) &&
    replicas.every((replica) => replica.core?.leader !== undefined);
  world.run({ untilMs: faultsMs + RECOVERY_MAX_MS, until: recovered });
  if (!recovered()) throw new Violation(`no progress within ${RECOVERY_MAX_MS} ms after the faults ended`);
  for (const client of clients) client.stopped = true;
  const quietMs = world.now;
  const equal = () => replicas.every((replica) => replica.core?.chosenThrough === observer.chosen.length);
  world.run({ untilMs: quietMs + 1000, until: () => world.now > quietMs + 500 && equal() });
  if (!equal()) throw new Violation("the replicas do not catch up once it is quiet");
  if (new Set(replicas.map((replica) => replica.machine.fingerprint())).size > 1)
    throw new Violation("the replicas differ");
  assertLinearizable(history, swapModel, { partitionBy: opKey });

  for (const [what, count] of Object.entries(world.network.counters)) tally.add(`messages ${what}`, count);
  for (const replica of replicas) tally.add("records lost by crashes", replica.node.disk.counters.lost);
  return {
    tally,
    fingerprint: world.fingerprint,
    chosen: observer.chosen.length,
    operations: history.operations().length,
  };
}
