import { channel } from "node:diagnostics_channel";
import { PaxosError } from "../core/errors.js";
import { weightOf } from "../core/log.js";
import type { Message } from "../core/messages.js";
import type { Effect } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import { ReadAhead } from "./read-ahead.js";

/** What is read for one peer before it asks: some milliseconds of the network, so that log, network and the peer's disk work at once. */
const aheadBytesMax = 4 * 1024 * 1024;
/** A peer that has not asked for so long has what it wanted, or is gone: nothing is held for it any more. */
const holdMs = 2000;
/** What may be on its way to one peer, in the most that it is asked for at once: while its disk takes one piece, the next are sent, received and decoded. */
const windowPieces = 4;
/** Parts of the most that it is asked for at once: small enough that the last of the window is sent when the first is durable. */
const partsPerPiece = 2;
/** Who asks for the same again earlier than this is only slow: what he was sent is on its way, and would not come sooner if it were sent twice. */
const resendMs = 1000;

const unreadable = channel("evenkeel:paxos:unreadable");

/** What one peer was sent lately, and what it asked for last. */
interface Course {
  readonly reader: ReadAhead;
  readonly forget: NodeJS.Timeout;
  fromSlot: number;
  throughSlot: number;
  bytesMax: number;
  sentThrough: number;
  /** Sent, and not known to have come. */
  onItsWay: { readonly through: number; readonly bytes: number }[];
  /** When the first of it was sent, or anything was known to have come. */
  movedMs: number;
  /** Changes whenever what was sent is to be sent again. */
  turn: number;
  sending: Promise<void> | undefined;
}

/**
 * Reads chosen entries that memory no longer holds and sends them to who lacks them. A peer asks for more when what it was sent is durable; so that neither its disk nor the network waits for the other,
 * somewhat more than it asked for is on its way to it. Who asks for the same again, a while later, has not had it: it is sent again.
 */
export class Shipper {
  readonly #ids: { readonly nodeId: string; readonly groupId: string };
  readonly #storage: GroupStorage;
  readonly #post: (to: string, message: Message) => void;
  readonly #now: () => number;
  readonly #courses = new Map<string, Course>();

  constructor(
    ids: { readonly nodeId: string; readonly groupId: string },
    storage: GroupStorage,
    post: (to: string, message: Message) => void,
    now: () => number,
  ) {
    this.#now = now;
    this.#ids = ids;
    this.#storage = storage;
    this.#post = post;
  }

  ship({ to, fromSlot, throughSlot, bytesMax }: Extract<Effect, { type: "ship" }>): void {
    const course = this.#courseOf(to);
    const nowMs = this.#now();
    const waits = fromSlot === course.fromSlot && course.onItsWay.length > 0 && nowMs - course.movedMs < resendMs;
    if (!waits) {
      course.movedMs = nowMs;
      const moves = fromSlot > course.fromSlot && fromSlot <= course.sentThrough + 1;
      course.onItsWay = moves ? course.onItsWay.filter(({ through }) => through >= fromSlot) : [];
      if (!moves) {
        course.sentThrough = fromSlot - 1;
        course.turn++;
      }
    }
    Object.assign(course, { fromSlot, throughSlot, bytesMax });
    course.sending ??= Promise.resolve().then(() => this.#send(to, course));
  }

  get idle(): boolean {
    return this.#courses.size === 0;
  }

  /** Resolves when nothing is being read any more. */
  async settled(): Promise<void> {
    for (const [to, course] of [...this.#courses]) await this.#forget(to, course);
  }

  async #send(to: string, course: Course): Promise<void> {
    try {
      for (;;) {
        const { turn, sentThrough, throughSlot, bytesMax } = course;
        const bytes = course.onItsWay.reduce((sum, piece) => sum + piece.bytes, 0);
        const full = course.onItsWay.length > 0 && bytes >= windowPieces * bytesMax;
        if (full || sentThrough >= throughSlot || this.#courses.get(to) !== course) return;
        const entries = await course.reader.take(sentThrough + 1, throughSlot, Math.ceil(bytesMax / partsPerPiece));
        if (course.turn !== turn) continue;
        const last = entries.at(-1);
        if (last === undefined) return;
        course.sentThrough = last.slot;
        course.onItsWay.push({
          through: last.slot,
          bytes: entries.reduce((sum, entry) => sum + weightOf(entry), 0),
        });
        this.#post(to, { type: "learn", entries });
      }
    } catch (cause) {
      const { fromSlot, throughSlot } = course;
      this.#drop(to, course);
      // Trimmed meanwhile is no trouble of ours. Anything else is damage that the owner must hear of; voting goes on without those slots.
      const trimmed = cause instanceof PaxosError && cause.code === "ERR_PAXOS_TRIMMED";
      if (!trimmed && unreadable.hasSubscribers) unreadable.publish({ ...this.#ids, fromSlot, throughSlot, cause });
    } finally {
      // In this very moment: whoever asks from now on has to begin anew.
      course.sending = undefined;
    }
  }

  #courseOf(to: string): Course {
    const known = this.#courses.get(to);
    if (known !== undefined) {
      known.forget.refresh();
      return known;
    }
    const course: Course = {
      reader: new ReadAhead(this.#storage, aheadBytesMax),
      forget: setTimeout(() => void this.#forget(to, course), holdMs).unref(),
      fromSlot: 0,
      throughSlot: 0,
      bytesMax: 0,
      sentThrough: 0,
      onItsWay: [],
      movedMs: 0,
      turn: 0,
      sending: undefined,
    };
    this.#courses.set(to, course);
    return course;
  }

  #drop(to: string, course: Course): void {
    clearTimeout(course.forget);
    if (this.#courses.get(to) === course) this.#courses.delete(to);
  }

  async #forget(to: string, course: Course): Promise<void> {
    this.#drop(to, course);
    await course.sending;
    await course.reader.settled();
  }
}
