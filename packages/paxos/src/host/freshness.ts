import { PaxosError } from "../core/errors.js";

export interface FreshnessParts {
  /** Of one that goes on where it was. */
  readonly knownMs?: number | undefined;
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
  readonly done: (error?: PaxosError) => void;
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

  constructor(parts: FreshnessParts) {
    this.#parts = parts;
    this.#knownMs = parts.knownMs ?? Number.NEGATIVE_INFINITY;
    this.#next = Math.floor(parts.random() * 2 ** 48);
  }

  protected get nowMs(): number {
    return this.#parts.now();
  }

  /** Before which moment everything is applied; undefined while somebody waits, or an answer may come. */
  get memory(): number | undefined {
    const { now } = this.#parts;
    return this.#waiters.length > 0 || this.#awaited.length > 0 || this.#asking(now()) ? undefined : this.#knownMs;
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

  /**
   * Calls `done`, now or later, at a moment when everything that was acknowledged `maxStaleMs` before this call is applied; with an error when that was not to be known in time. `patient`: it
   * is given all the time that it takes. Returns how to give it up.
   */
  when(maxStaleMs: number, patient: boolean, done: (error?: PaxosError) => void): () => void {
    const { now, clockDriftMax, patienceMs, waitingMax, groupId } = this.#parts;
    const nothing = () => {};
    if (this.ageMs <= maxStaleMs) {
      done();
      return nothing;
    }
    if (this.#waiters.length >= waitingMax) {
      done(new PaxosError("ERR_PAXOS_OVERLOADED", `group ${groupId}: ${this.#waiters.length} reads wait already`));
      return nothing;
    }
    const nowMs = now();
    const untilMs = patient ? Number.POSITIVE_INFINITY : nowMs + patienceMs;
    const waiter = { sinceMs: nowMs - maxStaleMs * (1 - clockDriftMax), untilMs, done };
    this.#waiters.push(waiter);
    // While a question is under way the answer looks after all who have come meanwhile.
    if (this.#waiters.length === 1 || !this.#asking(nowMs)) this.#look();
    return () => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    };
  }

  answered(question: number, slot: number): void {
    const askedMs = this.questions.get(question);
    if (askedMs === undefined) return;
    for (const older of this.questions.keys()) {
      this.questions.delete(older);
      if (older === question) break;
    }
    this.#awaited = [...this.#awaited.slice(0, 1), { askedMs, slot }];
    this.#look();
  }

  /** More is applied. */
  applied(): void {
    if (this.#promote()) this.#look();
  }

  /** Who leads has changed: an answer of the one before may never come. */
  leaderChanged(): void {
    if (this.#waiters.length === 0) return;
    this.#ask();
  }

  end(error: PaxosError): void {
    this.#cancelTimer?.();
    for (const waiter of this.#waiters.splice(0)) waiter.done(error);
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

  #asking(nowMs: number): boolean {
    return this.questions.size > 0 && nowMs - this.#askedMs < this.#parts.answerMs;
  }

  /** Whether anything that was answered has come true. */
  #promote(): boolean {
    const applied = this.#awaited.length === 0 ? 0 : this.#parts.appliedThrough();
    let newer = false;
    for (let next = this.#awaited[0]; next !== undefined && next.slot <= applied; next = this.#awaited[0]) {
      this.#knownMs = Math.max(this.#knownMs, next.askedMs);
      this.#awaited.shift();
      newer = true;
    }
    return newer;
  }

  /** Answers whom it can, asks for the others, and looks again in a while. */
  #look(): void {
    this.#promote();
    if (this.#waiters.length === 0) return;
    const { now, leads, answerMs, timer } = this.#parts;
    const nowMs = now();
    if (leads()) this.#knownMs = nowMs;
    const ready = this.#waiters.filter(({ sinceMs }) => this.#knownMs >= sinceMs);
    const late = this.#waiters.filter(({ sinceMs, untilMs }) => this.#knownMs < sinceMs && nowMs >= untilMs);
    this.#waiters = this.#waiters.filter(({ sinceMs, untilMs }) => this.#knownMs < sinceMs && nowMs < untilMs);
    this.#cancelTimer?.();
    if (this.#waiters.length > 0) {
      // One question at a time: who came after it shares the next. What is answered needs to be applied, not asked again.
      const answeredMs = Math.max(...this.#awaited.map(({ askedMs }) => askedMs));
      if (!this.#asking(nowMs) && this.#waiters.some(({ sinceMs }) => sinceMs > answeredMs)) this.#ask();
      const soonest = this.#waiters.reduce((least, { untilMs }) => Math.min(least, untilMs), Number.POSITIVE_INFINITY);
      this.#cancelTimer = timer(Math.min(answerMs, soonest - nowMs), () => this.#look());
    }
    // Last, since any of them may read again, or end it all.
    for (const { done } of ready) done();
    for (const { done } of late) done(this.#stale());
  }

  #stale(): PaxosError {
    const age = Number.isFinite(this.#knownMs) ? `${Math.ceil(this.ageMs)} ms old` : "of unknown age";
    const what = `the state here is ${age}, and nobody who leads has told of a newer one in time`;
    return new PaxosError("ERR_PAXOS_STALE", `group ${this.#parts.groupId}: ${what}`);
  }
}
