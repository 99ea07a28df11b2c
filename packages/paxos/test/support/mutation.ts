import type {
  Configuration,
  CoreOptions,
  Message,
  PaxosCore,
  PersistedState,
  PersistWrite,
  Position,
} from "../../src/core/index.js";
import type { Betrayal } from "./machine.js";
import type { SimStorage } from "./storage.js";

/**
 * Where a driver can betray the core. The core itself is always the shipped one; each mutant does around it what a bug
 * inside it, or in its host, would have done.
 */
export interface Mutation {
  load(storage: SimStorage): PersistedState;
  options(options: CoreOptions): CoreOptions;
  /** The time that a new life is told. */
  bornAtMs(nowMs: number): number;
  /** The time that an event is judged by. */
  clock(nowMs: number): number;
  receive(from: string, message: Message, nowMs: number): readonly (readonly [string, Message])[];
  writes(write: PersistWrite): readonly PersistWrite[];
  shipsThrough(throughSlot: number, storage: SimStorage): number;
  readsAtOnce(core: PaxosCore, nowMs: number): boolean;
  /** What a snapshot says of its slot. */
  position(position: Position, founders: Configuration): Position;
  /** How the state machine of this node is unfaithful to its clients. */
  betrayal(node: string): Betrayal;
  /** What a snapshot says of clients is left behind. */
  readonly forgetsClients: boolean;
  /** Whoever leads looks into the table of clients before it proposes, and nobody does afterwards. */
  readonly judgesAtProposal: boolean;
  /** How a replica takes its state for newer than it is. */
  readonly staleness: "told" | "from the answer" | "before it is applied" | "without drift" | "of any leader";
  readonly tearsInstalls: boolean;
  /** The state machine's disk: what it has applied, and how far it has, are two writes. A crash between them has come after the one or the other. */
  readonly tearsCheckpoints: "no" | "position first" | "state first";
  readonly releasesEverything: boolean;
  readonly confirmsEarly: boolean;
  readonly ignoresFailedSync: boolean;
  readonly proposesAgain: boolean;
  /** Whose marks are not written down: its own, or those of the others. */
  readonly forgetsBirths: "no" | "own" | "others";
  /** Takes a log that is damaged in the middle for one that ends there. */
  readonly opensDamaged: boolean;
  /** Takes a read that fails when it starts for the log's end. */
  readonly opensUnread: boolean;
  /** Sends a noop where it cannot read what was chosen. */
  readonly invents: boolean;
  /** Votes at once with a log whose end was torn. */
  readonly ignoresDoubt: boolean;
  /** The checks on single messages and writes are off: the mutant must be caught by what comes of it. */
  readonly unobserved: boolean;
}

export const honest: Mutation = {
  load: (storage) => storage.load(),
  options: (options) => options,
  bornAtMs: (nowMs) => nowMs,
  clock: (nowMs) => nowMs,
  receive: (from, message) => [[from, message]],
  writes: (write) => [write],
  shipsThrough: (throughSlot) => throughSlot,
  readsAtOnce: () => false,
  position: (position) => position,
  betrayal: () => ({}),
  forgetsClients: false,
  judgesAtProposal: false,
  staleness: "told",
  tearsInstalls: false,
  tearsCheckpoints: "no",
  releasesEverything: false,
  confirmsEarly: false,
  ignoresFailedSync: false,
  proposesAgain: false,
  forgetsBirths: "no",
  opensDamaged: false,
  opensUnread: false,
  invents: false,
  ignoresDoubt: false,
  unobserved: false,
};
