import { channel } from "node:diagnostics_channel";
import { PaxosError } from "../core/errors.js";
import type { Message } from "../core/messages.js";
import type { Effect } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import { ReadAhead } from "./read-ahead.js";

/** What is read for one peer before it asks: some milliseconds of the network, so that log, network and the peer's disk work at once. */
const aheadBytesMax = 4 * 1024 * 1024;
/** A peer that has not asked for so long has what it wanted, or is gone: nothing is held for it any more. */
const holdMs = 2000;

const unreadable = channel("evenkeel:paxos:unreadable");

/** Reads chosen entries that memory no longer holds and sends them to who lacks them: one piece a peer at a time, it asks for the next, which has been read meanwhile. */
export class Shipper {
  readonly #ids: { readonly nodeId: string; readonly groupId: string };
  readonly #storage: GroupStorage;
  readonly #post: (to: string, message: Message) => void;
  readonly #under = new Map<string, Promise<void>>();
  readonly #ahead = new Map<string, { readonly reader: ReadAhead; readonly forget: NodeJS.Timeout }>();

  constructor(
    ids: { readonly nodeId: string; readonly groupId: string },
    storage: GroupStorage,
    post: (to: string, message: Message) => void,
  ) {
    this.#ids = ids;
    this.#storage = storage;
    this.#post = post;
  }

  ship(effect: Extract<Effect, { type: "ship" }>): void {
    if (this.#under.has(effect.to)) return;
    this.#under.set(
      effect.to,
      Promise.resolve().then(() => this.#ship(effect)),
    );
  }

  get idle(): boolean {
    return this.#under.size === 0 && this.#ahead.size === 0;
  }

  /** Resolves when nothing is being read any more. */
  async settled(): Promise<void> {
    while (this.#under.size > 0) await Promise.all(this.#under.values());
    for (const to of [...this.#ahead.keys()]) await this.#forget(to);
  }

  async #ship({ to, fromSlot, throughSlot, bytesMax }: Extract<Effect, { type: "ship" }>): Promise<void> {
    try {
      const entries = await this.#readerOf(to).take(fromSlot, throughSlot, bytesMax);
      if (entries.length > 0) this.#post(to, { type: "learn", entries });
    } catch (cause) {
      void this.#forget(to);
      // Trimmed meanwhile is no trouble of ours. Anything else is damage that the owner must hear of; voting goes on without those slots.
      const trimmed = cause instanceof PaxosError && cause.code === "ERR_PAXOS_TRIMMED";
      if (!trimmed && unreadable.hasSubscribers) unreadable.publish({ ...this.#ids, fromSlot, throughSlot, cause });
    } finally {
      this.#under.delete(to);
    }
  }

  #readerOf(to: string): ReadAhead {
    const known = this.#ahead.get(to);
    if (known !== undefined) {
      known.forget.refresh();
      return known.reader;
    }
    const reader = new ReadAhead(this.#storage, aheadBytesMax);
    this.#ahead.set(to, { reader, forget: setTimeout(() => void this.#forget(to), holdMs).unref() });
    return reader;
  }

  async #forget(to: string): Promise<void> {
    const known = this.#ahead.get(to);
    if (known === undefined) return;
    clearTimeout(known.forget);
    this.#ahead.delete(to);
    await known.reader.settled();
  }
}
