import { textOf } from "./text.js";

/** The one copy without concurrency that the system under test claims to be. */
export interface Model<S, I, O> {
  readonly initial: S;
  /** What the operation answers in this state, and the state after it. Pure; the state handed in is not changed. */
  step(state: S, input: I): { readonly state: S; readonly output: O };
  /** Whether `actual` may be answered where the model answers `expected`. Without it: equal as plain data. */
  accepts?(expected: O, actual: O): boolean;
  /**
   * True when the operation, having answered this, changed nothing, whatever the state was: a read, a compare-and-set that failed. A
   * write is not, even of the value that stands there. Only makes the check faster, by much where there are many reads.
   */
  isPure?(input: I, output: O): boolean;
  /** One text a state. Without it: its plain data. */
  stateText?(state: S): string;
}

export type RegisterInput<V> =
  | { readonly kind: "read" }
  | { readonly kind: "write"; readonly value: V }
  /** Writes `to` where `from` stands; answers whether it did. */
  | { readonly kind: "cas"; readonly from: V; readonly to: V };

/** A read answers the value, a write answers undefined, a cas answers true or false. */
export type RegisterOutput<V> = V | boolean | undefined;

export function registerModel<V>(initial: V): Model<V, RegisterInput<V>, RegisterOutput<V>> {
  return {
    initial,
    step(state, input) {
      switch (input.kind) {
        case "read":
          return { state, output: state };
        case "write":
          return { state: input.value, output: undefined };
        case "cas": {
          const holds = textOf(state) === textOf(input.from);
          return { state: holds ? input.to : state, output: holds };
        }
      }
    },
    isPure: (input, output) => input.kind === "read" || (input.kind === "cas" && output === false),
  };
}

export type KvInput<V> =
  | { readonly kind: "get" | "delete"; readonly key: string }
  | { readonly kind: "put"; readonly key: string; readonly value: V }
  /** Puts `to` where `from` stands (undefined: where nothing stands); answers whether it did. */
  | { readonly kind: "cas"; readonly key: string; readonly from: V | undefined; readonly to: V };

/** A get answers the value or undefined, put and delete answer undefined, a cas answers true or false. */
export type KvOutput<V> = V | boolean | undefined;

/** Many registers by key. Keys do not touch one another, so check it with `partitionBy: kvKey`. */
export function kvModel<V>(): Model<ReadonlyMap<string, V>, KvInput<V>, KvOutput<V>> {
  return {
    initial: new Map(),
    step(state, input) {
      const held = state.get(input.key);
      switch (input.kind) {
        case "get":
          return { state, output: held };
        case "put":
          return { state: new Map(state).set(input.key, input.value), output: undefined };
        case "delete": {
          const next = new Map(state);
          next.delete(input.key);
          return { state: next, output: undefined };
        }
        case "cas": {
          const holds = textOf(held) === textOf(input.from);
          return { state: holds ? new Map(state).set(input.key, input.to) : state, output: holds };
        }
      }
    },
    isPure: (input, output) => input.kind === "get" || (input.kind === "cas" && output === false),
  };
}

export function kvKey(input: { readonly key: string }): string {
  return input.key;
}
