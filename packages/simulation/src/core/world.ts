import { SimDisk } from "./disk.js";
import { badArgument, checkedNumber, checkOptions } from "./errors.js";
import { EventQueue } from "./event-queue.js";
import { SimNetwork } from "./network.js";
import { SimNode } from "./node.js";
import { Random } from "./random.js";
import type { Scheduler } from "./scheduler.js";

export interface WorldOptions {
  /** The same seed and the same program give the same world, event by event. */
  readonly seed: number | string;
}

export interface RunOptions {
  /** Stop when the next event lies after this virtual time; the clock then stands at `untilMs`. */
  readonly untilMs?: number;
  /** Looked at before the first event and after each one; true stops the run. */
  readonly until?: () => boolean;
  /** Stop after so many events: the answer to a world that never falls silent. 10 million by default. */
  readonly eventsMax?: number;
}

export interface AsyncRunOptions extends RunOptions {
  /**
   * Lets every promise reaction run that is due, before the next event. `eventLoopTurn` of this package does it on Node; the core
   * itself knows no event loop.
   */
  readonly turn: () => Promise<void>;
}

const runNames: Record<keyof AsyncRunOptions, 0> = { untilMs: 0, until: 0, eventsMax: 0, turn: 0 };

/** Why a run ended: the condition held, the time was up, nothing was left to happen, or `eventsMax` was reached. */
export type RunEnd = "condition" | "time" | "idle" | "events";

const EVENTS_MAX = 10_000_000;

/**
 * One seed, one world: virtual time, a network, nodes and their disks.
 *
 * The world is single-threaded and moves only in `step` and `run`; between two events no time passes. What a callback throws comes
 * out of `run`, and the world may go on from there.
 */
export class World<Message = unknown> implements Scheduler {
  readonly seed: string;
  /** For the test's own choices. The network and each disk draw from forks, so that their draws do not shift these. */
  readonly random: Random;
  readonly network: SimNetwork<Message>;
  readonly #queue = new EventQueue();
  readonly #disks = new Map<string, SimDisk>();
  readonly #nodes = new Map<string, SimNode<Message>>();
  #now = 0;
  #events = 0;
  #fingerprint = 0x811c9dc5;

  /** @throws SimulationError ERR_SIMULATION_ARGUMENT */
  constructor(options: WorldOptions) {
    const { seed } = checkOptions("World", options, { seed: 0 });
    this.random = new Random(seed);
    this.seed = this.random.seed;
    this.network = new SimNetwork<Message>(this, this.random.fork("network"));
  }

  get now(): number {
    return this.#now;
  }

  /** Changes with every event and its time: two runs that agree on it took the same path. */
  get fingerprint(): number {
    return this.#fingerprint >>> 0;
  }

  /** Calls `action` once, `delayMs` virtual milliseconds from now; what it returns takes that back. */
  timer(delayMs: number, action: () => void): () => void {
    checkedNumber("delayMs", delayMs, 0);
    if (typeof action !== "function") throw badArgument("action", "a function", action);
    const event = this.#queue.push(this.#now + delayMs, action);
    return () => this.#queue.cancel(event);
  }

  /** The disk of this name, empty at first. It outlives every crash. */
  disk(name: string): SimDisk {
    if (typeof name !== "string") throw badArgument("name", "a string", name);
    let disk = this.#disks.get(name);
    if (disk === undefined) {
      disk = new SimDisk(name, this, this.random.fork(`disk/${name}`));
      this.#disks.set(name, disk);
    }
    return disk;
  }

  /** The node of this name: its disk, clock, timers and place on the network, with crash, restart and pause. */
  node(name: string): SimNode<Message> {
    let node = this.#nodes.get(name);
    if (node === undefined) {
      node = new SimNode<Message>(name, this, this.network, this.disk(name));
      this.#nodes.set(name, node);
    }
    return node;
  }

  /** Lets the next event happen; false when there is none. */
  step(): boolean {
    const event = this.#queue.pop();
    if (event === undefined) return false;
    this.#now = event.atMs;
    this.#events++;
    this.#mix(event.order);
    this.#mix(Math.round(event.atMs * 1024));
    const action = event.action;
    event.action = undefined;
    action?.();
    return true;
  }

  /** Goes from event to event until a bound or a condition is met, and says which. What a callback throws comes out of it. */
  run(options: RunOptions = {}): RunEnd {
    const bounds = checkedRun(options);
    for (let events = 0; ; events++) {
      const end = this.#end(bounds, events);
      if (end !== undefined) return end;
      this.step();
    }
  }

  /** As `run`, for code under test that awaits promises: after each event it lets their reactions run. */
  async runAsync(options: AsyncRunOptions): Promise<RunEnd> {
    const bounds = checkedRun(options);
    await options.turn();
    for (let events = 0; ; events++) {
      const end = this.#end(bounds, events);
      if (end !== undefined) return end;
      this.step();
      await options.turn();
    }
  }

  stats(): { readonly nowMs: number; readonly events: number; readonly pending: number } {
    return { nowMs: this.#now, events: this.#events, pending: this.#queue.size };
  }

  #end({ untilMs, until, eventsMax }: Bounds, events: number): RunEnd | undefined {
    if (until?.()) return "condition";
    if (events >= eventsMax) return "events";
    const nextMs = this.#queue.peekMs();
    if (nextMs !== undefined && nextMs <= untilMs) return undefined;
    if (untilMs === Number.POSITIVE_INFINITY) return "idle";
    this.#now = Math.max(this.#now, untilMs);
    return nextMs === undefined ? "idle" : "time";
  }

  #mix(value: number): void {
    this.#fingerprint = Math.imul(this.#fingerprint ^ value, 0x01000193);
  }
}

interface Bounds {
  readonly untilMs: number;
  readonly until: (() => boolean) | undefined;
  readonly eventsMax: number;
}

function checkedRun(options: RunOptions | AsyncRunOptions): Bounds {
  const { untilMs, until, eventsMax = EVENTS_MAX } = checkOptions<Partial<AsyncRunOptions>>("run", options, runNames);
  if (untilMs !== undefined) checkedNumber("untilMs", untilMs, 0);
  if (until !== undefined && typeof until !== "function") throw badArgument("until", "a function", until);
  checkedNumber("eventsMax", eventsMax, 1);
  return { untilMs: untilMs ?? Number.POSITIVE_INFINITY, until, eventsMax };
}
