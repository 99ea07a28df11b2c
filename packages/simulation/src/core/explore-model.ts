/**
 * A system small enough to be looked at whole: where it begins, and every step that can happen next. Everything here is pure; states that
 * are handed out are not changed.
 */
export interface ExploreModel<S, A = string> {
  readonly initial: readonly S[];
  /** Calls `to` for each step that can happen in `state`: what it is called, and the state after it. A step to `state` itself costs little. */
  steps(state: S, to: (action: A, next: S) => void): void;
  /** What must hold in every state, by name: true, or false, or a text that says what is wrong. */
  readonly invariants?: Readonly<Record<string, (state: S) => boolean | string>>;
  /** What must hold of every step, by name. Also asked of steps to states that are known already. */
  readonly stepInvariants?: Readonly<Record<string, (before: S, action: A, after: S) => boolean | string>>;
  /**
   * What must happen somewhere, by name, or the model says less than it seems to: "a value is chosen". Those never met are in `unmet`; of the
   * others the shortest way is told in `met`.
   */
  readonly goals?: Readonly<Record<string, (state: S) => boolean>>;
  /** Whether to go on from here; every state by default. What is not gone on from is checked all the same. */
  within?(state: S): boolean;
  /** With `deadlocks`: a state in which nothing more needs to happen. */
  isDone?(state: S): boolean;
  /**
   * The same state for all that are the same but for names (a node's, a client's). Must be one that a renaming leads to, and the renamings must
   * carry steps to steps and leave the invariants alone; then one of each orbit is enough.
   */
  canonical?(state: S): S;
  /** In place of `canonical`: the renamings themselves, without the one that changes nothing. The least of the renamed states stands for all. */
  readonly symmetries?: readonly ((state: S) => S)[];
  /**
   * The state as integers from 0 to 2^32 - 1, equal for equal states only, and the way back. With both, waiting states are kept as a few bytes each
   * and compared by these numbers; without, they are kept as they are and compared as plain data (`Interner` helps to number the parts).
   */
  encode?(state: S): readonly number[];
  decode?(numbers: readonly number[]): S;
  showAction?(action: A): string;
  showState?(state: S): string;
}

export interface ExploreOptions {
  /** Distinct states at which the exploration ends with the verdict "bound": bounds memory, some 30 bytes a state and what waits. One million by default, 8 x 10^8 at most. */
  readonly statesMax?: number;
  /** Steps from a beginning beyond which it does not look. Unlimited by default. */
  readonly depthMax?: number;
  /** Memory of the encoded states that wait to be gone on from. 4 GiB by default. Only models with `encode` are held to it. */
  readonly frontierBytesMax?: number;
  /** Whether a state without steps (to another state) that is not `isDone` is a violation. False by default. */
  readonly deadlocks?: boolean;
  /** Stop as soon as every goal is met. False by default. */
  readonly untilGoals?: boolean;
  /** A clock in milliseconds, for `statesPerSecond` alone. */
  readonly now?: () => number;
  /** Told each time this many more states are known. */
  readonly progressEvery?: number;
  /** See `progressEvery`. */
  readonly onProgress?: (counts: ExploreCounts) => void;
}

export interface ExploreCounts {
  /** Distinct states (orbits, where the model has symmetries), each checked. */
  readonly states: number;
  /** Steps looked at, those to known states too. */
  readonly transitions: number;
  /** Every state that is this many steps or fewer from a beginning has been seen. */
  readonly depth: number;
  /** Most states that waited at once. */
  readonly waitingMax: number;
  /** Memory of the set of known states and of the encoded ones that wait, at its most. */
  readonly bytesMax: number;
  /** An upper bound of the chance that two states were taken for one: fingerprints have 64 bits. */
  readonly collisionChance: number;
  /** With `now` only. */
  readonly statesPerSecond?: number;
}

export interface ExploreStep<S, A> {
  readonly action: A;
  readonly state: S;
}

/** A way from a beginning, the shortest there is. */
export interface ExplorePath<S, A> {
  readonly initial: S;
  readonly steps: readonly ExploreStep<S, A>[];
}

interface Explored extends ExploreCounts {
  /** Goals met, by name, and after how many steps at the earliest. */
  readonly met: Readonly<Record<string, number>>;
  readonly unmet: readonly string[];
}

export type Exploration<S, A = string> =
  /** Every state was looked at. (Of those that the model goes on from: see `within`.) */
  | (Explored & { readonly verdict: "holds" })
  /** Nothing was wrong as far as it went; `depth` says how far. Never to be taken for "holds". */
  | (Explored & { readonly verdict: "bound"; readonly bound: "statesMax" | "depthMax" | "frontierBytesMax" })
  /** With `untilGoals`: all of them are met. */
  | (Explored & { readonly verdict: "goals" })
  | (Explored & {
      readonly verdict: "violation";
      /** Name of the invariant, or "deadlock". */
      readonly invariant: string;
      readonly path: ExplorePath<S, A>;
      /** The path, readable. */
      readonly trace: string;
    });
