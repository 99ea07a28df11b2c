import { Blocks } from "./blocks.js";
import { PlaceTable } from "./place-table.js";
import type { SegmentRef } from "./point-list.js";
import { StreamState } from "./stream-state.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Bounds of a stream as they stand in a checkpoint. */
export interface StreamBounds {
  readonly id: number;
  readonly first: number;
  readonly next: number;
  readonly name: Uint8Array;
}

/**
 * Streams that nobody has used for a while, packed into some tens of bytes each: as objects, half a kilobyte. A block holds, as whole numbers of seven bits a byte,
 *
 *   id, bytes of the name, name, first, next - first, 2 x points (+1: the next append makes a point), and for each point
 *   segment, sequence - first, offset, entry, end - sequence, bytes
 *
 * (differences in zigzag). These bytes never leave the process: they carry no version and no checksum.
 */
export class RestingStreams {
  readonly #blocks = new Blocks();
  readonly #byId = new PlaceTable((place) => hashOfId(this.#open(place).whole()));
  readonly #byName = new PlaceTable((place) => {
    const from = this.#open(place);
    from.whole();
    const length = from.whole();
    return hashOfName(from.bytes, from.at, from.at + length);
  });
  readonly #segments = new Map<number, SegmentRef>();
  #segmentsMax = 64;
  readonly #reader = new Reader();
  readonly #writer = new Writer();
  #key = new Uint8Array(1024);

  get size(): number {
    return this.#byId.size;
  }

  /** Bytes reserved for them. */
  get reservedBytes(): number {
    return this.#blocks.reservedBytes;
  }

  /** Returns whether it was small enough. Its points go on counting in their segments. */
  put(state: StreamState): boolean {
    const { id, name, first, next, points, fresh } = state;
    const out = this.#writer;
    out.at = 0;
    out.whole(id);
    const length = this.#encode(name);
    out.whole(length);
    out.copy(this.#key, length);
    out.whole(first);
    out.whole(next - first);
    out.whole(2 * points.length + (fresh ? 1 : 0));
    for (let at = 0; at < points.length; at++) {
      const point = points.get(at);
      this.#segments.set(point.segment.number, point.segment);
      out.whole(point.segment.number);
      out.difference(point.sequence - first);
      out.whole(point.offset);
      out.whole(point.entry);
      out.difference(point.end - point.sequence);
      out.whole(point.bytes);
    }
    const place = this.#blocks.put(out.bytes.subarray(0, out.at));
    if (place === undefined) return false;
    this.#byId.add(place);
    this.#byName.add(place);
    if (this.#segments.size > this.#segmentsMax) this.#forgetSegments();
    return true;
  }

  /** Wakes it. */
  takeById(id: number): StreamState | undefined {
    return this.#take(this.#find(id));
  }

  takeByName(name: string): StreamState | undefined {
    const length = this.#encode(name);
    const hash = hashOfName(this.#key, 0, length);
    return this.#take(this.#byName.find(hash, (place) => this.#isNamed(place, length)));
  }

  /** All of them, as they would be if they were woken; they are not. */
  *states(): Generator<StreamState, void, undefined> {
    for (const place of this.#byId.places()) yield this.#state(place);
  }

  /** The names are views: good until anything is woken or put to rest. */
  *bounds(): Generator<StreamBounds, void, undefined> {
    for (const place of this.#byId.places()) yield this.#bounds(place);
  }

  boundsOf(id: number): StreamBounds | undefined {
    const place = this.#find(id);
    return place === undefined ? undefined : this.#bounds(place);
  }

  /** Whether it rests, and something of it is in `segment`. */
  isIn(id: number, segment: SegmentRef): boolean {
    const place = this.#find(id);
    if (place === undefined) return false;
    const from = this.#open(place);
    from.whole();
    from.take(from.whole());
    from.whole();
    from.whole();
    for (let left = from.whole() >>> 1; left > 0; left--) {
      if (from.whole() === segment.number) return true;
      for (let field = 1; field < pointFields; field++) from.whole();
    }
    return false;
  }

  #find(id: number): number | undefined {
    return this.#byId.find(hashOfId(id), (place) => this.#open(place).whole() === id);
  }

  #bounds(place: number): StreamBounds {
    const from = this.#open(place);
    const id = from.whole();
    const name = from.take(from.whole());
    const first = from.whole();
    return { id, first, next: first + from.whole(), name };
  }

  #take(place: number | undefined): StreamState | undefined {
    if (place === undefined) return undefined;
    const state = this.#state(place);
    this.#byId.remove(place);
    this.#byName.remove(place);
    this.#blocks.free(place);
    return state;
  }

  #state(place: number): StreamState {
    const from = this.#open(place);
    const id = from.whole();
    const name = decoder.decode(from.take(from.whole()));
    const first = from.whole();
    const state = new StreamState(id, name, first, first + from.whole());
    const points = from.whole();
    state.fresh = points % 2 === 1;
    for (let left = points >>> 1; left > 0; left--) {
      const segment = this.#segments.get(from.whole()) as SegmentRef;
      const sequence = first + from.difference();
      const offset = from.whole();
      const entry = from.whole();
      const end = sequence + from.difference();
      state.points.resume(segment, sequence, offset, entry, end, from.whole());
    }
    return state;
  }

  #isNamed(place: number, length: number): boolean {
    const from = this.#open(place);
    from.whole();
    if (from.whole() !== length) return false;
    const { bytes, at } = from;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== this.#key[i]) return false;
    return true;
  }

  #open(place: number): Reader {
    this.#blocks.locate(place);
    this.#reader.bytes = this.#blocks.bytes;
    this.#reader.at = this.#blocks.from;
    return this.#reader;
  }

  /** Into `#key`; returns how many bytes it is. */
  #encode(name: string): number {
    if (this.#key.length < 3 * name.length) this.#key = new Uint8Array(3 * name.length);
    return encoder.encodeInto(name, this.#key).written;
  }

  /** Nobody stands in a segment without points. */
  #forgetSegments(): void {
    for (const [number, segment] of this.#segments) if (segment.points === 0) this.#segments.delete(number);
    this.#segmentsMax = Math.max(64, 2 * this.#segments.size);
  }
}

const pointFields = 6;

class Writer {
  bytes = new Uint8Array(4096);
  at = 0;

  whole(value: number): void {
    this.#reserve(8);
    let left = value;
    for (; left > 127; left = Math.floor(left / 128)) this.bytes[this.at++] = (left % 128) | 128;
    this.bytes[this.at++] = left;
  }

  difference(value: number): void {
    this.whole(value < 0 ? -2 * value - 1 : 2 * value);
  }

  copy(from: Uint8Array, length: number): void {
    this.#reserve(length);
    this.bytes.set(from.subarray(0, length), this.at);
    this.at += length;
  }

  #reserve(more: number): void {
    if (this.at + more <= this.bytes.length) return;
    const larger = new Uint8Array(2 * this.bytes.length + more);
    larger.set(this.bytes);
    this.bytes = larger;
  }
}

class Reader {
  bytes: Uint8Array = new Uint8Array(0);
  at = 0;

  whole(): number {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = this.bytes[this.at++] as number;
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  }

  difference(): number {
    const value = this.whole();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  take(length: number): Uint8Array {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}

function hashOfId(id: number): number {
  return mixed(id);
}

/** FNV-1a. */
function hashOfName(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x81_1c_9d_c5;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01_00_01_93);
  return mixed(hash);
}

/** The low bits, by which a slot is found, depend on all of them. */
function mixed(hash: number): number {
  const high = Math.imul(hash ^ (hash >>> 16), 0x7f_eb_35_2d);
  return (high ^ (high >>> 15)) >>> 0;
}
