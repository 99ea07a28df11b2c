import { getU48, putU48 } from "./bytes.js";
import { type Entry, EntryType, entryHeaderBytes, putEntryHeader, readEntry } from "./entry.js";
import type { IndexPoint, SegmentRef } from "./point-list.js";
import { StreamState } from "./stream-state.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Why a batch whose checksum is right still cannot be: the reason in words, and whether a newer version may know better. */
export class ReplayError extends Error {
  readonly unsupported: boolean;
  readonly stream: string | undefined;
  constructor(message: string, options: { unsupported?: boolean; stream?: string } = {}) {
    super(message);
    this.unsupported = options.unsupported ?? false;
    this.stream = options.stream;
  }
}

/** All streams that exist as of some batch: built by replaying batches in order, by recovery and by nothing else. */
export class StreamTable {
  readonly byId = new Map<number, StreamState>();
  nextId = 1;

  /** Applies a verified batch whose payload is `bytes[from, to)`. */
  replay(bytes: Uint8Array, from: number, to: number, count: number, segment: SegmentRef, offset: number): void {
    const carried = new Map<StreamState, { points: IndexPoint[]; through: number }>();
    let at = from;
    for (let index = 0; index < count; index++) {
      const entry = readEntry(bytes, at, to);
      if (entry === undefined) throw new ReplayError(`entry ${index} of ${count} does not fit its batch`);
      at = entry.dataTo;
      if (entry.type === EntryType.carried) {
        const { sequence } = entry;
        this.#carried(entry, { sequence, segment, offset, entry: index, end: sequence + 1, bytes: 0 }, carried);
      } else {
        // In the order in which things were called: what follows in this batch may cut off or replace what was carried in it.
        const state = this.byId.get(entry.stream);
        const run = state === undefined ? undefined : carried.get(state);
        if (state !== undefined && run !== undefined) {
          state.carry(run.points, run.through);
          carried.delete(state);
        }
        this.#apply(bytes, entry, segment, offset, index);
      }
    }
    if (at !== to) throw new ReplayError(`${to - at} bytes behind the last of ${count} entries`);
    for (const [state, { points, through }] of carried) state.carry(points, through);
  }

  #apply(bytes: Uint8Array, entry: Entry, segment: SegmentRef, offset: number, index: number): void {
    switch (entry.type) {
      case EntryType.record: {
        const state = this.#known(entry);
        if (entry.sequence !== state.next) {
          throw new ReplayError(
            `stream ${JSON.stringify(state.name)} continues with ${entry.sequence} instead of ${state.next}`,
            {
              stream: state.name,
            },
          );
        }
        state.extend(1, entryHeaderBytes + entry.dataTo - entry.dataFrom, segment, offset, index);
        return;
      }
      case EntryType.truncateBefore:
        this.#known(entry).truncateBefore(entry.sequence);
        return;
      case EntryType.truncateAfter:
        this.#known(entry).truncateAfter(entry.sequence);
        return;
      case EntryType.remove:
        this.#known(entry).remove();
        this.byId.delete(entry.stream);
        return;
      case EntryType.stream:
        this.#declare(bytes, entry);
        return;
      case EntryType.checkpoint:
        this.nextId = Math.max(this.nextId, entry.sequence);
        return;
      default:
        throw new ReplayError(`entry type ${entry.type} is not known to this version`, { unsupported: true });
    }
  }

  #declare(bytes: Uint8Array, entry: Entry): void {
    if (entry.dataTo - entry.dataFrom < 6) throw new ReplayError("the declaration of a stream is too short");
    const next = getU48(bytes, entry.dataFrom);
    const name = decoder.decode(bytes.subarray(entry.dataFrom + 6, entry.dataTo));
    const known = this.byId.get(entry.stream);
    if (known === undefined) {
      this.byId.set(entry.stream, new StreamState(entry.stream, name, entry.sequence, next));
      this.nextId = Math.max(this.nextId, entry.stream + 1);
    } else if (known.name !== name || known.first !== entry.sequence || known.next !== next) {
      const message = `stream ${JSON.stringify(name)} should hold ${entry.sequence} up to ${next}, replay found ${known.first} up to ${known.next}`;
      throw new ReplayError(message, { stream: name });
    }
  }

  #carried(
    entry: Entry,
    point: IndexPoint,
    carried: Map<StreamState, { points: IndexPoint[]; through: number }>,
  ): void {
    const state = this.#known(entry);
    if (entry.dataTo - entry.dataFrom < 6) {
      throw new ReplayError(`carried record ${entry.sequence} is too short`, { stream: state.name });
    }
    const run = carried.get(state);
    if (run === undefined) carried.set(state, { points: [point], through: entry.sequence });
    else if (entry.sequence === run.through + 1) run.through++;
    else
      throw new ReplayError(`carried record ${entry.sequence} does not follow ${run.through}`, { stream: state.name });
    const first = (carried.get(state) as { points: IndexPoint[] }).points[0] as IndexPoint;
    first.end = entry.sequence + 1;
    first.bytes += entryHeaderBytes + entry.dataTo - entry.dataFrom;
  }

  #known(entry: Entry): StreamState {
    const state = this.byId.get(entry.stream);
    if (state === undefined) throw new ReplayError(`entry of type ${entry.type} for unknown stream id ${entry.stream}`);
    return state;
  }
}

/** Bytes that the entry declaring `name` takes. */
export function declarationBytes(name: string): number {
  return entryHeaderBytes + nextBytes + utf8Bytes(name);
}

/** Writes the entry that declares a stream with its bounds, all but its checksum; returns where the next entry goes. */
export function putDeclaration(target: Uint8Array, at: number, state: StreamState): number {
  const dataFrom = at + entryHeaderBytes;
  const dataTo = dataFrom + nextBytes + utf8Bytes(state.name);
  putU48(target, dataFrom, state.next);
  putUtf8(target, dataFrom + nextBytes, dataTo, state.name);
  putEntryHeader(target, at, EntryType.stream, state.id, state.first, 0, dataTo - dataFrom);
  return dataTo;
}

const nextBytes = 6;

/** Ten thousand names are written at the front of each segment: an array for each would be felt. */
function utf8Bytes(text: string): number {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return encoder.encode(text).length;
  return text.length;
}

function putUtf8(target: Uint8Array, from: number, to: number, text: string): void {
  if (to - from !== text.length) {
    target.set(encoder.encode(text), from);
    return;
  }
  for (let at = 0; at < text.length; at++) target[from + at] = text.charCodeAt(at);
}
