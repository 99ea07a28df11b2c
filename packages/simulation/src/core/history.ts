import { badArgument, checkOptions, SimulationError } from "./errors.js";

/**
 * `ok`: it happened, with this output. `fail`: it certainly did not happen, ever. `unknown`: it may have happened at any time since it
 * was invoked, may happen in an hour, or never; a timeout is this.
 */
export type Outcome = "ok" | "fail" | "unknown";

/** One call of one client, as the checker sees it. */
export interface Operation<I, O> {
  readonly id: number;
  readonly process: string;
  readonly input: I;
  readonly outcome: Outcome;
  /** Only with `ok`. */
  readonly output?: O;
  /**
   * Where the call and the return stand in the order of all calls and returns. An operation comes before another when it returned at a
   * smaller number than the other was invoked; with equal numbers they count as concurrent, so clock readings may stand here too.
   */
  readonly invoked: number;
  /** Infinity unless the outcome is `ok` or `fail`. */
  readonly returned: number;
  /** For people; the checker does not look at them. */
  readonly invokedMs: number;
  readonly returnedMs: number | undefined;
}

/** What a run did, call by call, in the order in which it was told. */
export class History<I, O> {
  readonly #now: () => number;
  readonly #operations: Operation<I, O>[] = [];
  #moment = 0;
  #open = 0;

  /** `now` is only written beside each call for the reader of a trace: `() => world.now`. */
  constructor(options: { readonly now: () => number }) {
    const { now } = checkOptions("History", options, { now: 0 });
    if (typeof now !== "function") throw badArgument("now", "a function that returns milliseconds", now);
    this.#now = now;
  }

  /** A client begins a call. Returns the number by which its end is told. */
  invoke(process: string, input: I): number {
    const id = this.#operations.length;
    this.#open++;
    this.#operations.push({
      id,
      process,
      input,
      outcome: "unknown",
      invoked: this.#moment++,
      returned: Number.POSITIVE_INFINITY,
      invokedMs: this.#now(),
      returnedMs: undefined,
    });
    return id;
  }

  /** The call returned: it happened. @throws SimulationError ERR_SIMULATION_HISTORY for one that has ended, or was never begun. */
  ok(id: number, output: O): void {
    this.#end(id, "ok", output);
  }

  /** Only when it is certain that the call had no effect and never will. A timeout is `unknown`. */
  fail(id: number): void {
    this.#end(id, "fail");
  }

  /** Nobody knows whether it happened, or will; a timeout is this. Throws as `ok` does. */
  unknown(id: number): void {
    this.#end(id, "unknown");
  }

  /** A copy; calls that have not ended stand in it as `unknown`. */
  operations(): Operation<I, O>[] {
    return [...this.#operations];
  }

  stats(): Readonly<Record<Outcome | "open", number>> {
    const counts = { ok: 0, fail: 0, unknown: -this.#open, open: this.#open };
    for (const operation of this.#operations) counts[operation.outcome]++;
    return counts;
  }

  #end(id: number, outcome: Outcome, output?: O): void {
    const operation = this.#operations[id];
    if (operation === undefined) throw new SimulationError("ERR_SIMULATION_HISTORY", `no operation ${id} was invoked`);
    if (operation.returnedMs !== undefined) {
      throw new SimulationError("ERR_SIMULATION_HISTORY", `operation ${id} has ended already, as ${operation.outcome}`);
    }
    this.#open--;
    const returned = outcome === "unknown" ? Number.POSITIVE_INFINITY : this.#moment++;
    const ended: Operation<I, O> = { ...operation, outcome, returned, returnedMs: this.#now() };
    this.#operations[id] = outcome === "ok" ? { ...ended, output: output as O } : ended;
  }
}
