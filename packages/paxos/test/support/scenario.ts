import { assertLinearizable, History, type Random, World } from "@evenkeel/simulation";
import { type Configuration, type MemberRole, Tails } from "../../src/core/index.js";
import type { Tail } from "../../src/core/tails.js";
import { isMute } from "../../src/host/births.js";
import { Client } from "./clients.js";
import { LocalReader } from "./local-reader.js";
import { type Loss, Losses, losses } from "./losses.js";
import { type Answer, type Op, opKey, swapModel } from "./machine.js";
import { Moments } from "./moments.js";
import type { Mutation } from "./mutation.js";
import { drawWeather, Nemesis, type Weather } from "./nemesis.js";
import { loseNewcomer } from "./newcomer-loss.js";
import { Observer, Violation } from "./observer.js";
import { Operator } from "./operator.js";
import { SimReplica } from "./replica.js";
import { RetryingClient } from "./retrying-client.js";
import { Tally } from "./tally.js";

export interface ScenarioOptions {
  readonly seed: number;
  readonly faultsMs?: number;
  readonly mutation?: Mutation;
  readonly weather?: Partial<Weather>;
  /** Whether members come and go; drawn from the seed unless told. */
  readonly members?: boolean;
  /** Whether logs come back torn; drawn from the seed unless told. */
  readonly torn?: boolean;
  /** Whether some clients ask under numbers of their own, and try again; drawn from the seed unless told. */
  readonly requests?: boolean;
  /** Whether replicas are asked how old their states are; drawn from the seed unless told. */
  readonly localReads?: boolean;
  /** Whether the replicas share one small bound for the tails of their logs, as groups of one node do, so that each gives up what another has no room for; drawn from the seed unless told. */
  readonly crowded?: boolean;
  /** Whether the group may sleep; drawn from the seed unless told. */
  readonly sleeping?: boolean;
  /** Whether logs ask whether they are their node's first before they vote; drawn from the seed unless told. */
  readonly births?: boolean;
  /** Whether reads fail now and then, and how one node is lost for good (if at all); drawn from the seed unless told. */
  readonly losses?: Loss | "none" | false;
  /** Whether the worst moments are waited for; drawn from the seed unless told. */
  readonly moments?: boolean;
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
/** Who has no voice yet asks those who did not answer again after 1.6 s, and catches up then. */
const CATCH_UP_MAX_MS = 2_500;

const three = ["a1", "b1", "c1"];
const five = [...three, "d1", "e1"];
const spareLogs = ["l1", "l2", "l3", "l4"];
const spareStorage = ["s1", "s2", "s3", "s4"];

class CountedTails extends Tails {
  readonly #tally: Tally;

  constructor(bytesMax: number, tally: Tally) {
    super(bytesMax);
    this.#tally = tally;
  }

  override weighed(tail: Tail, bytes: number): void {
    const grown = this.bytes - tail.bytes + bytes;
    super.weighed(tail, bytes);
    if (this.bytes - tail.bytes < grown - bytes) this.#tally.add("tails given up for others");
  }
}

/** One world from its seed: three replicas (sometimes five), some clients, bad weather, then calm. Throws at the first thing that must not be. */
export function runScenario({
  seed,
  faultsMs = 2000,
  mutation,
  weather: given,
  members,
  torn: tearing,
  sleeping,
  requests: asking,
  localReads,
  moments: aiming,
  crowded: crowding,
  births: asked,
  losses: losing,
  onStart,
}: ScenarioOptions): ScenarioReport {
  const world = new World<Uint8Array>({ seed });
  const random = world.random.fork("scenario");
  const tally = new Tally();
  const history = new History<Op, Answer>({ now: () => world.now });
  const small = random.chance(0.5);
  const names = random.fork("size").chance(0.15) ? five : three;
  // In some worlds no read rests on a clock, and the clocks are as wrong as they like.
  const leaseReads = random.chance(0.8);
  const aims = random.fork("moments");
  const aimed = aiming ?? (mutation === undefined && aims.chance(0.4));
  const options = {
    members: names,
    leaseReads,
    ...(aimed && aims.chance(0.5) ? { electionJitterMs: 5, diskStallMs: 300 } : {}),
    // Small bounds in half of the worlds, so that windows fill, queues reject and logs leave memory.
    ...(small
      ? { pipelineSlotsMax: 6, pipelineBytesMax: 2000, commandBytesMax: 200, queueMax: 3, messageBytesMax: 200 }
      : {}),
    ...(small ? { tailBytesMax: random.pick([0, 500]), candidateLagMax: 10 } : {}),
  };
  // At any moment, between any two steps.
  const crowd = random.fork("crowd");
  const crowded = crowding ?? (mutation === undefined && crowd.chance(0.3));
  const tails = crowded ? new CountedTails(crowd.pick([0, 400, 3000]), tally) : undefined;
  const changing = members ?? (mutation === undefined && random.fork("members").chance(0.5));
  const torn = tearing ?? (mutation === undefined && random.fork("torn").chance(0.3));
  // In some worlds nodes keep bonds, and a group of which nothing is asked sleeps soon.
  const sleep = random.fork("sleep");
  const bonded = sleeping ?? (mutation === undefined && sleep.chance(0.4));
  const sleepAfterMs = sleep.pick([0, 20, 100]);
  const packs = bonded && random.fork("pack").chance(0.25);
  const retrying = random.fork("requests");
  const requests = asking ?? (mutation === undefined && retrying.chance(0.25));
  const astray = random.fork("losses");
  const births = asked ?? (mutation === undefined && random.fork("births").chance(0.5));
  // A log that was torn waits for all others, one that is gone included. And who was emptied is found out by births only.
  const loss = losing ?? (mutation === undefined && !torn && astray.chance(0.4) ? drawLoss(astray, births) : false);
  const orphans = births && mutation === undefined && random.fork("orphans").chance(0.5);
  const observer = new Observer(names, mutation?.betrayal("everybody"), tally);
  const replica = (name: string, role?: MemberRole) =>
    new SimReplica({
      node: world.node(name),
      random: random.fork(name),
      options: { ...options, sleepAfterMs, ...(tails && { tails }) },
      bonded,
      packs,
      observer,
      tally,
      mutation,
      role,
      torn,
      births,
      orphans,
      losesState: aimed && aims.fork("states").chance(0.5) ? 0.3 : 0,
    });
  const founders = names.map((name) => replica(name));
  for (const founder of founders) founder.start();
  const spares = changing
    ? [...spareLogs.map((name) => replica(name, "log")), ...spareStorage.map((name) => replica(name))]
    : [];
  const replicas = [...founders, ...spares];
  const weather = { ...drawWeather(random.fork("weather")), ...(leaseReads ? {} : { drift: 0.5 }), ...given };
  const nemesis = new Nemesis(world, replicas, random.fork("nemesis"), weather, tally);
  let values = 0;
  const pauseChance = bonded ? sleep.pick([0.05, 0.2, 0.5]) : 0;
  const clients = Array.from({ length: 2 + random.int(4) }, (_, index) => {
    return new Client(`client ${index}`, index, {
      world,
      history,
      replicas,
      tally,
      random: random.fork(`client ${index}`),
      keys: 1 + (index % 2),
      readShare: bonded ? 0.6 : 0.4,
      thinkMs: random.pick([2, 10, 40]),
      pauseChance,
      timeoutMs: 400,
      nextValue: () => ++values,
    });
  });
  const retryingClients = Array.from({ length: requests ? 1 + retrying.int(3) : 0 }, (_, index) => {
    const own = retrying.fork(`client ${index}`);
    // One place is always missing when there are three of them and two places.
    const [clientsMax, patienceMs] = [retrying.fork("places").pick([2, 2, 10]), own.pick([30, 150, 400])];
    return new RetryingClient(`retrying ${index}`, {
      world,
      history,
      replicas,
      tally,
      random: own,
      clientsMax,
      keys: [100, 101],
      patienceMs,
      hasty: aimed,
    });
  });
  // Where clocks are as wrong as they like, nobody can tell how old anything is.
  const reading = random.fork("local reads");
  const locally = localReads ?? (mutation === undefined && leaseReads && reading.chance(0.25));
  const readers = locally ? [new LocalReader({ world, replicas, observer, tally, random: reading })] : [];
  const everybody = [...clients, ...retryingClients, ...readers];

  const operator = changing
    ? new Operator({
        world,
        replicas,
        spares,
        random: random.fork("operator"),
        tally,
        aims: aimed ? aims.fork("operator") : undefined,
      })
    : undefined;
  const trims = random.fork("trim");
  if (changing && trims.chance(0.7)) keepShort(world, replicas, trims.pick([5, 30]));
  else if (mutation === undefined && trims.chance(0.5)) keepTrimmed(world, founders);
  const losses =
    loss === false
      ? undefined
      : new Losses({
          world,
          founders,
          observer,
          random: astray,
          tally,
          loss: loss === "none" ? undefined : loss,
        });
  const emptied = random.fork("newcomers");
  if (
    changing &&
    births &&
    !torn &&
    mutation === undefined &&
    (loss === false || loss === "none") &&
    emptied.chance(0.6)
  )
    loseNewcomer({ world, spares, observer, random: emptied, tally });
  if (changing && mutation === undefined && random.fork("retirements").chance(0.5))
    retireDeparted({ world, replicas, founders, observer, tally });
  const moments = aimed
    ? new Moments({ world, replicas, nemesis, operator, random: aims, tally, leaseReads })
    : undefined;
  onStart?.(replicas);
  world.run({ untilMs: faultsMs });
  if (operator !== undefined) operator.stopped = true;
  if (moments !== undefined) moments.stopped = true;
  if (losses !== undefined) losses.stopped = true;
  nemesis.stop();
  const before = everybody.map(({ succeeded }) => succeeded);
  const current = () => {
    const { storage, log } = observer.configurations.at(-1) as Configuration;
    return replicas.filter(({ name, gone }) => !gone && (storage.includes(name) || log.includes(name)));
  };
  const recovered = () =>
    everybody.every((client, index) => client.succeeded > (before[index] as number) + 2) &&
    current().every((replica) => replica.core?.leader !== undefined);
  world.run({ untilMs: faultsMs + RECOVERY_MAX_MS, until: nowAndThen(world, recovered) });
  if (!recovered()) throw new Violation(`no progress within ${RECOVERY_MAX_MS} ms after the faults ended`);
  for (const client of everybody) client.stopped = true;
  const quietMs = world.now;
  const equal = () => current().every(({ core, behind }) => core?.chosenThrough === observer.chosen.length && !behind);
  world.run({
    untilMs: quietMs + CATCH_UP_MAX_MS,
    until: nowAndThen(world, () => world.now > quietMs + 300 && equal()),
  });
  if (!equal()) throw new Violation("the replicas do not catch up once it is quiet");
  const states = current().filter(({ role }) => role === "storage");
  if (new Set(states.map(({ machine }) => machine.fingerprint())).size > 1) throw new Violation("the replicas differ");
  if (mutation === undefined && new Set(states.map(({ machine }) => machine.clientsText())).size > 1)
    throw new Violation("the replicas remember different clients");
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

function drawLoss(random: Random, births: boolean): Loss | "none" {
  return random.pick(["none", ...losses.filter((loss) => births || loss !== "emptied")]);
}

/** Looks once a millisecond, not at each event. */
function nowAndThen(world: World<Uint8Array>, condition: () => boolean): () => boolean {
  let nextMs = 0;
  return () => {
    if (world.now < nextMs) return false;
    nextMs = world.now + 1;
    return condition();
  };
}

/** Who has left is switched off, once two of those that stay have it on disk as chosen. */
function retireDeparted({
  world,
  replicas,
  founders,
  observer,
  tally,
}: {
  readonly world: World<Uint8Array>;
  readonly replicas: readonly SimReplica[];
  readonly founders: readonly SimReplica[];
  readonly observer: Observer;
  readonly tally: Tally;
}): void {
  const retired = new Set<SimReplica>();
  const next = () => {
    const { slot, storage, log, departed } = observer.configurationAt(Number.MAX_SAFE_INTEGER);
    const stays = ({ name }: SimReplica) => storage.includes(name) || log.includes(name);
    const know = replicas.filter((one) => stays(one) && !one.gone && one.storage.durable.chosenThrough >= slot);
    // A founder that nobody could tell yet whether it begins would wait for ever for those that could.
    const waits = founders.some((one) => stays(one) && !one.gone && isMute(one.storage.durable));
    for (const replica of know.length < 2 || waits ? [] : replicas) {
      if (!departed.includes(replica.name) || retired.has(replica)) continue;
      retired.add(replica);
      tally.add("departed nodes switched off");
      replica.retire();
    }
    world.timer(10, next);
  };
  world.timer(10, next);
}

/** Each storage replica keeps no more than the newest few slots, whoever may still need the others. */
function keepShort(world: World<Uint8Array>, replicas: readonly SimReplica[], slots: number): void {
  let turn = 0;
  const next = () => {
    const replica = replicas[turn++ % replicas.length] as SimReplica;
    if (replica.role === "storage") replica.trim(replica.machine.appliedThrough - slots);
    world.timer(20, next);
  };
  world.timer(20, next);
}

/** Each replica in its turn lets go of what all have on disk as chosen. */
function keepTrimmed(world: World<Uint8Array>, replicas: readonly SimReplica[]): void {
  let turn = 0;
  const next = () => {
    const through = Math.min(
      ...replicas.map(({ gone, storage }) => (gone ? Number.POSITIVE_INFINITY : storage.durable.chosenThrough)),
    );
    replicas[turn++ % replicas.length]?.trim(through);
    world.timer(50, next);
  };
  world.timer(50, next);
}
