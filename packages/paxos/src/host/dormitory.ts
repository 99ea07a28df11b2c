import { type Adrift, AdriftGroups } from "./adrift.js";
import { ElbowRoom } from "./elbow-room.js";
import { Wakings } from "./wakings.js";

/** What the dormitory needs to know of a replica. */
export interface Sleeper extends Adrift {
  /** Under which node it sleeps as a follower, if it does. */
  readonly under: string | undefined;
  /** Whether this node's vote counts for anything here. */
  votes(node: string): boolean;
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

/** Groups that are packed in one tick. */
const packedAtOnceMax = 100;
/** Where there are more than there is room for the eldest wait no longer than this. */
const crowdedAfterMs = 1000;

/**
 * The groups of a node that sleep. When a node is gone all that slept under it are woken, and when what leases rest on has changed all that are led here, but not all at once. Who has slept for
 * a while is packed. Who sleeps under whom is nowhere written down: a node dies rarely enough to go through all groups then.
 */
export class Dormitory<T extends Sleeper> {
  readonly #parts: DormitoryParts<T>;
  /** Asleep, and in memory as a whole: since when, in the order of that. */
  readonly #unpacked = new Map<T, number>();
  readonly #elbowRoom = new ElbowRoom<T>();
  readonly #leaders = new Wakings<T>();
  readonly #adrift: AdriftGroups<T>;
  #nowMs = 0;

  constructor(parts: DormitoryParts<T>) {
    this.#parts = parts;
    this.#adrift = new AdriftGroups(parts.self, parts.successionMs);
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
    this.#leaders.forget(item);
    this.#adrift.forget(item);
  }

  /** This node's beats do not reach us any more; or they do again: then its leaders are given the time to say so themselves, `waitMs`. */
  lost(node: string, waitMs = 0): void {
    this.#adrift.add(
      node,
      this.#those(({ under }) => under === node),
      this.#nowMs + waitMs,
    );
  }

  /** What our own reigns rest on with this node has changed. */
  changed(node: string): void {
    this.#leaders.add(this.#those((item) => leadsAsleep(item) && item.votes(node)));
  }

  /** Wakes whose turn it is, and packs who has slept for long enough. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#leaders.tick(nowMs, (item) => {
      if (!leadsAsleep(item)) return false;
      item.wake(0);
      return true;
    });
    this.#adrift.tick(nowMs);
    this.#packSome(nowMs);
  }

  *#those(are: (item: T) => boolean): Generator<T, void, undefined> {
    for (const item of this.#parts.all()) if (are(item)) yield item;
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

function leadsAsleep({ asleep, under }: Sleeper): boolean {
  return asleep && under === undefined;
}
