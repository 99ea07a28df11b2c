import { PaxosError } from "../core/errors.js";
import type { HostMessage } from "./host-messages.js";

/**
 * How often who has not answered is asked again: at first, at longest while this replica waits for it, and at longest when it does not. Who was not there when he was asked asks himself when he is, and
 * is asked then; so at first this is for messages that were lost, and where hundreds of groups begin at once it is longer than answers take.
 */
const askMs = 400;
const askWaitingMaxMs = 1600;
const askMaxMs = 60_000;

export interface BirthParts {
  readonly ids: { readonly nodeId: string; readonly groupId: string };
  readonly births: ReadonlyMap<string, string>;
  /** Everybody had answered already when this replica was packed: nobody need be asked again in this life. */
  readonly done?: boolean;
  /** Whether this log has never held a promise, until now. */
  readonly blank: () => boolean;
  /** Calls `done` when it is durable, or with what went wrong. */
  readonly remember: (nodeId: string, birth: string, done: (error?: unknown) => void) => void;
  readonly members: () => readonly string[];
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
  #askAtMs = Number.NEGATIVE_INFINITY;
  #pauseMs = askMs;
  #ended = false;

  constructor(parts: BirthParts) {
    this.#parts = parts;
    this.#known = new Map(parts.births);
    this.#voting = !parts.blank();
    if (parts.done === true) this.#askAtMs = Number.POSITIVE_INFINITY;
    this.#begin();
  }

  get voting(): boolean {
    return this.#voting;
  }

  /** What the logs of the nodes are known by; undefined while there is something to be asked or written down. */
  get memory(): ReadonlyMap<string, string> | undefined {
    const done = this.#voting && this.#own !== undefined && this.#askAtMs === Number.POSITIVE_INFINITY;
    return done && !this.#ended && this.#writing.size === 0 ? this.#known : undefined;
  }

  /** No tick is needed before this time. */
  get wakeAtMs(): number {
    return this.#ended ? Number.POSITIVE_INFINITY : this.#askAtMs;
  }

  /** Asks those who have not answered in this life. Nothing is left to do once all have. */
  tick(nowMs: number): void {
    if (this.#ended || this.#own === undefined || nowMs < this.#askAtMs) return;
    const { post } = this.#parts;
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
    if (this.#known.has(from)) {
      if (!this.#writing.has(from)) this.#answer(from);
      return;
    }
    this.#writing.add(from);
    this.#remember(from, birth, () => {
      this.#writing.delete(from);
      this.#answer(from);
    });
  }

  onKnown(from: string, birth: string, blank: boolean): void {
    if (this.#ended || this.#own === undefined) return;
    const { ids, fail } = this.#parts;
    if (birth !== this.#own) {
      this.#ended = true;
      const what = `${from} remembers another log of ${ids.nodeId}: this disk is not the one under which it voted`;
      fail(new PaxosError("ERR_PAXOS_AMNESIA", `group ${ids.groupId}: ${what}; it must join under a new name`));
      return;
    }
    this.#answered.add(from);
    if (blank) this.#blank.add(from);
    this.#decide();
  }

  close(): void {
    this.#ended = true;
  }

  #others(): readonly string[] {
    return this.#parts.members().filter((node) => node !== this.#parts.ids.nodeId);
  }

  #begin(): void {
    const { ids, mark } = this.#parts;
    const known = this.#known.get(ids.nodeId);
    const born = (own: string) => {
      this.#own = own;
      this.#decide();
    };
    if (known !== undefined) {
      born(known);
      return;
    }
    const own = mark();
    this.#remember(ids.nodeId, own, () => born(own));
  }

  #remember(nodeId: string, birth: string, then: () => void): void {
    this.#known.set(nodeId, birth);
    this.#parts.remember(nodeId, birth, (error) => {
      if (this.#ended) return;
      if (error === undefined) then();
      else this.#parts.fail(error);
    });
  }

  #answer(to: string): void {
    this.#parts.post(to, { type: "known", birth: this.#known.get(to) as string, blank: this.#parts.blank() });
  }

  #decide(): void {
    if (this.#voting) return;
    const { members, ids, voice } = this.#parts;
    const all = members();
    const founding = all.filter((node) => node === ids.nodeId || this.#blank.has(node)).length * 2 > all.length;
    const others = this.#others();
    const answers = others.filter((node) => this.#answered.has(node)).length;
    if (!founding && answers * 2 <= others.length) return;
    this.#voting = true;
    voice();
  }
}
