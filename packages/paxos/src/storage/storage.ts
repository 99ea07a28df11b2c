import type { Ballot } from "../core/ballot.js";
import type { Configuration } from "../core/configuration.js";
import type { Entry, PersistedState, PersistWrite, Position } from "../core/types.js";

/** What a log held when it was opened. */
export interface LoadedState extends PersistedState {
  /** What `remember` was told. */
  readonly births?: ReadonlyMap<string, string>;
  /** The last write may be missing, though its caller was told that it was durable. Stays until `assured`. */
  readonly doubtful?: boolean;
  /** What `markInstall` said last, unless the log has since known that slot as chosen. */
  readonly installing?: Position;
}

/** What a log weighs: `bytes` in all, and at each point what the slots through it do, all before included. */
export interface LogWeight {
  readonly points: readonly { readonly slot: number; readonly bytes: number }[];
  readonly bytes: number;
}

/** What is in memory of a log, when nothing is under way in it and nothing of it was lost. */
export interface StorageMemory {
  readonly promised: Ballot;
  readonly accepted: Ballot;
  readonly trimmedThrough: number;
  readonly chosenThrough: number;
  /** Where the log ends. */
  readonly lastSlot: number;
  readonly base: Position | undefined;
  /** Those in the log above `base`. */
  readonly configurations: readonly Configuration[];
  /** Where things stand in the log, in the storage's own way: whole numbers, some dozens at most. */
  readonly index: readonly number[];
}

/** Who waits for a write. */
export interface WriteCaller {
  written(): void;
  notWritten(cause: unknown): void;
}

/**
 * Where one group's acceptor state and log live. One caller, which awaits `load` before anything else and `close`s nothing: the owner of the
 * underlying log does. Any rejection is final for the group: it stops rather than guess what is on disk.
 */
export interface GroupStorage {
  /** Reads everything back; what was never written is the empty state. */
  load(): Promise<LoadedState>;
  /**
   * Resolves when the write, as a whole, is durable. Calls may overlap; they take effect in the order of the calls, and the bytes are
   * copied or encoded before the call returns. After a crash the storage holds a prefix of the writes, none of them torn.
   */
  write(write: PersistWrite): Promise<void>;
  /**
   * `write` without a promise, which is felt where thousands of groups write: calls `written` when the write is durable, else `notWritten`; once, in the order of the calls, not within this call, and
   * neither throws. Need not be there.
   */
  writeThen?(write: PersistWrite, caller: WriteCaller): void;
  /**
   * Entries from slot `from`, contiguous, at most through `through`, as many as fit into `bytesMax` of commands but at least one.
   * Asked only for chosen slots.
   * @throws PaxosError ERR_PAXOS_TRIMMED when `from` is no longer there
   */
  read(from: number, through: number, bytesMax: number): Promise<Entry[]>;
  /**
   * Lets go of slots through `throughSlot` (chosen and applied ones). Ballots and positions stay, and what that last slot was.
   * Durable behind the writes before it; what is written while it is under way may be durable first. `founders`: the group's first configuration, in force where the log says nothing else; without
   * it the log does not know what its beginning was, and nobody can begin there.
   */
  trim(throughSlot: number, founders?: Configuration): Promise<void>;
  /**
   * Resolves when it is durable that the state machine is about to become durable at this slot, ahead of the log: a `reset` to it follows.
   * After a crash between the two, this tells such a state machine from one whose log has lost records.
   */
  markInstall(position: Position): Promise<void>;
  /**
   * Resolves when it is durable that this node's log in this group was born under that mark. Survives everything that is let go; told once a
   * node.
   */
  remember(nodeId: string, birth: string): Promise<void>;
  /** What may be missing is made good: resolves when that is durable, in order with the writes. Of a storage that says `doubtful`. */
  assured?(): Promise<void>;
  /**
   * Of a group that sleeps and is about to be packed: all that this object knows. It is not used any more afterwards; another one for the same group is told it by `resume` instead of
   * reading the log. Undefined while it cannot be said. Without these two methods the object itself is kept for as long as the group is open.
   */
  memory?(): StorageMemory | undefined;
  /** In the place of `load`. `births`: as `LoadedState` has them. */
  resume?(memory: StorageMemory, births: ReadonlyMap<string, string>): void;
  /** Of a log that was loaded: about what of it is kept, so that what earlier lives have left is let go of as well. Without it only what is written in this life counts toward `logKeptBytesMax`. */
  readonly weight?: LogWeight;
  /** Slots through here are gone. */
  readonly trimmedThrough: number;
  /** Slot `trimmedThrough`, where it is known. */
  readonly base: Position | undefined;
}
