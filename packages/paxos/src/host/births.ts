import type { LoadedState } from "../storage/storage.js";
import { amnesia } from "./failure.js";
import type { HostMessage } from "./host-messages.js";

/**
 * How often who has not answered is asked again: at first, at longest while this replica waits for it, and at longest when it does not. Who was not there when he was asked asks himself when he is, and
 * is asked then; so at first this is for messages that were lost, and where hundreds of groups begin at once it is longer than answers take.
 */
const askMs = 400;
const askWaitingMaxMs = 1600;
const askMaxMs = 60_000;

/** In the place of a node among the marks: whether a log that is not empty any more had a voice by its name when that began. No note: it had. */
const note = "";

/** Whether this log may be that of a node that has forgotten what it said: it was empty when its node began, or it was fed before the others had told. */
export function isMute({ promised, births }: Pick<LoadedState, "promised" | "births">): boolean {
  const noted = births?.get(note);
  return noted === undefined ? promised.round === 0 : noted === "mute";
}

export interface BirthParts {
  readonly ids: { readonly nodeId: string; readonly groupId: string };
  readonly births: ReadonlyMap<string, string>;
  /** See `isMute`. */
  readonly mute: boolean;
  /** Everybody had answered already when this replica was packed: nobody need be asked again in this life. */
  readonly done?: boolean;
  /** Whether this log has never held a promise, until now. */
  readonly blank: () => boolean;
  /** Calls `done` when it is durable, or with what went wrong. */
  readonly remember: (nodeId: string, birth: string, done: (error?: unknown) => void) => void;
  readonly members: () => readonly string[];
  /** Those who can tell a first life from a later one by the name alone: with whom the group was founded. */
  readonly founders: readonly string[];
  /** The mark by which this replica's log knows a member. */
  readonly markOf: (node: string) => string | undefined;
  /** Whether it so knows this node. */
  readonly marked: () => boolean;
  /** The leader that must hear of our mark before it can bring us up. */
  readonly stranger: () => string | undefined;
  /** It has, and reads answers that name it. */
  readonly remembered: (by: string) => void;
  /** Our mark is durable. */
  readonly born: (mark: string) => void;
  /** For a log that is born now: never the same twice. */
  readonly mark: () => string;
  readonly post: (to: string, message: HostMessage) => void;
  /** This replica has nothing to have forgotten: it may vote. */
  readonly voice: () => void;
  readonly fail: (error: unknown) => void;
}

/**
 * An acceptor whose disk is empty either begins, or has forgotten all that it promised; by itself it cannot tell. So every
 * log is born under a mark, the others remember it durably, and an empty one votes only after it has asked: when most of
 * the other members know no other mark of its node (most of them answered its first life, so one of them is asked again),
 * or when, itself included, a majority of the members has never voted: then the group is being founded. An acceptor that
 * is remembered under another mark never votes again under that name.
 *
 * The members asked are the founders: who came later need not have heard of an earlier life. Who joins a group that has few of them left is known by its mark instead, from
 * the entry on that makes it a member; it only has to tell that mark to whoever leads.
 */
export class Births {
  readonly #parts: BirthParts;
  readonly #known: Map<string, string>;
  #own: string | undefined;
  readonly #answered = new Set<string>();
  readonly #blank = new Set<string>();
  /** Whose marks are on their way to the disk: who knocks twice meanwhile is not told that it is remembered before it is. */
  readonly #writing = new Set<string>();
  /** Who was asked out of turn since all were. */
  readonly #again = new Set<string>();
  #voting: boolean;
  /** The leader that was told our mark last, and when it is told again. */
  #told: string | undefined;
  #tellAtMs = Number.NEGATIVE_INFINITY;
  #tellPauseMs = askMs;
  #askAtMs = Number.NEGATIVE_INFINITY;
  #pauseMs = askMs;
  #ended = false;

  constructor(parts: BirthParts) {
    this.#parts = parts;
    this.#known = new Map(parts.births);
    this.#voting = !parts.mute;
    if (this.#voting) this.#forgetNote();
    if (parts.done === true) this.#askAtMs = Number.POSITIVE_INFINITY;
    this.#begin();
  }

  get voting(): boolean {
    return this.#voting;
  }

  /** What the logs of the nodes are known by; undefined while there is something to be asked or written down. */
  get memory(): ReadonlyMap<string, string> | undefined {
    const done = this.#own !== undefined && this.wakeAtMs === Number.POSITIVE_INFINITY;
    return done && !this.#ended && this.#writing.size === 0 ? this.#known : undefined;
  }

  /** The first mark that we have heard of for a node's log, once that is durable. */
  markOf(node: string): string | undefined {
    return this.#writing.has(node) ? undefined : this.#known.get(node);
  }

  /** No tick is needed before this time. */
  get wakeAtMs(): number {
    if (this.#ended) return Number.POSITIVE_INFINITY;
    return Math.min(this.#asks ? this.#askAtMs : Number.POSITIVE_INFINITY, this.#tellsAtMs);
  }

  /** Who is known by its mark has nothing to ask. */
  get #asks(): boolean {
    return this.#voting || !this.#parts.marked();
  }

  get #tellsAtMs(): number {
    const stranger = this.#own === undefined ? undefined : this.#parts.stranger();
    if (stranger === undefined) return Number.POSITIVE_INFINITY;
    return stranger === this.#told ? this.#tellAtMs : Number.NEGATIVE_INFINITY;
  }

  /** Something is about to be written into the log, which will not be empty then: it must not be taken for one that had a voice. */
  writes(): void {
    if (!this.#voting && !this.#known.has(note)) this.#remember(note, "mute", () => {});
  }

  /** Asks those who have not answered in this life. Nothing is left to do once all have. */
  tick(nowMs: number): void {
    if (this.#ended || this.#own === undefined) return;
    const { post } = this.#parts;
    if (nowMs >= this.#tellsAtMs) {
      const stranger = this.#parts.stranger() as string;
      // One that is gone, or was a leader of long ago, is not worth a message each moment.
      this.#tellPauseMs = stranger === this.#told ? Math.min(2 * this.#tellPauseMs, askMaxMs) : askMs;
      this.#told = stranger;
      this.#tellAtMs = nowMs + this.#tellPauseMs;
      post(stranger, { type: "knock", birth: this.#own });
    }
    if (!this.#asks || nowMs < this.#askAtMs) return;
    const silent = this.#others().filter((node) => !this.#answered.has(node));
    for (const node of silent) post(node, { type: "knock", birth: this.#own });
    this.#again.clear();
    // A member that is gone for good is not worth a message each moment for ever, nor one that has too much to do; one that comes back knocks itself.
    this.#askAtMs = nowMs + this.#pauseMs;
    this.#pauseMs = Math.min(2 * this.#pauseMs, this.#voting ? askMaxMs : askWaitingMaxMs);
    if (this.#voting && silent.length === 0) this.#askAtMs = Number.POSITIVE_INFINITY;
  }

  onKnock(from: string, birth: string): void {
    if (this.#ended) return;
    // It is there now, and may not have been when it was asked: an acceptor that waits for the next turn is one that the group lacks meanwhile. But where all begin at once each is there.
    if (this.#own !== undefined && !this.#voting && !this.#answered.has(from) && !this.#again.has(from)) {
      this.#again.add(from);
      this.#parts.post(from, { type: "knock", birth: this.#own });
    }
    if (this.#known.has(from) || this.#parts.markOf(from) !== undefined) {
      if (!this.#writing.has(from)) this.#answer(from);
      return;
    }
    this.#writing.add(from);
    this.#remember(from, birth, () => {
      this.#writing.delete(from);
      this.#answer(from);
    });
  }

  onKnown(from: string, { birth, blank, readsMarks }: Omit<Extract<HostMessage, { type: "known" }>, "type">): void {
    if (this.#ended || this.#own === undefined) return;
    const { ids, fail, stranger, remembered } = this.#parts;
    if (birth !== this.#own) {
      this.#ended = true;
      fail(amnesia(ids.groupId, `${from} remembers another log of ${ids.nodeId}`));
      return;
    }
    this.#answered.add(from);
    if (blank) this.#blank.add(from);
    this.#decide();
    if (readsMarks !== true || from !== stranger()) return;
    this.#told = undefined;
    remembered(from);
  }

  close(): void {
    this.#ended = true;
  }

  /** Whom this log has to be known by; and who is asked. */
  #others(): readonly string[] {
    const { members, founders, ids } = this.#parts;
    const all = this.#voting ? members() : founders;
    return all.filter((node) => node !== ids.nodeId);
  }

  #begin(): void {
    const { ids, mark } = this.#parts;
    const known = this.#known.get(ids.nodeId);
    const born = (own: string) => {
      this.#own = own;
      this.#parts.born(own);
    };
    if (known !== undefined) {
      born(known);
      // Who founds a group alone needs no answer; but its replica is being made at this moment.
      if (!this.#voting) queueMicrotask(() => this.#decide());
      return;
    }
    const own = mark();
    this.#remember(ids.nodeId, own, () => {
      born(own);
      this.#decide();
    });
  }

  #remember(nodeId: string, birth: string, then: () => void): void {
    this.#known.set(nodeId, birth);
    this.#parts.remember(nodeId, birth, (error) => {
      if (this.#ended) return;
      if (error === undefined) then();
      else this.#parts.fail(error);
    });
  }

  /** It stays in the log; here, where thousands of groups sleep, a voice is what is usual. */
  #forgetNote(): void {
    this.#known.delete(note);
  }

  #answer(to: string): void {
    const { post, blank, markOf } = this.#parts;
    const isBlank = blank();
    // What is only heard of a node that stands in the log by its mark is no news to anybody.
    const birth = markOf(to) ?? (this.#known.get(to) as string);
    post(to, { type: "known", birth, blank: isBlank, ...(isBlank ? {} : { readsMarks: true }) });
  }

  #decide(): void {
    if (this.#voting || this.#ended) return;
    const { founders: all, ids, voice } = this.#parts;
    const founding = all.filter((node) => node === ids.nodeId || this.#blank.has(node)).length * 2 > all.length;
    const others = this.#others();
    const answers = others.filter((node) => this.#answered.has(node)).length;
    if (!founding && answers * 2 <= others.length) return;
    this.#voting = true;
    if (this.#known.has(note)) this.#remember(note, "voice", () => {});
    this.#forgetNote();
    voice();
  }
}
