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
  messagesSent = 0;
  envelopesSent = 0;

  constructor(transport: Transport, encode: (message: Message) => Uint8Array) {
    this.#transport = transport;
    this.#encode = encode;
  }

  put(to: string, group: Buffer, message: Message): void {
    let peer = this.#peers.get(to);
    if (!peer) {
      peer = { parcels: [], bytes: 0 };
      this.#peers.set(to, peer);
    }
    // A broadcast hands in the same object for each peer, one after the other.
    if (message !== this.#lastMessage || !this.#lastEncoded) {
      this.#lastMessage = message;
      this.#lastEncoded = this.#encode(message);
    }
    const parcel = { group, message: this.#lastEncoded };
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
  }

  #send(to: string, peer: { parcels: Parcel[]; bytes: number }): void {
    const envelope = encodeEnvelope(peer.parcels, peer.bytes);
    peer.parcels = [];
    peer.bytes = 0;
    this.envelopesSent++;
    this.#transport.send(to, envelope);
  }
}
