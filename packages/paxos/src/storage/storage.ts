import type { Entry, PersistedState, PersistWrite } from "../core/types.js";

/**
 * Where one group's acceptor state and log live. One caller, which awaits `load` before anything else and `close`s nothing: the owner of the
 * underlying log does. Any rejection is final for the group: it stops rather than guess what is on disk.
 */
export interface GroupStorage {
  /** Reads everything back; what was never written is the empty state. */
  load(): Promise<PersistedState>;
  /**
   * Resolves when the write, as a whole, is durable. Calls may overlap; they take effect in the order of the calls, and the bytes are
   * copied or encoded before the call returns. After a crash the storage holds a prefix of the writes, none of them torn.
   */
  write(write: PersistWrite): Promise<void>;
  /**
   * Entries from slot `from`, contiguous, at most through `through`, as many as fit into `bytesMax` of commands but at least one.
   * Asked only for chosen slots.
   * @throws PaxosError ERR_PAXOS_TRIMMED when `from` is no longer there
   */
  read(from: number, through: number, bytesMax: number): Promise<Entry[]>;
  /** Lets go of slots through `throughSlot` (chosen and applied ones). Ballots and positions stay. Durable in order with the writes. */
  trim(throughSlot: number): Promise<void>;
  /** Slots through here are gone. */
  readonly trimmedThrough: number;
}
