import type { CoreOptions, Message, PersistedState, PersistWrite } from "../../../src/core/index.js";

/**
 * Where the explorer's driver can betray the core, as `Mutation` is for the simulator's. The core is always the shipped one; each mutant does
 * around it what a bug inside it, or in its host, would have done.
 */
export interface Betrayal {
  load(state: PersistedState): PersistedState;
  options(options: CoreOptions): CoreOptions;
  bornAtMs(nowMs: number): number;
  clock(nowMs: number): number;
  receive(from: string, message: Message, nowMs: number): readonly (readonly [string, Message])[];
  writes(write: PersistWrite): readonly PersistWrite[];
  readonly confirmsEarly: boolean;
  /** The checks on single messages are off: it must be caught by what comes of it. */
  readonly unobserved: boolean;
}

export const faithful: Betrayal = {
  load: (state) => state,
  options: (options) => options,
  bornAtMs: (nowMs) => nowMs,
  clock: (nowMs) => nowMs,
  receive: (from, message) => [[from, message]],
  writes: (write) => [write],
  confirmsEarly: false,
  unobserved: false,
};
