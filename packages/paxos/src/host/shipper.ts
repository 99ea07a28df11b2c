import { channel } from "node:diagnostics_channel";
import { PaxosError } from "../core/errors.js";
import type { Message } from "../core/messages.js";
import type { Effect } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";

const unreadable = channel("evenkeel:paxos:unreadable");

/** Reads chosen entries that memory no longer holds and sends them to who lacks them: one piece a peer at a time, it asks for the next. */
export class Shipper {
  readonly #ids: { readonly nodeId: string; readonly groupId: string };
  readonly #storage: GroupStorage;
  readonly #post: (to: string, message: Message) => void;
  readonly #under = new Map<string, Promise<void>>();

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

  /** Resolves when nothing is being read any more. */
  async settled(): Promise<void> {
    while (this.#under.size > 0) await Promise.all(this.#under.values());
  }

  async #ship({ to, fromSlot, throughSlot, bytesMax }: Extract<Effect, { type: "ship" }>): Promise<void> {
    try {
      const entries = await this.#storage.read(fromSlot, throughSlot, bytesMax);
      if (entries.length > 0) this.#post(to, { type: "learn", entries });
    } catch (cause) {
      // Trimmed meanwhile is no trouble of ours. Anything else is damage that the owner must hear of; voting goes on without those slots.
      const trimmed = cause instanceof PaxosError && cause.code === "ERR_PAXOS_TRIMMED";
      if (!trimmed && unreadable.hasSubscribers) unreadable.publish({ ...this.#ids, fromSlot, throughSlot, cause });
    } finally {
      this.#under.delete(to);
    }
  }
}
