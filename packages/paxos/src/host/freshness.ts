import { PaxosError } from "../core/errors.js";

export interface FreshnessParts {
  readonly groupId: string;
  /** This node's monotonic clock. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly clockDriftMax: number;
  /** Somebody reads here: the leader is asked at most this often. */
  readonly askEveryMs: number;
  /** An answer that has not come after this long is not waited for any more. */
  readonly answerMs: number;
  /** How long a read waits that has no signal. */
  readonly patienceMs: number;
  readonly waitingMax: number;
  readonly appliedThrough: () => number;
  /** This replica leads and its lease runs: all that was acknowledged is applied here now. */
  readonly leads: () => boolean;
  /** Asks whoever leads, this replica itself included: `answered` is to be called with a slot that was known as chosen, by a leader that was one, at a moment after this call. */
  readonly ask: (question: number) => void;
  /** Returns how to stop it. */
  readonly timer: (delayMs: number, action: () => void) => () => void;
}

interface Waiter {
  /** What must be known: everything of before this moment of our clock is applied. */
  readonly sinceMs: number;
  /** Infinite for who waits as long as it takes. */
  readonly untilMs: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const questionsMax = 4;

/**
 * How old the state of a replica may be. A slot that a leader names is worth as much as the moment at which it was *asked for*: the answer may have been on its way for
 * long, but everything acknowledged before the question left is at or below it (the mirror image of a lease, which counts from when it was sent). Nothing is asked while nobody reads.
 */
export class Freshness {
  readonly #parts: FreshnessParts;
  /** When each question was asked that may still be answered, by our clock. A number of its own for each, in this life and all others. */
  protected readonly questions = new Map<number, number>();
  #next: number;
  #askedMs = Number.NEGATIVE_INFINITY;
  /** Everything acknowledged before this moment is applied here. */
  #knownMs = Number.NEGATIVE_INFINITY;
  /** Answered, and not applied yet: the oldest, which comes true first, and the newest. */
  #awaited: { askedMs: number; slot: number }[] = [];
  #waiters: Waiter[] = [];
  #cancelTimer: (() => void) | undefined;
  #ended = false;

  constructor(parts: FreshnessParts) {
    this.#parts = parts;
    this.#next = Math.floor(parts.random() * 2 ** 48);
  }

  /** The most by which the state may be behind what was acknowledged, in milliseconds of true time; infinite while nothing is known. */
  get ageMs(): number {
    const { now, leads, clockDriftMax } = this.#parts;
    const nowMs = now();
    if (leads()) this.#knownMs = nowMs;
    // Our clock may be slow: true time has gone on further than it says.
    return (nowMs - this.#knownMs) / (1 - clockDriftMax);
  }

  /** Somebody reads, and would like to know how old it is. */
  wanted(): void {
    const { now, askEveryMs, leads } = this.#parts;
    if (!leads() && now() - this.#askedMs >= askEveryMs) this.#ask();
  }

  /** Resolves when everything that was acknowledged `maxStaleMs` before this call is applied. With a signal: waits until it says otherwise. */
  async within(maxStaleMs: number, signal?: AbortSignal): Promise<void> {
    const { now, clockDriftMax, patienceMs, waitingMax, groupId } = this.#parts;
    if (this.ageMs <= maxStaleMs) return;
    const nowMs = now();
    const sinceMs = nowMs - maxStaleMs * (1 - clockDriftMax);
    if (this.#waiters.length >= waitingMax) {
      throw new PaxosError("ERR_PAXOS_OVERLOADED", `group ${groupId}: ${this.#waiters.length} reads wait already`);
    }
    const untilMs = signal === undefined ? nowMs + patienceMs : Number.POSITIVE_INFINITY;
    let abort = () => {};
    await new Promise<void>((resolve, reject) => {
      const waiter = { sinceMs, untilMs, resolve, reject };
      abort = () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiters.push(waiter);
      this.#look();
    }).finally(() => signal?.removeEventListener("abort", abort));
  }

  answered(question: number, slot: number): void {
    const askedMs = this.questions.get(question);
    if (askedMs === undefined) return;
    for (const older of this.questions.keys()) {
      this.questions.delete(older);
      if (older === question) break;
    }
    this.#awaited = [...this.#awaited.slice(0, 1), { askedMs, slot }];
    this.applied();
    this.#look();
  }

  /** More is applied. */
  applied(): void {
    let next = this.#awaited[0];
    if (next === undefined || next.slot > this.#parts.appliedThrough()) return;
    for (; next !== undefined && next.slot <= this.#parts.appliedThrough(); next = this.#awaited[0]) {
      this.#knownMs = Math.max(this.#knownMs, next.askedMs);
      this.#awaited.shift();
    }
    this.#look();
  }

  /** Who leads has changed: an answer of the one before may never come. */
  leaderChanged(): void {
    if (this.#waiters.length === 0) return;
    this.#ask();
  }

  end(error: PaxosError): void {
    this.#ended = true;
    this.#cancelTimer?.();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  #ask(): void {
    const { now, ask } = this.#parts;
    const question = this.#next++;
    this.#askedMs = now();
    this.questions.set(question, this.#askedMs);
    for (const oldest of this.questions.keys()) {
      if (this.questions.size <= questionsMax) break;
      this.questions.delete(oldest);
    }
    ask(question);
  }

  /** Answers whom it can, asks for the others, and looks again in a while. */
  #look(): void {
    if (this.#ended || this.#waiters.length === 0) return;
    const { now, leads, answerMs, groupId, timer } = this.#parts;
    const nowMs = now();
    if (leads()) this.#knownMs = nowMs;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (this.#knownMs >= waiter.sinceMs) waiter.resolve();
      else if (nowMs < waiter.untilMs) this.#waiters.push(waiter);
      else {
        const age = Number.isFinite(this.#knownMs) ? `${Math.ceil(this.ageMs)} ms old` : "of unknown age";
        const message = `group ${groupId}: the state here is ${age}, and nobody who leads has told of a newer one in time`;
        waiter.reject(new PaxosError("ERR_PAXOS_STALE", message));
      }
    }
    this.#cancelTimer?.();
    if (this.#waiters.length === 0) return;
    // One question at a time: who came after it shares the next. What is answered needs to be applied, not asked again.
    const underWay = this.questions.size > 0 && nowMs - this.#askedMs < answerMs;
    const answeredMs = Math.max(...this.#awaited.map(({ askedMs }) => askedMs));
    if (!underWay && this.#waiters.some(({ sinceMs }) => sinceMs > answeredMs)) this.#ask();
    const soonest = Math.min(...this.#waiters.map(({ untilMs }) => untilMs)) - nowMs;
    this.#cancelTimer = timer(Math.max(1, Math.min(answerMs, soonest)), () => this.#look());
  }
}
