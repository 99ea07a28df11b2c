import { ByteWriter } from "../core/bytes.js";
import { writeMessage } from "../core/codec.js";
import type { Message } from "../core/messages.js";
import type { Transport } from "../transport/transport.js";
import { envelopeVersion } from "./envelope.js";

/** A larger heap of messages goes out as several envelopes, so that a receiver can begin with the first. */
const envelopeBytesSoftMax = 256 * 1024;
/** What the turn's bytes may keep of memory until the next. */
const keptBytesMax = 2 * 1024 * 1024;
/** A turn that says more says it in several flights: with nearly any message behind them its bytes fit into what is kept. */
const flightBytesMax = keptBytesMax / 2;

/** What one peer is told in this turn: where it stands in the turn's bytes, from and to in turn. What follows on itself is one stretch. */
interface Letter {
  readonly stretches: number[];
  bytes: number;
}

/**
 * Gathers what all groups send in one turn of the event loop into one envelope for each peer. All of it is written once, behind one another, into the same
 * bytes: with thousands of groups that have one command each, an object and a buffer for each of their messages would cost more than the messages.
 */
export class Outbox {
  readonly #transport: Transport;
  readonly #letters = new Map<string, Letter>();
  readonly #written = new ByteWriter(64 * 1024);
  #lastMessage: Message | undefined;
  #lastGroup: Uint8Array | undefined;
  #lastFrom = 0;
  #lastTo = 0;
  #sealed: { readonly stretches: readonly number[]; readonly envelope: Buffer } | undefined;
  messagesSent = 0;
  envelopesSent = 0;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** `group`: its id as it goes onto the wire, length byte included. */
  put(to: string, group: Uint8Array, message: Message): void {
    // What all peers are told at once, one after the other, is put into bytes once.
    const same = this.#lastMessage !== undefined && this.#lastGroup === group && sayTheSame(message, this.#lastMessage);
    if (!same) {
      const lengthAt = this.#begin(group);
      this.#lastMessage = message;
      writeMessage(this.#written, message);
      this.#end(lengthAt);
    }
    this.#add(to);
  }

  putBytes(to: string, group: Uint8Array, message: Uint8Array): void {
    this.#lastMessage = undefined;
    const lengthAt = this.#begin(group);
    this.#written.bytes(message);
    this.#end(lengthAt);
    this.#add(to);
  }

  flush(): void {
    for (const [to, letter] of this.#letters) if (letter.bytes > 0) this.#send(to, letter);
    this.#lastMessage = undefined;
    this.#sealed = undefined;
    this.#written.clear(keptBytesMax);
  }

  #begin(group: Uint8Array): number {
    if (this.#written.length > flightBytesMax) this.flush();
    this.#lastGroup = group;
    this.#lastFrom = this.#written.length;
    this.#written.bytes(group);
    return this.#written.skipUint32();
  }

  #end(lengthAt: number): void {
    this.#lastTo = this.#written.length;
    this.#written.fillUint32(lengthAt, this.#lastTo - lengthAt - 4);
  }

  #add(to: string): void {
    let letter = this.#letters.get(to);
    if (letter === undefined) {
      letter = { stretches: [], bytes: 0 };
      this.#letters.set(to, letter);
    }
    const [from, until] = [this.#lastFrom, this.#lastTo];
    if (letter.bytes > 0 && letter.bytes + until - from > envelopeBytesSoftMax) this.#send(to, letter);
    const { stretches } = letter;
    if (letter.bytes > 0 && stretches[stretches.length - 1] === from) stretches[stretches.length - 1] = until;
    else stretches.push(from, until);
    letter.bytes += until - from;
    this.messagesSent++;
  }

  #send(to: string, letter: Letter): void {
    const envelope = this.#seal(letter);
    letter.stretches.length = 0;
    letter.bytes = 0;
    this.envelopesSent++;
    this.#transport.send(to, envelope);
  }

  /** Peers that are told the same in this turn are sent the very same bytes. Whoever takes them over does not change them. */
  #seal({ stretches, bytes }: Letter): Buffer {
    const last = this.#sealed;
    if (last?.stretches.length === stretches.length && stretches.every((at, i) => at === last.stretches[i])) {
      return last.envelope;
    }
    const envelope = Buffer.allocUnsafe(1 + bytes);
    envelope[0] = envelopeVersion;
    let at = 1;
    for (let i = 0; i < stretches.length; i += 2) {
      const [from, to] = [stretches[i] as number, stretches[i + 1] as number];
      this.#written.copyTo(envelope, at, from, to);
      at += to - from;
    }
    this.#sealed = { stretches: stretches.slice(), envelope };
    return envelope;
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
