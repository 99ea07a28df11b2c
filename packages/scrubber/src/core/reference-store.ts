import type { Entry, KeyRange } from "./source.js";

/** What an app's apply function may do to the reference's state. */
export interface ReferenceState {
  get(key: Uint8Array): Uint8Array | undefined;
  /** Keeps key and value; neither may change afterwards. */
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
}

/** Where a reference keeps its state: another implementation than the live one, so that a bug there does not repeat itself. */
export interface ReferenceStore extends ReferenceState {
  /** Keys, where the store counts them. */
  readonly size?: number;
  /** Bytes of keys and values; of a store on disk, the bytes of its files. */
  readonly bytes: number;
  /** The entries as they are now; later writes do not show in it. */
  view(): ReferenceView;
  /** Called between entries, and awaited: the moment to write out what is in memory. */
  settle?(): Promise<void>;
  /** Keeps the state for the next process, as that of this position. */
  save?(position: number): Promise<void>;
  /** The position that was saved; undefined for a store that is new. */
  readonly savedPosition?: number | undefined;
}

export interface ReferenceView {
  /** Ascending by keys' bytes. */
  range(from: Uint8Array, to: KeyRange["to"]): Iterable<Entry>;
  close?(): void;
}
