import { badArgument, checkedNumber, checkOptions, SimulationError } from "./errors.js";
import { History, type Operation } from "./history.js";
import { type BestOrder, type StepBudget, search } from "./linearization-search.js";
import { NumberedModel } from "./linearization-states.js";
import { traceOf } from "./linearization-trace.js";
import type { Model } from "./model.js";

export interface CheckOptions<I> {
  /**
   * The part of the object that an operation touches. Operations of different parts must not influence one another; then each part can
   * be checked alone, which is what makes long histories checkable (Herlihy and Wing: linearizability is local).
   */
  readonly partitionBy?: (input: I) => string;
  /** Placements tried, all partitions together, before the check gives up as inconclusive. 20 million by default, some ten seconds. */
  readonly stepsMax?: number;
  /** Points remembered in one partition before it gives up: bounds memory. One million by default, some 200 MB at worst. */
  readonly configurationsMax?: number;
}

const optionNames: Record<keyof CheckOptions<unknown>, 0> = { partitionBy: 0, stepsMax: 0, configurationsMax: 0 };

interface Counted {
  /** Operations looked at: those with outcome ok or unknown. */
  readonly operations: number;
  readonly partitions: number;
  readonly steps: number;
}

export type Verdict<I, O> =
  | (Counted & { readonly verdict: "linearizable" })
  | (Counted & {
      readonly verdict: "violation";
      /** The smallest partition that fails, "" without partitions. */
      readonly partition: string;
      /** The shortest beginning of it that fails; what had not returned by then stands as unknown. */
      readonly failing: readonly Operation<I, O>[];
      readonly trace: string;
    })
  | (Counted & {
      readonly verdict: "inconclusive";
      /** The partitions that were not decided within the bounds. All others are linearizable. */
      readonly undecided: readonly string[];
    });

const STEPS_MAX = 20_000_000;
const CONFIGURATIONS_MAX = 1_000_000;
/** For each of the few searches that shorten a failing history for its trace. */
const SHORTENING_STEPS_MAX = 1_000_000;

/**
 * Whether the operations can be put in one order that the model agrees with and that keeps every operation between its call and its
 * return. Small partitions first; the first that fails ends the check. At a bound the verdict is `inconclusive`, never a pass.
 */
export function checkLinearizable<S, I, O>(
  history: History<I, O> | readonly Operation<I, O>[],
  model: Model<S, I, O>,
  options: CheckOptions<I> = {},
): Verdict<I, O> {
  checkOptions("checkLinearizable", options, optionNames);
  const { partitionBy, stepsMax = STEPS_MAX, configurationsMax = CONFIGURATIONS_MAX } = options;
  checkedNumber("stepsMax", stepsMax, 1);
  checkedNumber("configurationsMax", configurationsMax, 1);
  const all = history instanceof History ? history.operations() : history;
  if (!Array.isArray(all as unknown)) throw badArgument("history", "a History, or a list of operations", all);
  const considered = all.filter((operation) => operation.outcome !== "fail");
  for (const operation of considered) checkTimes(operation);
  const partitions = partitioned(considered, partitionBy);
  const budget: StepBudget = { steps: 0, stepsMax };
  const undecided: string[] = [];
  const counted = () => ({ operations: considered.length, partitions: partitions.length, steps: budget.steps });

  for (const [partition, operations] of partitions) {
    const numbered = new NumberedModel(model);
    const result = search(operations, numbered, budget, { configurationsMax });
    if (result.found === "bound") undecided.push(partition);
    if (result.found !== "none") continue;
    const { failing, best } = shortestFailing(operations, numbered, configurationsMax);
    const trace = traceOf(partition, failing, best);
    return { verdict: "violation", ...counted(), partition, failing, trace };
  }
  if (undecided.length > 0) return { verdict: "inconclusive", ...counted(), undecided };
  return { verdict: "linearizable", ...counted() };
}

/** As `checkLinearizable`; throws ERR_SIMULATION_HISTORY with the trace on a violation, and also when the check was inconclusive. */
export function assertLinearizable<S, I, O>(
  history: History<I, O> | readonly Operation<I, O>[],
  model: Model<S, I, O>,
  options: CheckOptions<I> = {},
): Verdict<I, O> {
  const verdict = checkLinearizable(history, model, options);
  if (verdict.verdict === "violation") throw new SimulationError("ERR_SIMULATION_HISTORY", verdict.trace);
  if (verdict.verdict === "inconclusive") {
    const which = verdict.undecided.slice(0, 5).join(", ");
    throw new SimulationError(
      "ERR_SIMULATION_HISTORY",
      `not decided after ${verdict.steps} steps (${verdict.undecided.length} partitions: ${which}); raise stepsMax or partition finer`,
    );
  }
  return verdict;
}

function checkTimes(operation: Operation<unknown, unknown>): void {
  const { invoked, returned } = operation;
  if (!Number.isFinite(invoked)) throw badArgument(`operation ${operation.id}: invoked`, "a finite number", invoked);
  if (operation.outcome === "ok" && !(returned >= invoked)) {
    throw badArgument(`operation ${operation.id}: returned`, `a number at least ${invoked}`, returned);
  }
}

function partitioned<I, O>(
  operations: readonly Operation<I, O>[],
  partitionBy: ((input: I) => string) | undefined,
): [string, Operation<I, O>[]][] {
  const parts = new Map<string, Operation<I, O>[]>();
  for (const operation of operations) {
    const key = partitionBy?.(operation.input) ?? "";
    const part = parts.get(key);
    if (part === undefined) parts.set(key, [operation]);
    else part.push(operation);
  }
  return [...parts].sort(([, a], [, b]) => a.length - b.length);
}

/** Every beginning of a linearizable history is linearizable, so the shortest failing one is found by halving. */
function shortestFailing<S, I, O>(
  operations: readonly Operation<I, O>[],
  model: NumberedModel<S, I, O>,
  configurationsMax: number,
): { readonly failing: Operation<I, O>[]; readonly best: BestOrder<I, O> | undefined } {
  const returns = operations.filter((operation) => operation.outcome === "ok").map((operation) => operation.returned);
  returns.sort((a, b) => a - b);
  const searched = (failing: readonly Operation<I, O>[], explain: boolean) =>
    search(failing, model, { steps: 0, stepsMax: SHORTENING_STEPS_MAX }, { configurationsMax, explain });
  let failing = beginning(operations, Number.MAX_VALUE);
  let passes = -1;
  let fails = returns.length - 1;
  while (fails - passes > 1) {
    const middle = (passes + fails) >> 1;
    const shorter = beginning(operations, returns[middle] as number);
    // One that is not decided in time counts as passing: the trace is then longer than it need be, and no less true.
    if (searched(shorter, false).found === "none") {
      fails = middle;
      failing = shorter;
    } else {
      passes = middle;
    }
  }
  const last = searched(failing, true);
  return { failing, best: last.found === "none" ? last.best : undefined };
}

function beginning<I, O>(operations: readonly Operation<I, O>[], until: number): Operation<I, O>[] {
  const begun = operations.filter((operation) => operation.invoked <= until);
  return begun.map((operation) => {
    if (operation.outcome !== "ok" || operation.returned <= until) return operation;
    const { output: _, ...open } = operation;
    return { ...open, outcome: "unknown", returned: Number.POSITIVE_INFINITY };
  });
}
