import type { Operation } from "./history.js";
import { EMPTY_SET, Memo, operationMarks, type SetMark, toggled } from "./linearization-memo.js";
import type { NumberedModel } from "./linearization-states.js";

/** Steps that all searches of one check share. */
export interface StepBudget {
  steps: number;
  readonly stepsMax: number;
}

/** The longest order that was found, and what could have come next in it. */
export interface BestOrder<I, O> {
  readonly order: readonly Operation<I, O>[];
  readonly stateText: string;
  readonly refused: readonly { readonly operation: Operation<I, O>; readonly expected: string }[];
}

export type SearchResult<I, O> =
  | { readonly found: "order" }
  | { readonly found: "none"; readonly best: BestOrder<I, O> | undefined }
  | { readonly found: "bound" };

export interface SearchOptions {
  readonly configurationsMax: number;
  /** Keep the longest order for the trace; it is copied each time it grows, so this is for short histories. */
  readonly explain?: boolean;
}

/** A point of the search: what is placed, and which choice is to be tried next. */
interface Frame {
  readonly placed: SetMark;
  readonly state: number;
  readonly used: Uint32Array;
  /** The completed operation whose placing led here; -1 at the root and after an unknown one. */
  readonly by: number;
  readonly byUnknown: number;
  readonly choices: number[];
  readonly returnedMin: number;
  next: number;
  nextUnknown: number;
}

/**
 * Wing and Gong's search with Lowe's memory, without recursion.
 *
 * At each point any operation may come next that was invoked before every remaining completed one returned. Completed operations are
 * tried first, the one that returned first before the others. Unknown ones come last: each may be placed at any time after its call, or
 * never; one that would not change the state is never placed, and of several alike only the earliest.
 *
 * A completed operation that fits and, with its answer, changes no state at all (a read, a compare-and-set that failed) is placed at once,
 * without alternatives: any order that has it later is as good with it here. That leaves only the order of writes to be searched.
 */
export function search<S, I, O>(
  operations: readonly Operation<I, O>[],
  model: NumberedModel<S, I, O>,
  budget: StepBudget,
  { configurationsMax, explain = false }: SearchOptions,
): SearchResult<I, O> {
  const byCall = [...operations].sort((a, b) => a.invoked - b.invoked);
  const known = byCall.filter((operation) => operation.outcome === "ok");
  const unknown = byCall.filter((operation) => operation.outcome === "unknown");
  const remaining = new Remaining(known);
  const inputs = known.map((operation) => model.inputNumber(operation));
  const outputs = known.map((operation) => model.outputNumber(operation));
  const pure = known.map((operation) => model.isPure(operation));
  const unknownInputs = unknown.map((operation) => model.inputNumber(operation));
  const alikeBefore = previousAlike(unknownInputs);
  const marks = operationMarks(known.length);
  const memo = new Memo();

  const fits = (state: number, index: number): number | undefined => {
    const transition = model.step(state, inputs[index] as number);
    return model.accepts(transition.output, outputs[index] as number) ? transition.state : undefined;
  };

  const frameAt = (placed: SetMark, state: number, used: Uint32Array, by: number, byUnknown: number): Frame => {
    const { choices, returnedMin } = remaining.choices();
    // Looking at a wide front costs time of its own, and the budget is there to bound time.
    budget.steps += choices.length >> 3;
    const free = choices.find((index) => pure[index] === true && fits(state, index) === state);
    const frame = { placed, state, used, by, byUnknown, returnedMin, next: 0 };
    if (free !== undefined) return { ...frame, choices: [free], nextUnknown: unknown.length };
    return { ...frame, choices, nextUnknown: 0 };
  };

  const stack: Frame[] = [frameAt(EMPTY_SET, model.initial, new Uint32Array(Math.ceil(unknown.length / 32)), -1, -1)];
  let placedCount = 0;
  let best: BestOrder<I, O> | undefined;
  let bestCount = -1;

  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    if (remaining.count === 0) return { found: "order" };
    let next: Frame | undefined;
    while (next === undefined && frame.next < frame.choices.length) {
      const index = frame.choices[frame.next++] as number;
      if (++budget.steps > budget.stepsMax) return { found: "bound" };
      const state = fits(frame.state, index);
      if (state === undefined) continue;
      const placed = toggled(frame.placed, marks[index] as SetMark);
      if (!memo.visit(placed, state, frame.used)) continue;
      remaining.take(index);
      placedCount++;
      next = frameAt(placed, state, frame.used, index, -1);
    }
    if (explain && next === undefined && placedCount > bestCount) {
      bestCount = placedCount;
      best = describe(stack, known, unknown, frame, model, inputs);
    }
    while (next === undefined && frame.nextUnknown < unknown.length) {
      const index = frame.nextUnknown++;
      if ((unknown[index] as Operation<I, O>).invoked > frame.returnedMin) {
        frame.nextUnknown = unknown.length;
        break;
      }
      if (holds(frame.used, index)) continue;
      const alike = alikeBefore[index] as number;
      if (alike >= 0 && !holds(frame.used, alike)) continue;
      if (++budget.steps > budget.stepsMax) return { found: "bound" };
      const transition = model.step(frame.state, unknownInputs[index] as number);
      if (transition.state === frame.state) continue;
      const used = with1(frame.used, index);
      if (!memo.visit(frame.placed, transition.state, used)) continue;
      next = frameAt(frame.placed, transition.state, used, -1, index);
    }
    if (memo.size > configurationsMax) return { found: "bound" };
    if (next !== undefined) {
      stack.push(next);
      continue;
    }
    stack.pop();
    if (frame.by >= 0) {
      remaining.putBack(frame.by);
      placedCount--;
    }
  }
  return { found: "none", best };
}

/** The completed operations not placed yet, as a list linked by the order of their calls: taken out and put back in O(1). */
class Remaining {
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #known: readonly Operation<unknown, unknown>[];
  count: number;

  constructor(known: readonly Operation<unknown, unknown>[]) {
    this.#known = known;
    this.count = known.length;
    // Index 0 is the head; operation i stands at i + 1; the end is 0 again.
    this.#next = Int32Array.from({ length: known.length + 1 }, (_, i) => (i === known.length ? 0 : i + 1));
    this.#previous = Int32Array.from({ length: known.length + 1 }, (_, i) => (i === 0 ? known.length : i - 1));
  }

  /** Those that were called before any remaining one returned, the first to return first; and when that was. */
  choices(): { readonly choices: number[]; readonly returnedMin: number } {
    const choices: number[] = [];
    let returnedMin = Number.POSITIVE_INFINITY;
    for (let at = this.#next[0] as number; at !== 0; at = this.#next[at] as number) {
      const operation = this.#known[at - 1] as Operation<unknown, unknown>;
      if (operation.invoked > returnedMin) break;
      choices.push(at - 1);
      returnedMin = Math.min(returnedMin, operation.returned);
    }
    choices.sort((a, b) => returnedAt(this.#known, a) - returnedAt(this.#known, b));
    return { choices, returnedMin };
  }

  take(index: number): void {
    const at = index + 1;
    this.#next[this.#previous[at] as number] = this.#next[at] as number;
    this.#previous[this.#next[at] as number] = this.#previous[at] as number;
    this.count--;
  }

  /** Only in the reverse order of the takings: the neighbours must be those of then. */
  putBack(index: number): void {
    const at = index + 1;
    this.#next[this.#previous[at] as number] = at;
    this.#previous[this.#next[at] as number] = at;
    this.count++;
  }
}

function returnedAt(known: readonly Operation<unknown, unknown>[], index: number): number {
  return (known[index] as Operation<unknown, unknown>).returned;
}

/** For each unknown operation, the one called before it with the same input, or -1. */
function previousAlike(inputs: readonly number[]): number[] {
  const last = new Map<number, number>();
  return inputs.map((input, index) => {
    const previous = last.get(input) ?? -1;
    last.set(input, index);
    return previous;
  });
}

function holds(set: Uint32Array, index: number): boolean {
  return (((set[index >> 5] as number) >>> (index & 31)) & 1) === 1;
}

function with1(set: Uint32Array, index: number): Uint32Array {
  const copy = set.slice();
  copy[index >> 5] = (copy[index >> 5] as number) | (1 << (index & 31));
  return copy;
}

function describe<S, I, O>(
  stack: readonly Frame[],
  known: readonly Operation<I, O>[],
  unknown: readonly Operation<I, O>[],
  frame: Frame,
  model: NumberedModel<S, I, O>,
  inputs: readonly number[],
): BestOrder<I, O> {
  const order: Operation<I, O>[] = [];
  for (const { by, byUnknown } of stack) {
    if (by >= 0) order.push(known[by] as Operation<I, O>);
    else if (byUnknown >= 0) order.push(unknown[byUnknown] as Operation<I, O>);
  }
  const refused = frame.choices.map((index) => ({
    operation: known[index] as Operation<I, O>,
    expected: model.outputText(model.step(frame.state, inputs[index] as number).output),
  }));
  return { order, stateText: model.stateText(frame.state), refused };
}
