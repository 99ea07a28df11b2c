import type { Message } from "../core/messages.js";
import type { Transport } from "../transport/transport.js";
import { encodeEnvelope, type Parcel, parcelBytes } from "./envelope.js";

/** A larger heap of parcels goes out as several envelopes, so that a receiver can begin with the first. */
const envelopeBytesSoftMax = 256 * 1024;

/** Gathers what all groups send in one turn of the event loop into one envelope for each peer. */
export class Outbox {
  readonly #transport: Transport;
  readonly #encode: (message: Message) => Uint8Array;
  readonly #peers = new Map<string, { parcels: Parcel[]; bytes: number }>();
  #lastMessage: Message | undefined;
  #lastEncoded: Uint8Array | undefined;
  #lastSealed: { readonly parcels: readonly Parcel[]; readonly envelope: Buffer } | undefined;
  messagesSent = 0;
  envelopesSent = 0;

  constructor(transport: Transport, encode: (message: Message) => Uint8Array) {
    this.#transport = transport;
    this.#encode = encode;
  }

  put(to: string, group: Buffer, message: Message): void {
    // What all peers are told at once, one after the other, is put into bytes once.
    if (!this.#lastEncoded || !this.#lastMessage || !sayTheSame(message, this.#lastMessage)) {
      this.#lastMessage = message;
      this.#lastEncoded = this.#encode(message);
    }
    this.putBytes(to, group, this.#lastEncoded);
  }

  putBytes(to: string, group: Buffer, message: Uint8Array): void {
    let peer = this.#peers.get(to);
    if (!peer) {
      peer = { parcels: [], bytes: 0 };
      this.#peers.set(to, peer);
    }
    const parcel = { group, message };
    const bytes = parcelBytes(parcel);
    if (peer.bytes > 0 && peer.bytes + bytes > envelopeBytesSoftMax) this.#send(to, peer);
    peer.parcels.push(parcel);
    peer.bytes += bytes;
    this.messagesSent++;
  }

  flush(): void {
    this.#lastMessage = undefined;
    this.#lastEncoded = undefined;
    for (const [to, peer] of this.#peers) if (peer.bytes > 0) this.#send(to, peer);
    this.#lastSealed = undefined;
  }

  /** Peers that are told the same in this turn are sent the very same bytes. Whoever takes them over does not change them. */
  #sealed(parcels: readonly Parcel[], bytes: number): Buffer {
    const last = this.#lastSealed;
    const same = (parcel: Parcel, i: number) =>
      parcel.message === last?.parcels[i]?.message && parcel.group === last.parcels[i]?.group;
    if (last?.parcels.length === parcels.length && parcels.every(same)) return last.envelope;
    const envelope = encodeEnvelope(parcels, bytes);
    this.#lastSealed = { parcels, envelope };
    return envelope;
  }

  #send(to: string, peer: { parcels: Parcel[]; bytes: number }): void {
    const envelope = this.#sealed(peer.parcels, peer.bytes);
    peer.parcels = [];
    peer.bytes = 0;
    this.envelopesSent++;
    this.#transport.send(to, envelope);
  }
}

/** Whether two messages made in one step are the same one, told to two peers: entries of one log are the same objects. */
function sayTheSame(a: Message, b: Message): boolean {
  if (a === b) return true;
  if (a.type !== "accept" || b.type !== "accept") return false;
  const same =
    a.ballot === b.ballot &&
    a.round === b.round &&
    a.sentMs === b.sentMs &&
    a.chosenThrough === b.chosenThrough &&
    a.prevSlot === b.prevSlot;
  // The first and the last being the same objects, in a contiguous log, all between them are.
  return (
    same &&
    a.entries.length === b.entries.length &&
    a.entries[0] === b.entries[0] &&
    a.entries.at(-1) === b.entries.at(-1)
  );
}
