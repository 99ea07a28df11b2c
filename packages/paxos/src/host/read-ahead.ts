import { weightOf } from "../core/log.js";
import type { Entry } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import { readSome } from "./entries.js";

/**
 * The log as somebody who catches up asks for it, piece after piece: while one piece is on its way, the next ones are read. Only of chosen slots, which are final: what was read once may
 * be sent whenever it is asked for. Holds at most `bytesMax` and a piece.
 */
export class ReadAhead {
  readonly #storage: GroupStorage;
  readonly #bytesMax: number;
  /** Read and not asked for yet; the first is slot `#slot`. */
  #entries: Entry[] = [];
  #at = 0;
  #bytes = 0;
  #slot = 0;
  #reading: Promise<void> | undefined;

  constructor(storage: GroupStorage, bytesMax: number) {
    this.#storage = storage;
    this.#bytesMax = bytesMax;
  }

  /** Chosen entries from this slot on, at least one where there is one, no more than weigh `bytesMax`, otherwise as `GroupStorage.read`. One call at a time. */
  async take(from: number, through: number, bytesMax: number): Promise<Entry[]> {
    if (from !== this.#slot) {
      await this.#reading;
      this.#begin(from);
    }
    while (this.#bytes < bytesMax && this.#end < through) {
      if (this.#reading !== undefined) {
        await this.#reading;
        continue;
      }
      // What is here goes now. What a reading ahead of time came upon is told when there is nothing else to send.
      if (this.#at < this.#entries.length) break;
      const before = this.#end;
      await this.#read(through);
      if (this.#end === before) break;
    }
    const taken: Entry[] = [];
    let bytes = 0;
    for (let next = this.#entries[this.#at]; next !== undefined; next = this.#entries[this.#at]) {
      bytes += weightOf(next);
      if (next.slot > through || (taken.length > 0 && bytes > bytesMax)) break;
      taken.push(next);
      this.#at++;
      this.#bytes -= weightOf(next);
      this.#slot = next.slot + 1;
    }
    if (this.#reading === undefined && this.#bytes * 2 < this.#bytesMax && this.#end < through) {
      const reading = this.#read(through).catch(() => {});
      this.#reading = reading.finally(() => {
        this.#reading = undefined;
      });
    }
    return taken;
  }

  /** Resolves when nothing is being read. */
  async settled(): Promise<void> {
    await this.#reading;
  }

  /** Last slot that is here. */
  get #end(): number {
    return this.#slot + this.#entries.length - this.#at - 1;
  }

  #begin(slot: number): void {
    this.#entries = [];
    this.#at = 0;
    this.#bytes = 0;
    this.#slot = slot;
  }

  async #read(through: number): Promise<void> {
    const found = await readSome(this.#storage, this.#end + 1, through, this.#bytesMax - this.#bytes);
    this.#entries = [...this.#entries.slice(this.#at), ...found];
    this.#at = 0;
    for (const entry of found) this.#bytes += weightOf(entry);
  }
}
