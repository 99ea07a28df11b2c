import { ElbowRoom } from "./elbow-room.js";
import { placeInLine, type Succession } from "./succession.js";

/** What the dormitory needs to know of a replica. */
export interface Sleeper extends Succession {
  readonly asleep: boolean;
  /** Under which node it sleeps as a follower, if it does. */
  readonly under: string | undefined;
  /** Who leads, as far as is known. */
  readonly leader: string | undefined;
  /** Whether this node's vote counts for anything here. */
  votes(node: string): boolean;
  /** Has it speak again; as a follower it stands `waitMs` later than it would. */
  wake(waitMs: number): void;
}

interface Waking<T> {
  readonly item: T;
  readonly under: string;
  readonly waitMs: number;
}

export interface DormitoryParts<T> {
  readonly self: string;
  /** How much later each further one in line stands. */
  readonly successionMs: number;
  readonly packAfterMs: number;
  /** Every group of the node. */
  readonly all: () => Iterable<T>;
  /** Returns whether it was done; else it is tried again later. */
  readonly pack: (item: T) => boolean;
}

/** Woken and not led yet, at one time: more would only let each of them wait until it begins anew. */
const standingMax = 256;
/** After this it is left to itself. */
const standingMaxMs = 1000;
/** Leaders that are woken in one tick. */
const leadersAtOnceMax = 100;
/** Groups that are packed in one tick. */
const packedAtOnceMax = 100;
/** Where there are more than there is room for the eldest wait no longer than this. */
const crowdedAfterMs = 1000;

/**
 * The groups of a node that sleep. When a node is gone all that slept under it are woken, but not all at once: first those in which this node is next in line
 * (the line begins elsewhere for each group, so that the survivors share the work instead of standing against each other), and only so many as are elected meanwhile. Who has slept for
 * a while is packed. Who sleeps under whom is nowhere written down: a node dies rarely enough to go through all groups then.
 */
export class Dormitory<T extends Sleeper> {
  readonly #parts: DormitoryParts<T>;
  /** Asleep, and in memory as a whole: since when, in the order of that. */
  readonly #unpacked = new Map<T, number>();
  readonly #elbowRoom = new ElbowRoom<T>();
  #nowMs = 0;
  #leadersToWake: T[] = [];
  #toWake: Waking<T>[] = [];
  readonly #standing = new Map<T, number>();

  constructor(parts: DormitoryParts<T>) {
    this.#parts = parts;
  }

  /** Those that sleep and are not packed. */
  get size(): number {
    return this.#unpacked.size;
  }

  /** Something has happened to it: it may have fallen asleep, or not sleep any more. */
  settle(item: T): void {
    this.#unpacked.delete(item);
    if (item.asleep) this.#unpacked.set(item, this.#nowMs);
  }

  /** It was packed and is there again, since somebody wants it. */
  unpacked(item: T): void {
    this.#elbowRoom.wanted(item, this.#nowMs);
    this.settle(item);
  }

  /** It is closed on this node. */
  forget(item: T): void {
    this.#unpacked.delete(item);
    this.#elbowRoom.forget(item);
    this.#standing.delete(item);
  }

  /** This node's beats do not reach us any more; or they do again: then its leaders are given the time to say so themselves, `waitMs`. */
  lost(node: string, waitMs = 0): void {
    const first: Waking<T>[] = [];
    const later: Waking<T>[] = [];
    for (const item of this.#parts.all()) {
      if (item.under !== node) continue;
      const place = placeInLine(item, this.#parts.self, node);
      (place === 0 ? first : later).push({ item, under: node, waitMs: waitMs + place * this.#parts.successionMs });
    }
    this.#toWake = [...this.#toWake, ...first, ...later];
  }

  /** What our own reigns rest on with this node has changed. */
  changed(node: string): void {
    const waiting = new Set(this.#leadersToWake);
    for (const item of this.#parts.all()) {
      if (item.asleep && item.under === undefined && item.votes(node) && !waiting.has(item))
        this.#leadersToWake.push(item);
    }
  }

  /** Wakes whose turn it is, and packs who has slept for long enough. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const item of this.#leadersToWake.splice(0, leadersAtOnceMax)) {
      if (item.asleep && item.under === undefined) item.wake(0);
    }
    for (const [item, sinceMs] of this.#standing) {
      if (item.leader !== undefined || nowMs - sinceMs > standingMaxMs) this.#standing.delete(item);
    }
    let next = 0;
    while (next < this.#toWake.length && this.#standing.size < standingMax) {
      const { item, under, waitMs } = this.#toWake[next++] as Waking<T>;
      // Somebody else was elected meanwhile, or it was closed.
      if (item.under !== under) continue;
      item.wake(waitMs);
      this.#standing.set(item, nowMs);
    }
    if (next > 0) this.#toWake.splice(0, next);
    this.#packSome(nowMs);
  }

  #packSome(nowMs: number): void {
    const { packAfterMs } = this.#parts;
    if (packAfterMs === Number.MAX_SAFE_INTEGER) return;
    this.#elbowRoom.tick(nowMs);
    let tried = 0;
    for (const [item, sinceMs] of this.#unpacked) {
      const crowded = this.#unpacked.size > this.#elbowRoom.room;
      const afterMs = crowded ? Math.min(packAfterMs, crowdedAfterMs) : packAfterMs;
      if (nowMs - sinceMs < afterMs || tried++ >= packedAtOnceMax) return;
      this.#unpacked.delete(item);
      if (!this.#parts.pack(item)) this.#unpacked.set(item, nowMs);
      else if (nowMs - sinceMs < packAfterMs) this.#elbowRoom.packedEarly(item, sinceMs + packAfterMs);
    }
  }
}
