import { badArgument, checkedNumber, checkOptions, SimulationError } from "./errors.js";
import { type Frontier, PackedFrontier, PlainFrontier } from "./explore-frontier.js";
import { identity } from "./explore-identity.js";
import { KnownStates } from "./explore-known.js";
import type { Exploration, ExploreCounts, ExploreModel, ExploreOptions } from "./explore-model.js";
import { pathTo, traceText } from "./explore-trace.js";
import { Fingerprint } from "./fingerprint.js";

const optionNames: Record<keyof ExploreOptions, 0> = {
  statesMax: 0,
  depthMax: 0,
  frontierBytesMax: 0,
  deadlocks: 0,
  untilGoals: 0,
  now: 0,
  progressEvery: 0,
  onProgress: 0,
};

const STATES_MAX = 1_000_000;
const FRONTIER_BYTES_MAX = 4 * 2 ** 30;

/**
 * Looks at every state that a model can come to, nearest first, so that what is found is found by the shortest way. Deterministic; ends with
 * "holds" only when nothing is left to look at, with "bound" when a bound was in the way, with "violation" and its trace at the first wrong state or step.
 *
 * Explicit-state search in the manner of Murphi and TLC: states are known by 64-bit fingerprints, so a violation is always real, and with n states the
 * chance that one was passed over is below n^2 / 2^65 (`collisionChance`; 7 in 100,000 for 5 x 10^7).
 *
 * @throws SimulationError ERR_SIMULATION_ARGUMENT, and ERR_SIMULATION_MODEL where the model does not give the same steps twice. What the model throws goes through.
 */
export function explore<S, A = string>(model: ExploreModel<S, A>, options: ExploreOptions = {}): Exploration<S, A> {
  return new Search(model, options).run();
}

/** As `explore`; throws ERR_SIMULATION_MODEL with the trace on a violation, on a bound and on a goal that was not met. */
export function assertHolds<S, A = string>(model: ExploreModel<S, A>, options: ExploreOptions = {}): Exploration<S, A> {
  const explored = explore(model, options);
  if (explored.verdict === "violation") throw new SimulationError("ERR_SIMULATION_MODEL", explored.trace);
  if (explored.verdict === "bound") {
    const { bound, states, depth } = explored;
    throw new SimulationError(
      "ERR_SIMULATION_MODEL",
      `not all states were looked at: ${bound} reached after ${states} states, all of those within ${depth} steps`,
    );
  }
  if (explored.unmet.length > 0) {
    throw new SimulationError("ERR_SIMULATION_MODEL", `never met: ${explored.unmet.join(", ")}`);
  }
  return explored;
}

type Check<T extends readonly unknown[]> = readonly (readonly [string, (...of: T) => boolean | string])[];

class Search<S, A> {
  readonly #model: ExploreModel<S, A>;
  readonly #options: ExploreOptions;
  readonly #statesMax: number;
  readonly #depthMax: number;
  readonly #frontierBytesMax: number;
  readonly #progressEvery: number;
  readonly #identify: (state: S, into: Fingerprint) => void;
  readonly #known = new KnownStates();
  readonly #frontier: Frontier<S>;
  readonly #invariants: Check<[S]>;
  readonly #stepInvariants: Check<[S, A, S]>;
  readonly #open: Map<string, (state: S) => boolean>;
  readonly #met: Record<string, number> = {};
  readonly #startedMs: number;
  #transitions = 0;
  /** Steps from a beginning of the states that are being gone on from. */
  #depth = 0;
  #waitingMax = 0;
  #bytesMax = 0;
  #wrong: { readonly what: string; readonly invariant: string; readonly number: number } | undefined;
  /** A wrong step may lead to a state that is known by a shorter way: the step itself ends the trace. */
  #wrongStep: { readonly action: A; readonly state: S } | undefined;
  #bound: "statesMax" | "depthMax" | "frontierBytesMax" | undefined;

  constructor(model: ExploreModel<S, A>, options: ExploreOptions) {
    checkOptions("explore", options, optionNames);
    if (!Array.isArray(model?.initial) || model.initial.length === 0) {
      throw badArgument("model.initial", "a list of at least one state", model?.initial);
    }
    if ((model.encode === undefined) !== (model.decode === undefined)) {
      throw badArgument("model.decode", "given together with encode", model.decode);
    }
    if (model.canonical !== undefined && model.symmetries !== undefined) {
      throw badArgument("model.symmetries", "left out where canonical is given", model.symmetries);
    }
    this.#model = model;
    this.#options = options;
    this.#statesMax = checkedNumber("statesMax", options.statesMax ?? STATES_MAX, 1, 8e8);
    this.#depthMax = checkedNumber("depthMax", options.depthMax ?? Number.MAX_SAFE_INTEGER, 0);
    this.#frontierBytesMax = checkedNumber("frontierBytesMax", options.frontierBytesMax ?? FRONTIER_BYTES_MAX, 0);
    this.#progressEvery = checkedNumber("progressEvery", options.progressEvery ?? 1_000_000, 1);
    this.#identify = identity(model);
    const { encode, decode } = model;
    this.#frontier =
      encode === undefined || decode === undefined
        ? new PlainFrontier<S>()
        : new PackedFrontier<S>(encode.bind(model), decode.bind(model));
    this.#invariants = Object.entries(model.invariants ?? {});
    this.#stepInvariants = Object.entries(model.stepInvariants ?? {});
    this.#open = new Map(Object.entries(model.goals ?? {}));
    this.#startedMs = options.now?.() ?? 0;
  }

  run(): Exploration<S, A> {
    const model = this.#model;
    const print = new Fingerprint();
    for (const state of model.initial) {
      this.#identify(state, print);
      if (this.#known.add(print.low, print.high, this.#known.size)) this.#meet(state, this.#known.size - 1);
      if (this.#ended()) return this.#verdict();
    }
    let number = 0;
    let levelEnd = this.#known.size;
    let before = model.initial[0] as S;
    let moved = false;
    const deadlocks = this.#options.deadlocks === true;
    // One closure for the whole search; what it is called for stands in the variables above it.
    const to = (action: A, next: S): void => {
      this.#transitions++;
      if (this.#wrong !== undefined) return;
      this.#identify(next, print);
      const fresh = this.#known.add(print.low, print.high, number);
      if (deadlocks && !moved) moved = fresh || this.#known.find(print.low, print.high) !== number;
      for (const [name, holds] of this.#stepInvariants) {
        const said = holds(before, action, next);
        if (said === true) continue;
        this.#wrong = { what: wording(name, said), invariant: name, number };
        this.#wrongStep = { action, state: next };
        return;
      }
      if (fresh) this.#meet(next, this.#known.size - 1);
    };
    for (; this.#frontier.length > 0; number++) {
      if (number === levelEnd) {
        this.#depth++;
        levelEnd = this.#known.size;
      }
      before = this.#frontier.shift();
      if (model.within !== undefined && !model.within(before)) continue;
      if (this.#depth >= this.#depthMax) {
        this.#bound = "depthMax";
        break;
      }
      moved = false;
      model.steps(before, to);
      if (this.#wrong === undefined && !moved && deadlocks && model.isDone?.(before) !== true) {
        this.#wrong = { what: "nothing can happen any more", invariant: "deadlock", number };
      }
      if (this.#ended()) break;
    }
    return this.#verdict();
  }

  /** A state that was not known: checked, and put where it will be gone on from. */
  #meet(state: S, number: number): void {
    for (const [name, holds] of this.#invariants) {
      const said = holds(state);
      if (said === true) continue;
      this.#wrong ??= { what: wording(name, said), invariant: name, number };
    }
    if (this.#open.size > 0) {
      for (const [name, isMet] of this.#open) {
        if (!isMet(state)) continue;
        this.#open.delete(name);
        this.#met[name] = number === this.#known.parent(number) ? 0 : this.#depth + 1;
      }
    }
    this.#frontier.push(state);
    const { size } = this.#known;
    if (this.#frontier.length > this.#waitingMax) this.#waitingMax = this.#frontier.length;
    if (size >= this.#statesMax) this.#bound ??= "statesMax";
    if ((size & 0xffff) === 0) this.#weigh();
    if (size % this.#progressEvery === 0) this.#options.onProgress?.(this.#counts());
  }

  #weigh(): void {
    const waiting = this.#frontier.bytes;
    this.#bytesMax = Math.max(this.#bytesMax, this.#known.bytes + waiting);
    if (waiting > this.#frontierBytesMax) this.#bound ??= "frontierBytesMax";
  }

  #ended(): boolean {
    if (this.#wrong !== undefined || this.#bound !== undefined) return true;
    return this.#options.untilGoals === true && this.#open.size === 0;
  }

  #counts(): ExploreCounts {
    const { size } = this.#known;
    const now = this.#options.now;
    const seconds = now === undefined ? 0 : (now() - this.#startedMs) / 1000;
    return {
      states: size,
      transitions: this.#transitions,
      depth: this.#depth,
      waitingMax: this.#waitingMax,
      bytesMax: this.#bytesMax,
      collisionChance: Math.min(1, size ** 2 / 2 ** 65),
      ...(seconds > 0 ? { statesPerSecond: Math.round(size / seconds) } : {}),
    };
  }

  #verdict(): Exploration<S, A> {
    this.#weigh();
    const explored = { ...this.#counts(), met: this.#met, unmet: [...this.#open.keys()] };
    if (this.#wrong !== undefined) {
      const { what, invariant, number } = this.#wrong;
      const found = pathTo(this.#model, this.#identify, this.#known, number);
      const path = this.#wrongStep === undefined ? found : { ...found, steps: [...found.steps, this.#wrongStep] };
      return { ...explored, verdict: "violation", invariant, path, trace: traceText(this.#model, what, path) };
    }
    // The last state may have been the last there is.
    if (this.#bound !== undefined && (this.#bound !== "statesMax" || this.#frontier.length > 0)) {
      return { ...explored, verdict: "bound", bound: this.#bound };
    }
    if (this.#options.untilGoals === true && this.#open.size === 0) return { ...explored, verdict: "goals" };
    return { ...explored, verdict: "holds" };
  }
}

function wording(name: string, said: boolean | string): string {
  return typeof said === "string" ? `"${name}" does not hold (${said})` : `"${name}" does not hold`;
}
