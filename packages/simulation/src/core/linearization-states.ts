import type { Operation } from "./history.js";
import type { Model } from "./model.js";
import { textOf } from "./text.js";

export interface Transition {
  readonly state: number;
  readonly output: number;
}

const CACHED_MAX = 1_000_000;

/**
 * The model with everything numbered: states, inputs and outputs are interned by their text, and a transition is worked out once. The
 * search then compares numbers.
 */
export class NumberedModel<S, I, O> {
  readonly #states: S[] = [];
  readonly #stateNumbers = new Map<string, number>();
  readonly #inputs: I[] = [];
  readonly #inputNumbers = new Map<string, number>();
  readonly #outputs: O[] = [];
  readonly #outputNumbers = new Map<string, number>();
  #transitions = new Map<number, Transition>();
  readonly initial: number;

  constructor(readonly model: Model<S, I, O>) {
    this.initial = this.#stateNumber(model.initial);
  }

  inputNumber(operation: Operation<I, O>): number {
    return interned(this.#inputNumbers, this.#inputs, textOf(operation.input), operation.input);
  }

  outputNumber(operation: Operation<I, O>): number {
    return this.#outputNumber(operation.output as O);
  }

  /** The same two numbers always give the same transition. */
  step(state: number, input: number): Transition {
    const key = state * 0x200_0000 + input;
    let transition = this.#transitions.get(key);
    if (transition === undefined) {
      const next = this.model.step(this.#states[state] as S, this.#inputs[input] as I);
      transition = { state: this.#stateNumber(next.state), output: this.#outputNumber(next.output) };
      if (this.#transitions.size >= CACHED_MAX) this.#transitions = new Map();
      this.#transitions.set(key, transition);
    }
    return transition;
  }

  isPure(operation: Operation<I, O>): boolean {
    return this.model.isPure?.(operation.input, operation.output as O) ?? false;
  }

  accepts(expected: number, actual: number): boolean {
    if (this.model.accepts === undefined) return expected === actual;
    return this.model.accepts(this.#outputs[expected] as O, this.#outputs[actual] as O);
  }

  stateText(state: number): string {
    return this.#textOfState(this.#states[state] as S);
  }

  outputText(output: number): string {
    return textOf(this.#outputs[output]);
  }

  #stateNumber(state: S): number {
    return interned(this.#stateNumbers, this.#states, this.#textOfState(state), state);
  }

  #outputNumber(output: O): number {
    return interned(this.#outputNumbers, this.#outputs, textOf(output), output);
  }

  #textOfState(state: S): string {
    return this.model.stateText === undefined ? textOf(state) : this.model.stateText(state);
  }
}

function interned<T>(numbers: Map<string, number>, values: T[], text: string, value: T): number {
  const known = numbers.get(text);
  if (known !== undefined) return known;
  numbers.set(text, values.length);
  values.push(value);
  return values.length - 1;
}
