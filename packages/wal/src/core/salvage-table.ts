import { type BatchHeader, batchHeaderBytes } from "./batch.js";
import { type Crc, getU32, getU48 } from "./bytes.js";
import { type Entry, EntryType, entryHeaderBytes, readEntry } from "./entry.js";

const decoder = new TextDecoder();

/** Records `from` to `to` of a stream stand in the batch at `offset` of segment `segment`. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly segment: number;
  readonly offset: number;
  /** What the records take there, with their framing. An estimate for a piece of which a part was truncated. */
  readonly bytes: number;
}

export interface SequenceRange {
  readonly from: number;
  readonly to: number;
}

function part(piece: Piece, from: number, to: number): Piece {
  const share = (to - from + 1) / (piece.to - piece.from + 1);
  return share === 1 ? piece : { ...piece, from, to, bytes: Math.round(piece.bytes * share) };
}

/** What is left of one stream. Unlike the index of a whole log it lives with holes. */
export class SalvagedState {
  readonly id: number;
  /** Undefined while no declaration of the stream was found. */
  name: string | undefined;
  first: number;
  next: number;
  pieces: Piece[] = [];

  /** What was before `sequence`, nobody knows until a declaration is found. */
  constructor(id: number, sequence: number) {
    this.id = id;
    this.first = sequence;
    this.next = sequence;
  }

  add(piece: Piece): void {
    // A sequence that was there already: the truncation in between was lost with the batch that held it.
    if (piece.from < this.next) this.cutAfter(piece.from - 1);
    const last = this.pieces.at(-1);
    if (
      last !== undefined &&
      last.segment === piece.segment &&
      last.offset === piece.offset &&
      last.to + 1 === piece.from
    ) {
      this.pieces[this.pieces.length - 1] = { ...last, to: piece.to, bytes: last.bytes + piece.bytes };
    } else this.pieces.push(piece);
    this.next = piece.to + 1;
  }

  /** Found again further on. Where it stood first may be damaged or gone. */
  carried(piece: Piece): void {
    if (piece.from < this.first) return;
    this.pieces.push(piece);
    this.next = Math.max(this.next, piece.to + 1);
  }

  cutAfter(sequence: number): void {
    this.next = Math.min(this.next, sequence + 1);
    this.#clip();
  }

  cutBefore(sequence: number): void {
    this.first = Math.max(this.first, sequence);
    this.next = Math.max(this.next, this.first);
    this.#clip();
  }

  /** The bounds as a segment's checkpoint has them: the truth as of there, whatever was lost before. */
  declare(name: string, first: number, next: number): void {
    this.name = name;
    this.first = first;
    this.next = next;
    this.#clip();
  }

  #clip(): void {
    this.pieces = this.pieces
      .map((piece) => part(piece, Math.max(piece.from, this.first), Math.min(piece.to, this.next - 1)))
      .filter((piece) => piece.from <= piece.to);
  }

  /** The pieces in the order of their sequences, none twice. */
  ordered(): Piece[] {
    const ordered: Piece[] = [];
    let next = this.first;
    for (const piece of [...this.pieces].sort((a, b) => a.from - b.from)) {
      if (piece.to < next) continue;
      ordered.push(part(piece, Math.max(piece.from, next), piece.to));
      next = piece.to + 1;
    }
    return ordered;
  }

  /** Sequences between `first` and `next` that were not found anywhere. */
  missing(): SequenceRange[] {
    const missing: SequenceRange[] = [];
    let next = this.first;
    for (const { from, to } of this.ordered()) {
      if (from > next) missing.push({ from: next, to: from - 1 });
      next = to + 1;
    }
    if (next < this.next) missing.push({ from: next, to: this.next - 1 });
    return missing;
  }
}

/** All streams, as far as the batches that are whole tell. Batches are handed to it in their order; what is between them may be lost. */
export class SalvageTable {
  readonly byId = new Map<number, SalvagedState>();

  /** Returns the entries whose own checksum is wrong although the batch's is right: damaged in the writer's memory, before they were written. */
  apply(bytes: Uint8Array, header: BatchHeader, segment: number, offset: number, crc: Crc): Entry[] {
    const damaged: Entry[] = [];
    const end = offset + batchHeaderBytes + header.payloadBytes;
    for (let at = offset + batchHeaderBytes; at < end; ) {
      const entry = readEntry(bytes, at, end);
      if (entry === undefined) break;
      const wrong = crc(bytes.subarray(at + 4, entry.dataTo)) !== getU32(bytes, at);
      at = entry.dataTo;
      if (wrong) {
        damaged.push(entry);
        continue;
      }
      if (entry.type === EntryType.checkpoint) continue;
      const prefixed = entry.type === EntryType.stream || entry.type === EntryType.carried;
      if (prefixed && entry.dataTo - entry.dataFrom < 6) continue;
      if (entry.type === EntryType.remove) {
        this.byId.delete(entry.stream);
        continue;
      }
      const state = this.#state(entry.stream, entry.sequence);
      const bytesOfEntry = entryHeaderBytes + entry.dataTo - entry.dataFrom;
      const piece = { from: entry.sequence, to: entry.sequence, segment, offset, bytes: bytesOfEntry };
      if (entry.type === EntryType.record) state.add(piece);
      else if (entry.type === EntryType.carried) state.carried(piece);
      else if (entry.type === EntryType.truncateBefore) state.cutBefore(entry.sequence);
      else if (entry.type === EntryType.truncateAfter) state.cutAfter(entry.sequence);
      else if (entry.type === EntryType.stream) {
        const name = decoder.decode(bytes.subarray(entry.dataFrom + 6, entry.dataTo));
        state.declare(name, entry.sequence, getU48(bytes, entry.dataFrom));
      }
    }
    return damaged;
  }

  #state(id: number, sequence: number): SalvagedState {
    const known = this.byId.get(id);
    if (known !== undefined) return known;
    const state = new SalvagedState(id, sequence);
    this.byId.set(id, state);
    return state;
  }
}
