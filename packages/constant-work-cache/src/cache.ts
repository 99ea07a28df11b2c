import { type Answered, inOrder, leftOut } from "./answer.js";
import { Call } from "./call.js";
import { Absent } from "./core/absent.js";
import { Entries } from "./core/entries.js";
import { CacheError, closedError } from "./errors.js";
import { missesRefused, publishSourceFailed, refreshesDropped, Spell } from "./events.js";
import { Miss } from "./miss.js";
import { type CacheOptions, checkOptions, type ResolvedOptions, reason, resolveOptions, show } from "./options.js";
import type { CacheStats } from "./stats.js";

/** One call of the source. The first `misses.length` keys are those of the misses, in their order; the rest are refreshes, each with its slot. */
interface Frame<K, V> {
  keys: readonly K[];
  misses: readonly Miss<K, V>[];
  readonly slots: readonly number[];
  readonly sequence: number;
  readonly epoch: number;
  readonly call: Call;
  timer: NodeJS.Timeout | undefined;
}

/**
 * A cache that does the same work on its worst day as on its best one. Each `get` and `peek`, hit or miss, sends one look-up to the source, so
 * the source always carries the load that it would carry with an empty cache, and a flush, a cold start or a changed key pattern is no event for
 * it. The lesson is DynamoDB's ("Lessons learned from 10 years of DynamoDB"): a cache that hides 99.75 % of the traffic turns its own loss into a
 * 400-fold surge. What the cache gives is latency and availability: a hit never waits for the source and never fails because it fails.
 *
 * There is no expiry, no refresh-ahead and no deduplication: each would make the source's load depend on what the cache holds.
 */
export class ConstantWorkCache<K, V> {
  readonly #options: ResolvedOptions<K, V>;
  readonly #entries: Entries<K, V>;
  /** Refreshes of this turn. Never more than could be sent if every call were free, so that one endless turn cannot fill memory. */
  readonly #refreshes: K[] = [];
  /** The slots of their entries; -1 for none. */
  readonly #refreshSlots: number[] = [];
  #refreshCount = 0;
  /** The count at which there is more to do than to note the key: the first one, a whole batch, and the bound. */
  #refreshMark = 0;
  readonly #refreshMax: number;
  /** With a window: a whole batch is there, so it goes at the end of the turn. */
  readonly #hurryAt: number;
  readonly #misses = new Set<Miss<K, V>>();
  /**
   * The oldest first. No `Set`: one that is filled and emptied all the time begins a table every few frames, each of which V8 links to the next one, with all that was in it; a single one among the old objects keeps
   * all that follow alive, until the whole heap is marked.
   */
  readonly #inFlight: Frame<K, V>[] = [];
  /** Misses of this turn; those that are left when it ends get a time limit. */
  #fresh: Miss<K, V>[] = [];
  /** Takes back the flush that is scheduled, if one is. */
  #unschedule: (() => void) | undefined;
  /** The last window: what is gathered waits for its end. */
  #window: NodeJS.Timeout | undefined;
  #sequence = 0;
  /** Counts `clear()`: an answer to a question from before it is delivered, but not kept. */
  #epoch = 0;
  #closed = false;

  /** Refreshes of earlier turns, sent or dropped. A hit is counted by its refresh alone: these, and those of this turn, less the misses among peeks. */
  #refreshesBefore = 0;
  #getMisses = 0;
  #peeks = 0;
  #peekMisses = 0;
  #lookups = 0;
  #refreshesDropped = 0;
  #missesDropped = 0;
  #framesFailed = 0;
  #framesTimedOut = 0;
  #unanswered = 0;
  #stale = 0;
  readonly #dropping = new Spell(refreshesDropped);
  readonly #refusing = new Spell(missesRefused);

  /** @throws CacheError `ERR_CACHE_ARGUMENT` for an option out of its range. */
  constructor(options: CacheOptions<K, V>) {
    this.#options = resolveOptions(options);
    this.#entries = new Entries(this.#options.entriesMax);
    this.#refreshMax = this.#options.batchMax * this.#options.inFlightMax;
    this.#hurryAt = this.#options.windowMs > 0 ? this.#options.batchMax : -1;
  }

  /**
   * The value of a key, `undefined` where the source said that there is none. A hit is returned as it is, without a promise; a miss is a promise
   * of what the source answers. Either way one look-up goes to the source, at the end of this turn.
   *
   * A rejected promise that nobody looks at is not an unhandled rejection: who does not await the answer does not want the error.
   *
   * @param options `signal` ends the wait of a miss, with its reason; a hit does not look at it.
   * @returns rejects with `ERR_CACHE_OVERLOADED`, `ERR_CACHE_TIMEOUT`, `ERR_CACHE_SOURCE`, `ERR_CACHE_UNANSWERED` for misses; `ERR_CACHE_CLOSED`.
   */
  get(key: K, options?: { readonly signal?: AbortSignal | undefined }): V | undefined | Promise<V | undefined> {
    const slot = this.#entries.slotOf(key);
    if (slot === undefined) return this.#miss(key, options && checkOptions("get", options, { signal: 0 }).signal);
    this.#refresh(key, slot);
    return this.#entries.serve(slot);
  }

  /**
   * The value of a key if it is held, without waiting; `undefined` otherwise, and for a negative entry. Sends one look-up like `get`, so a key
   * that was peeked at is soon known.
   * @throws CacheError `ERR_CACHE_CLOSED`
   */
  peek(key: K): V | undefined {
    if (this.#closed) throw closedError();
    this.#peeks++;
    const slot = this.#entries.slotOf(key);
    this.#refresh(key, slot ?? -1);
    if (slot !== undefined) return this.#entries.serve(slot);
    this.#peekMisses++;
    return undefined;
  }

  /**
   * Takes a value that came by another way, such as the redirect of a server that was asked by a stale route. Sends nothing.
   * @returns whether it was taken: not if a newer version is held, nor after `close()`.
   * @throws CacheError `ERR_CACHE_ARGUMENT` where `versionOf(value)` is not a finite number.
   */
  learn(key: K, value: V | Absent): boolean {
    if (this.#closed) return false;
    const version = this.#versionOf(value);
    if (!Number.isFinite(version)) {
      throw new CacheError("ERR_CACHE_ARGUMENT", `value must have a finite version, not ${show(version)}`);
    }
    const known = value instanceof Absent ? undefined : value;
    return this.#entries.put(key, known, version, this.#sequence, this.#coarseMs());
  }

  /**
   * Forgets every entry, and with them which versions were seen. Misses that wait are answered as if nothing had happened; answers to look-ups
   * sent before are not kept. The source's load does not change.
   */
  clear(): void {
    this.#epoch++;
    this.#entries.clear();
  }

  stats(): CacheStats {
    const refreshes = this.#refreshesBefore + this.#refreshCount;
    const asked = this.#refreshesBefore + this.#getMisses - this.#misses.size;
    return {
      gets: refreshes - this.#peeks + this.#getMisses,
      peeks: this.#peeks,
      hits: refreshes - this.#peekMisses,
      misses: this.#getMisses + this.#peekMisses,
      lookups: this.#lookups,
      frames: this.#sequence,
      amplification: asked === 0 ? 1 : this.#lookups / asked,
      refreshesDropped: this.#refreshesDropped,
      missesDropped: this.#missesDropped,
      framesFailed: this.#framesFailed,
      framesTimedOut: this.#framesTimedOut,
      unanswered: this.#unanswered,
      staleAnswers: this.#stale,
      entries: this.#entries.size,
      negativeEntries: this.#entries.negatives,
      evictions: this.#entries.evictions,
      inFlight: this.#inFlight.length,
      queued: this.#misses.size,
      servedAgeMs: this.#entries.servedAgeMs,
    };
  }

  /** Aborts the calls that run, rejects the misses that wait with `ERR_CACHE_CLOSED`, forgets everything. May be called again. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unschedule?.();
    this.#unschedule = undefined;
    const error = closedError();
    for (const frame of [...this.#inFlight]) {
      this.#finish(frame);
      frame.call.abort(error);
      for (const miss of frame.misses) miss.reject(error);
    }
    this.#missesDropped += this.#misses.size;
    for (const miss of this.#misses) miss.reject(error);
    this.#misses.clear();
    this.#fresh = [];
    this.#refreshesDropped += this.#refreshCount;
    this.#forgetRefreshes();
    this.#refreshes.length = 0;
    this.#refreshSlots.length = 0;
    this.#entries.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** All that a hit pays beside its look-up: one comparison and two writes into arrays. */
  #refresh(key: K, slot: number): void {
    const count = this.#refreshCount;
    if (count === this.#refreshMark && !this.#hasRoom(count)) return;
    this.#refreshes[count] = key;
    this.#refreshSlots[count] = slot;
    this.#refreshCount = count + 1;
  }

  /** A refresh that is the first, fills a batch, or finds the bound reached: then it is dropped. */
  #hasRoom(count: number): boolean {
    if (count === this.#refreshMax) {
      this.#refreshesBefore++;
      this.#refreshesDropped++;
      this.#dropping.goesOn();
      return false;
    }
    if (this.#unschedule === undefined) this.#schedule();
    if (count + 1 === this.#hurryAt) this.#hurry();
    this.#refreshMark = count + 1 < this.#hurryAt ? this.#hurryAt - 1 : this.#refreshMax;
    return true;
  }

  #forgetRefreshes(): void {
    this.#refreshesBefore += this.#refreshCount;
    this.#refreshCount = 0;
    this.#refreshMark = 0;
  }

  #miss(key: K, signal: AbortSignal | undefined): Promise<V | undefined> {
    if (this.#closed) return quietly(Promise.reject(closedError()));
    if (signal?.aborted === true) return quietly(Promise.reject(signal.reason));
    this.#getMisses++;
    const { queueMax, batchMax, inFlightMax } = this.#options;
    if (this.#misses.size >= queueMax + batchMax * (inFlightMax - this.#inFlight.length)) {
      this.#missesDropped++;
      this.#refusing.goesOn();
      const error = new CacheError(
        "ERR_CACHE_OVERLOADED",
        `${this.#misses.size} misses wait for the source already; try later`,
      );
      return quietly(Promise.reject(error));
    }
    const miss = new Miss<K, V>(key, signal, (gaveUp) => {
      if (this.#misses.delete(gaveUp)) this.#missesDropped++;
    });
    this.#misses.add(miss);
    this.#fresh.push(miss);
    if (this.#unschedule === undefined) this.#schedule();
    else if (this.#misses.size === this.#hurryAt) this.#hurry();
    else this.#window?.ref();
    return quietly(miss.promise);
  }

  #schedule(): void {
    this.#entries.beginTurn(this.#coarseMs());
    const { windowMs } = this.#options;
    if (windowMs === 0) {
      this.#hurry();
      return;
    }
    const timer = setTimeout(this.#flush, windowMs);
    // A refresh that gathers keeps no process alive; who waits for a miss does.
    if (this.#misses.size === 0) timer.unref();
    this.#window = timer;
    this.#unschedule = () => clearTimeout(timer);
  }

  #hurry(): void {
    this.#unschedule?.();
    const immediate = setImmediate(this.#flush);
    this.#unschedule = () => clearImmediate(immediate);
  }

  /** The end of a turn: misses first, then refreshes, as far as calls are free. Refreshes never wait, or an outage would end in a burst of them. */
  readonly #flush = (): void => {
    this.#unschedule = undefined;
    const { batchMax, inFlightMax, timeoutMs } = this.#options;
    let sent = 0;
    while (this.#inFlight.length < inFlightMax && (this.#misses.size > 0 || sent < this.#refreshCount)) {
      const misses: Miss<K, V>[] = [];
      for (const miss of this.#misses) {
        if (misses.length === batchMax) break;
        this.#misses.delete(miss);
        miss.sent();
        misses.push(miss);
      }
      const through = Math.min(this.#refreshCount, sent + batchMax - misses.length);
      const refreshes = this.#refreshes.slice(sent, through);
      const slots = this.#refreshSlots.slice(sent, through);
      sent = through;
      // Each miss is answered by its place among the keys, so the source must not move them.
      const keys = misses.length === 0 ? refreshes : Object.freeze([...misses.map((miss) => miss.key), ...refreshes]);
      this.#send(keys, misses, slots);
    }
    if (sent < this.#refreshCount) {
      this.#refreshesDropped += this.#refreshCount - sent;
      this.#dropping.goesOn();
    }
    this.#forgetRefreshes();
    this.#dropping.turnEnds();
    this.#refusing.turnEnds();
    for (const miss of this.#fresh) if (this.#misses.has(miss)) miss.waitAtMost(timeoutMs);
    this.#fresh = [];
  };

  #send(keys: readonly K[], misses: readonly Miss<K, V>[], slots: readonly number[]): void {
    const frame: Frame<K, V> = {
      keys,
      misses,
      slots,
      sequence: ++this.#sequence,
      epoch: this.#epoch,
      call: new Call(),
      timer: undefined,
    };
    this.#lookups += keys.length;
    this.#inFlight.push(frame);
    // After a stall of the event loop this timer is due before the answers that already lie in the sockets are read: give them one turn.
    frame.timer = setTimeout(() => setImmediate(() => this.#timedOut(frame)), this.#options.timeoutMs).unref();
    void this.#ask(frame);
  }

  async #ask(frame: Frame<K, V>): Promise<void> {
    const { keys, call } = frame;
    let answers: readonly Answered<V>[];
    try {
      answers = inOrder(await this.#options.source.fetchMany(keys, call), keys);
    } catch (cause) {
      this.#failed(frame, new CacheError("ERR_CACHE_SOURCE", `the source failed: ${reason(cause)}`, { cause }));
      return;
    }
    this.#answered(frame, answers);
  }

  #timedOut(frame: Frame<K, V>): void {
    if (!this.#inFlight.includes(frame)) return;
    this.#framesTimedOut++;
    const error = new CacheError("ERR_CACHE_TIMEOUT", `the source did not answer in ${this.#options.timeoutMs} ms`);
    this.#failed(frame, error);
    frame.call.abort(error);
  }

  #failed(frame: Frame<K, V>, error: CacheError): void {
    if (!this.#finish(frame)) return;
    this.#framesFailed++;
    // Another look-up may have been answered meanwhile: then this is a hit, and hits do not fail.
    for (const miss of frame.misses) this.#settle(miss, error);
    publishSourceFailed(error, frame.keys.length);
    frame.keys = [];
    frame.misses = [];
  }

  #answered(frame: Frame<K, V>, answers: readonly Answered<V>[]): void {
    if (!this.#finish(frame)) return;
    const nowMs = this.#coarseMs();
    const { keys, misses, slots } = frame;
    for (let i = 0; i < keys.length; i++) {
      const value = answers[i];
      const hint = i < misses.length ? -1 : (slots[i - misses.length] as number);
      const error = this.#take(frame, keys[i] as K, value, nowMs, hint);
      if (i < misses.length) this.#settle(misses[i] as Miss<K, V>, error, value);
      if (error !== undefined) this.#unanswered++;
    }
  }

  /** Puts one key's answer into the table; returns what is wrong with it, if anything is. */
  #take(frame: Frame<K, V>, key: K, value: Answered<V>, nowMs: number, hint: number): CacheError | undefined {
    if (value === leftOut) return new CacheError("ERR_CACHE_UNANSWERED", "the source's answer left this key out");
    let version: number | undefined;
    if (value !== undefined) {
      try {
        version = this.#versionOf(value);
      } catch (cause) {
        return new CacheError("ERR_CACHE_SOURCE", `versionOf failed: ${reason(cause)}`, { cause });
      }
      if (!Number.isFinite(version)) {
        return new CacheError(
          "ERR_CACHE_SOURCE",
          `the source's answer has the version ${show(version)}, which is not a finite number`,
        );
      }
    }
    if (frame.epoch !== this.#epoch) return undefined;
    const known = value instanceof Absent ? undefined : value;
    if (!this.#entries.put(key, known, version, frame.sequence, nowMs, hint)) this.#stale++;
    return undefined;
  }

  /** A miss gets the newest that is known, then what was answered for it, then the error. */
  #settle(miss: Miss<K, V>, error: CacheError | undefined, value?: Answered<V>): void {
    const slot = this.#entries.slotOf(miss.key);
    if (slot !== undefined) miss.resolve(this.#entries.valueAt(slot));
    else if (error !== undefined) miss.reject(error);
    else miss.resolve(value instanceof Absent ? undefined : (value as V | undefined));
  }

  /** Frees the call's place; false if it was freed before (timed out, closed), and its answer comes too late to count. */
  #finish(frame: Frame<K, V>): boolean {
    const at = this.#inFlight.indexOf(frame);
    if (at < 0) return false;
    this.#inFlight.splice(at, 1);
    clearTimeout(frame.timer);
    if (this.#misses.size > 0 && this.#unschedule === undefined && !this.#closed) this.#schedule();
    return true;
  }

  #versionOf(value: V | Absent): number {
    return value instanceof Absent ? value.version : this.#options.versionOf(value);
  }

  #coarseMs(): number {
    return Math.floor(this.#options.now()) >>> 0;
  }
}

function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
