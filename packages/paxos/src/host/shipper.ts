import { channel } from "node:diagnostics_channel";
import { PaxosError } from "../core/errors.js";
import type { Message } from "../core/messages.js";
import type { Effect } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";

const unreadable = channel("evenkeel:paxos:unreadable");

/** Pieces on their way to one peer. One alone would leave disk, wire and the peer's disk waiting for one another. */
const piecesMax = 4;

/** How far one peer has been sent what it lacks. */
interface Shipment {
  /** What was asked for last. Asked for again, it was lost. */
  from: number;
  next: number;
  /** The last slots of pieces that are on their way. */
  sent: number[];
}

/** Reads chosen entries that memory no longer holds and sends them to who lacks them: a few pieces ahead of what it asks for. */
export class Shipper {
  readonly #ids: { readonly nodeId: string; readonly groupId: string };
  readonly #storage: GroupStorage;
  readonly #post: (to: string, message: Message) => void;
  readonly #shipments = new Map<string, Shipment>();
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
    const shipment = this.#shipment(effect);
    if (this.#under.has(effect.to)) return;
    this.#under.set(
      effect.to,
      Promise.resolve().then(() => this.#ship(effect, shipment)),
    );
  }

  /** Resolves when nothing is being read any more. */
  async settled(): Promise<void> {
    while (this.#under.size > 0) await Promise.all(this.#under.values());
  }

  #shipment({ to, fromSlot }: Extract<Effect, { type: "ship" }>): Shipment {
    const known = this.#shipments.get(to);
    const goesOn = known !== undefined && known.from < fromSlot && fromSlot <= known.next;
    const shipment = goesOn ? known : { from: fromSlot, next: fromSlot, sent: [] };
    shipment.from = fromSlot;
    shipment.sent = shipment.sent.filter((through) => through >= fromSlot);
    this.#shipments.set(to, shipment);
    return shipment;
  }

  async #ship({ to, throughSlot, bytesMax }: Extract<Effect, { type: "ship" }>, shipment: Shipment): Promise<void> {
    const { next } = shipment;
    try {
      while (shipment.sent.length < piecesMax && shipment.next <= throughSlot) {
        const entries = await this.#storage.read(shipment.next, throughSlot, bytesMax);
        const last = entries.at(-1);
        if (last === undefined || this.#shipments.get(to) !== shipment) return;
        shipment.next = last.slot + 1;
        shipment.sent.push(last.slot);
        this.#post(to, { type: "learn", entries });
      }
    } catch (cause) {
      this.#shipments.delete(to);
      // Trimmed meanwhile is no trouble of ours. Anything else is damage that the owner must hear of; voting goes on without those slots.
      const trimmed = cause instanceof PaxosError && cause.code === "ERR_PAXOS_TRIMMED";
      const slots = { fromSlot: next, throughSlot };
      if (!trimmed && unreadable.hasSubscribers) unreadable.publish({ ...this.#ids, ...slots, cause });
    } finally {
      this.#under.delete(to);
    }
  }
}
