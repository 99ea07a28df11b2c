import { getU48, putU48 } from "./bytes.js";
import { type Entry, EntryType, entryHeaderBytes, putEntryHeader, readEntry } from "./entry.js";
import type { IndexPoint, SegmentRef } from "./point-list.js";
import { RestingStreams } from "./resting-streams.js";
import { nobody, StreamState, type StreamWatcher } from "./stream-state.js";

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

/** How many streams are whole objects while a log is replayed. */
const replayedAtOnceMax = 16 * 1024;

/**
 * All streams that exist as of some batch, first built by recovery, which replays batches in order. Those that are in use are objects; the others rest,
 * packed, until somebody needs them.
 */
export class StreamTable {
  readonly #awake = new Map<number, StreamState>();
  readonly #resting = new RestingStreams();
  /** Those in use by their names, and those whose first record is still on its way to the disk. */
  readonly #named = new Map<string, StreamState>();
  /** Of the streams that somebody follows: most never are, and there may be a million of them. */
  readonly #watchers = new Map<string, Set<StreamWatcher>>();
  /** One that was put to rest is found here again. */
  readonly #rested = (id: number) => this.get(id);
  /** Told of the name of each stream that is put to rest. */
  onRest: (name: string) => void = () => undefined;
  /** Bytes of the entries that declare them all, as each segment begins with them. */
  declarationsBytes = 0;
  nextId = 1;
  /** How many were needed again after they had been put to rest. */
  woken = 0;

  get size(): number {
    return this.#awake.size + this.#resting.size;
  }

  /** Those that are not packed. */
  get awake(): number {
    return this.#awake.size;
  }

  get resting(): number {
    return this.#resting.size;
  }

  /** Bytes reserved for those that are. */
  get restingBytes(): number {
    return this.#resting.reservedBytes;
  }

  get(id: number): StreamState | undefined {
    return this.#awake.get(id) ?? this.#wake(this.#resting.takeById(id));
  }

  /** The one that goes by this name now, be it durable or not yet. */
  named(name: string): StreamState | undefined {
    return this.#named.get(name) ?? this.#wake(this.#resting.takeByName(name));
  }

  /** It comes into being: to be found by its name from now on, and to be added once it is durable. */
  name(state: StreamState): void {
    this.#named.set(state.name, state);
    state.watchers = this.#watchers.get(state.name) ?? nobody;
  }

  /** Its removal was called for: the name is free. */
  unname(state: StreamState): void {
    state.current = false;
    if (this.#named.get(state.name) === state) this.#named.delete(state.name);
  }

  /** From now on it is told what happens to the stream of that name, which may be still to come. */
  watch(name: string, watcher: StreamWatcher): void {
    const watchers = this.#watchers.get(name) ?? new Set();
    this.#watchers.set(name, watchers.add(watcher));
    const state = this.named(name);
    if (state !== undefined) state.watchers = watchers;
  }

  unwatch(name: string, watcher: StreamWatcher): void {
    const watchers = this.#watchers.get(name);
    if (watchers?.delete(watcher) === true && watchers.size === 0) this.#watchers.delete(name);
  }

  add(state: StreamState): void {
    this.#awake.set(state.id, state);
    this.declarationsBytes += declarationBytes(state.name);
  }

  delete(state: StreamState): void {
    this.unname(state);
    if (this.#awake.delete(state.id)) this.declarationsBytes -= declarationBytes(state.name);
  }

  /** Every stream. One that rests goes on resting: what is handed out for it is not to be changed, or kept. */
  *states(): Generator<StreamState, void, undefined> {
    yield* this.#awake.values();
    yield* this.#resting.states();
  }

  /** In the order in which they came into being. */
  names(): string[] {
    const all = Array.from(this.states(), ({ id, name }) => ({ id, name }));
    return all.sort((a, b) => a.id - b.id).map(({ name }) => name);
  }

  /** The ids of those of which something is in `segment`. */
  idsIn(segment: SegmentRef): number[] {
    return segment.streams.sorted().filter((id) => {
      const state = this.#awake.get(id);
      return state === undefined ? this.#resting.isIn(id, segment) : state.rangeIn(segment) !== undefined;
    });
  }

  /**
   * Looks at the `count` of those in use that were looked at longest ago, and puts to rest who was not used since then and is quiet. With `unused` false
   * also who was used.
   */
  rest(count: number, unused = true): void {
    let left = Math.min(count, this.#awake.size);
    for (const state of this.#awake.values()) {
      if (left-- === 0) return;
      this.#awake.delete(state.id);
      const wasUsed = state.used;
      state.used = false;
      if ((unused && wasUsed) || !state.quiet || !this.#resting.put(state)) this.#awake.set(state.id, state);
      else this.#restless(state);
    }
  }

  #restless(state: StreamState): void {
    this.#named.delete(state.name);
    state.current = false;
    state.rested = this.#rested;
    // Whoever reads it notices.
    state.truncations++;
    this.onRest(state.name);
  }

  #wake(state: StreamState | undefined): StreamState | undefined {
    if (state === undefined) return undefined;
    this.woken++;
    this.#awake.set(state.id, state);
    this.name(state);
    return state;
  }

  /** Writes the entries that declare them all, `declarationsBytes`, but for their checksums; returns where the next entry goes. */
  putDeclarations(target: Uint8Array, at: number): number {
    let to = at;
    for (const state of this.#awake.values()) to = putDeclaration(target, to, state);
    for (const bounds of this.#resting.bounds()) to = putDeclaration(target, to, bounds);
    return to;
  }

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
        const state = carried.size === 0 ? undefined : this.get(entry.stream);
        const run = state === undefined ? undefined : carried.get(state);
        if (state !== undefined && run !== undefined) {
          state.carry(run.points, run.through);
          carried.delete(state);
        }
        this.#apply(bytes, entry, segment, offset, index);
        if (this.#awake.size > replayedAtOnceMax && carried.size === 0) this.replayed();
      }
    }
    if (at !== to) throw new ReplayError(`${to - at} bytes behind the last of ${count} entries`);
    for (const [state, { points, through }] of carried) state.carry(points, through);
  }

  /** Nothing is under way of what was replayed so far: all that can rest. */
  replayed(): void {
    for (const state of this.#awake.values()) {
      state.firstAssigned = state.first;
      state.nextAssigned = state.next;
    }
    this.rest(this.#awake.size, false);
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
        this.#remove(this.#known(entry));
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

  #remove(state: StreamState): void {
    state.remove();
    this.delete(state);
  }

  #declare(bytes: Uint8Array, entry: Entry): void {
    if (entry.dataTo - entry.dataFrom < 6) throw new ReplayError("the declaration of a stream is too short");
    const next = getU48(bytes, entry.dataFrom);
    const name = decoder.decode(bytes.subarray(entry.dataFrom + 6, entry.dataTo));
    // A checkpoint says it of all streams: those that rest go on resting.
    const known = this.#awake.get(entry.stream) ?? this.#resting.boundsOf(entry.stream);
    if (known === undefined) {
      const state = new StreamState(entry.stream, name, entry.sequence, next);
      this.name(state);
      this.add(state);
      this.nextId = Math.max(this.nextId, entry.stream + 1);
    } else if (nameOf(known) !== name || known.first !== entry.sequence || known.next !== next) {
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
    const state = this.get(entry.stream);
    if (state === undefined) throw new ReplayError(`entry of type ${entry.type} for unknown stream id ${entry.stream}`);
    return state;
  }
}

function nameOf({ name }: { readonly name: string | Uint8Array }): string {
  return typeof name === "string" ? name : decoder.decode(name);
}

/** Bytes that the entry declaring `name` takes. */
export function declarationBytes(name: string): number {
  return entryHeaderBytes + nextBytes + utf8Bytes(name);
}

/** A stream that rests has its name's bytes only. */
interface Declared {
  readonly id: number;
  readonly first: number;
  readonly next: number;
  readonly name: string | Uint8Array;
}

/** Writes the entry that declares a stream with its bounds, all but its checksum; returns where the next entry goes. */
export function putDeclaration(target: Uint8Array, at: number, { id, first, next, name }: Declared): number {
  const dataFrom = at + entryHeaderBytes;
  const nameFrom = dataFrom + nextBytes;
  const dataTo = nameFrom + (typeof name === "string" ? utf8Bytes(name) : name.length);
  putU48(target, dataFrom, next);
  if (typeof name === "string") putUtf8(target, nameFrom, dataTo, name);
  else target.set(name, nameFrom);
  putEntryHeader(target, at, EntryType.stream, id, first, 0, dataTo - dataFrom);
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
