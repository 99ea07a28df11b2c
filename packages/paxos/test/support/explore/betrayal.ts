import type { CoreOptions, Message, PersistedState, PersistWrite } from "../../../src/core/index.js";

/**
 * Where the explorer's driver can betray the core, as `Mutation` is for the simulator's. A mutant does around the core what a bug in
 * its host would have done, or reads it with one line changed.
 */
export interface Betrayal {
  load(state: PersistedState): PersistedState;
  options(options: CoreOptions): CoreOptions;
  bornAtMs(nowMs: number): number;
  clock(nowMs: number): number;
  receive(from: string, message: Message, nowMs: number): readonly (readonly [string, Message])[];
  writes(write: PersistWrite): readonly PersistWrite[];
  /** A file of the core as it is read. */
  source(file: string, text: string): string;
  readonly confirmsEarly: boolean;
  /** A process that comes back takes itself for the one before. */
  readonly sameLife?: boolean;
  /** Opens a group again, in the same life of the process, on the bonds on which it slept. */
  readonly keepsBonds?: boolean;
  /** Sleeps on when the node that it sleeps under is gone. */
  readonly sleepsOn?: boolean;
  /** Carries out whatever the log says, whoever may have asked for it before. */
  readonly carriesOutAgain?: boolean;
  /** Hands the state over without the table of clients. */
  readonly forgetsClients?: boolean;
  /** A start behind an interrupted install keeps the log that it finds, whatever that holds. */
  readonly keepsLog?: boolean;
  /** Begins the log anew as soon as a state has come, not when the state machine has it on disk. */
  readonly switchesLate?: boolean;
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
  source: (_, text) => text,
  confirmsEarly: false,
  unobserved: false,
};
