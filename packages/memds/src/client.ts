import type { Target } from "./client-connection.js";
import { MemdsError } from "./core/errors.js";
import { type Answer, checkQueries, type Query } from "./core/messages.js";
import { type Answers, Floors, Found, type FoundPlace, Queries, type Questions } from "./core/questions.js";
import { checkedSecret } from "./handshake.js";
import { checkedServers, type MemdsMember, sameServer, targetOf } from "./members.js";
import { frameBytesDefault, integer } from "./options.js";

export interface MemdsClientOptions {
  /** At least one. */
  readonly servers: readonly MemdsMember[];
  /** How long one `lookup` may take, all servers together. Default 1,000. */
  readonly timeoutMs?: number;
  /**
   * A look-up that has no answer after so long is asked of one more server too, and the first answer counts. At most one look-up in twenty, so
   * that a fleet that is slow as a whole is not asked for twice the work. Default 20.
   */
  readonly hedgeAfterMs?: number;
  /** How long a server that failed is asked only after all others. Default 1,000. */
  readonly retryAfterMs?: number;
  /** Requests to one server that may wait for an answer; past it another server is asked, then `ERR_MEMDS_OVERLOADED`. Default 1,024. */
  readonly outstandingMax?: number;
  /** The largest frame sent or taken; as the servers have it. Default 8 MiB. */
  readonly frameBytesMax?: number;
  /** As the servers have it. */
  readonly secret?: string;
  /** Milliseconds on a clock that does not go back. Default `performance.now`. */
  readonly now?: () => number;
}

export interface MemdsClientStats {
  /** The highest version seen; no answer is ever below it. -1 before the first. */
  readonly version: number;
  readonly lookups: number;
  readonly queries: number;
  /** Look-ups that failed. */
  readonly failed: number;
  /** Requests sent to a server. */
  readonly asked: number;
  /** Look-ups that were asked of a second server because the first one was slow. */
  readonly hedged: number;
  /** Requests that another server had to answer, by why. */
  readonly passedOver: {
    readonly unavailable: number;
    readonly timedOut: number;
    readonly notReady: number;
    readonly stale: number;
  };
}

interface Member {
  readonly server: MemdsMember;
  readonly target: Target;
  /** Undefined for a server that answered last time. */
  failedUntilMs: number | undefined;
}

interface Outcome<A> {
  readonly attempt: Attempt<A>;
  readonly answers?: Answers<A>;
  readonly error?: unknown;
}

/** A server that is being asked. `outcome` never rejects. */
interface Attempt<A> {
  readonly member: Member;
  readonly outcome: Promise<Outcome<A>>;
  /** Whether it ends by itself when its server has used up its share of the time. */
  readonly isLimited: boolean;
  /** Nobody needs it any more; this says nothing about the server. */
  end(): void;
}

const found = (place: FoundPlace) => new Found(place);

/** What each look-up adds to the right to hedge, and how much of it is kept. */
const hedgeShare = 1 / 20;
const hedgesKeptMax = 10;

/**
 * Asks a fleet of servers as if it were one that is always there: takes them in turn, passes over one that is dead, not ready, behind or silent,
 * and comes back to it later. What it answers never goes back in version (the session guarantee "monotonic reads").
 */
export class MemdsClient {
  readonly #connectTo: (server: MemdsMember) => Target;
  #members: readonly Member[];
  readonly #timeoutMs: number;
  readonly #hedgeAfterMs: number;
  readonly #retryAfterMs: number;
  readonly #now: () => number;
  readonly #waiting = new Set<AbortController>();
  #closed = false;
  #turn = 0;
  #version = -1;
  #lookups = 0;
  #queries = 0;
  #failed = 0;
  #asked = 0;
  #hedged = 0;
  #hedgesLeft = hedgesKeptMax;
  readonly #passedOver = { unavailable: 0, timedOut: 0, notReady: 0, stale: 0 };

  /** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
  constructor(options: MemdsClientOptions) {
    const servers = checkedServers(options?.servers);
    const frameBytesMax = integer("frameBytesMax", options.frameBytesMax ?? frameBytesDefault, 131_072, 2 ** 30);
    const outstandingMax = integer("outstandingMax", options.outstandingMax ?? 1024, 1, 1_000_000);
    const secret = checkedSecret(options.secret);
    this.#timeoutMs = integer("timeoutMs", options.timeoutMs ?? 1000, 1, 2 ** 31 - 1);
    this.#hedgeAfterMs = integer("hedgeAfterMs", options.hedgeAfterMs ?? 20, 1, 2 ** 31 - 1);
    this.#retryAfterMs = integer("retryAfterMs", options.retryAfterMs ?? 1000, 0, 2 ** 31 - 1);
    this.#now = options.now ?? (() => performance.now());
    this.#connectTo = (server) => targetOf(server, { frameBytesMax, outstandingMax, secret });
    this.#members = servers.map((server) => this.#member(server));
  }

  /**
   * The fleet has changed: a member was replaced, or listens elsewhere since it was started again. Connections to members that stay are kept;
   * a look-up under way at one that goes is asked elsewhere.
   * @throws MemdsError `ERR_MEMDS_ARGUMENT`, `ERR_MEMDS_CLOSED`
   */
  setServers(servers: readonly MemdsMember[]): void {
    this.#checkOpen();
    const kept = new Set<Member>();
    const former = this.#members;
    this.#members = checkedServers(servers).map((server) => {
      const known = former.find((member) => !kept.has(member) && sameServer(member.server, server));
      const member = known ?? this.#member(server);
      kept.add(member);
      return member;
    });
    for (const member of former) if (!kept.has(member)) member.target.close();
  }

  /**
   * Answers to all queries, in their order, from one version unless they had to be split for size.
   * @param options `signal` ends the wait with its reason.
   * @throws MemdsError `ERR_MEMDS_ARGUMENT`, `ERR_MEMDS_CLOSED`; `ERR_MEMDS_UNAVAILABLE` when no server answered (`cause` holds each one's error),
   *   `ERR_MEMDS_STALE` when those that did are older than what this client has seen, `ERR_MEMDS_TIMEOUT`, `ERR_MEMDS_OVERLOADED`.
   */
  async lookup(queries: readonly Query[], options: { readonly signal?: AbortSignal } = {}): Promise<Answer[]> {
    checkQueries(queries);
    return this.#askAll(new Queries(queries), options);
  }

  /**
   * The ranges that keys fall into: for each, in their order, the entry with the highest key that is not above its UTF-8 bytes. This is what a
   * `ConstantWorkCache` wants of its source, so a client is one as it is: `{ source: client, versionOf: (found) => found.version }`.
   * @param options `signal` ends the wait with its reason.
   * @throws MemdsError as `lookup`.
   */
  async fetchMany(keys: readonly string[], options: { readonly signal?: AbortSignal } = {}): Promise<Found[]> {
    return this.#askAll(new Floors(keys, found), options);
  }

  /**
   * A source for a `ConstantWorkCache` that keeps what `make` makes of each answer, such as a route with its version, instead of the answer's bytes.
   * @param make is called for each answer with the same object, whose bytes are used again: it copies what it keeps. What it throws fails the call.
   */
  sourceOf<V>(make: (found: FoundPlace) => V): {
    fetchMany(keys: readonly string[], options?: { readonly signal?: AbortSignal }): Promise<V[]>;
  } {
    return { fetchMany: async (keys, options = {}) => this.#askAll(new Floors(keys, make), options) };
  }

  async #askAll<A>(questions: Questions<A>, options: { readonly signal?: AbortSignal }): Promise<A[]> {
    options.signal?.throwIfAborted();
    this.#checkOpen();
    this.#lookups++;
    this.#queries += questions.count;
    this.#hedgesLeft = Math.min(hedgesKeptMax, this.#hedgesLeft + hedgeShare);
    const ended = new AbortController();
    const end = (reason: unknown) => ended.abort(reason);
    const byCaller = () => end(options.signal?.reason);
    const deadlineMs = this.#now() + this.#timeoutMs;
    const timer = setTimeout(() => {
      // After a stall of the event loop the answer may lie in the socket already: give it one turn.
      setImmediate(() => end(new MemdsError("ERR_MEMDS_TIMEOUT", `no server answered in ${this.#timeoutMs} ms`)));
    }, this.#timeoutMs).unref();
    options.signal?.addEventListener("abort", byCaller, { once: true });
    this.#waiting.add(ended);
    try {
      return (await this.#askInTurn(questions, ended.signal, deadlineMs)).all;
    } catch (error) {
      this.#failed++;
      throw error;
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", byCaller);
      this.#waiting.delete(ended);
    }
  }

  stats(): MemdsClientStats {
    return {
      version: this.#version,
      lookups: this.#lookups,
      queries: this.#queries,
      failed: this.#failed,
      asked: this.#asked,
      hedged: this.#hedged,
      passedOver: { ...this.#passedOver },
    };
  }

  /** Ends what waits with `ERR_MEMDS_CLOSED` and closes the connections; servers given as objects are not closed. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const ended of this.#waiting) ended.abort(closedError());
    for (const { target } of this.#members) target.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #member(server: MemdsMember): Member {
    return { server, target: this.#connectTo(server), failedUntilMs: undefined };
  }

  async #askInTurn<A>(questions: Questions<A>, signal: AbortSignal, deadlineMs: number): Promise<Answers<A>> {
    const errors: MemdsError[] = [];
    const tried = new Set<Member>();
    const running = new Set<Attempt<A>>();
    let fleet = this.#members;
    let left = this.#inOrder();
    let isSlow = false;
    for (;;) {
      if (fleet !== this.#members) {
        fleet = this.#members;
        left = this.#inOrder().filter((member) => !tried.has(member));
      }
      signal.throwIfAborted();
      const member = running.size === 0 || isSlow ? left.shift() : undefined;
      if (member !== undefined) {
        tried.add(member);
        // A silent server may not use up the time in which another one could answer.
        const shareMs = left.length === 0 ? undefined : (deadlineMs - this.#now()) / (left.length + 1);
        running.add(this.#ask(member, questions, signal, shareMs));
      } else if (running.size === 0) break;
      const outcome: Outcome<A> | undefined = await this.#firstOf(running, left.length > 0 && !isSlow);
      isSlow = outcome === undefined;
      if (outcome === undefined) continue;
      const { attempt, answers, error } = outcome;
      running.delete(attempt);
      if (answers !== undefined) {
        const version = answers.version ?? this.#version;
        if (version < this.#version) {
          this.#passedOver.stale++;
          const message = `${attempt.member.target.name} is at version ${version}, and version ${this.#version} was seen`;
          errors.push(new MemdsError("ERR_MEMDS_STALE", message));
          continue;
        }
        this.#version = version;
        attempt.member.failedUntilMs = undefined;
        this.#leave(running);
        return answers;
      }
      signal.throwIfAborted();
      if (!(error instanceof MemdsError)) throw error;
      if (error.code === "ERR_MEMDS_TOO_LARGE" && questions.count > 1) {
        this.#leave(running);
        const half = questions.count >>> 1;
        const first = await this.#askInTurn(questions.slice(0, half), signal, deadlineMs);
        const rest = await this.#askInTurn(questions.slice(half, questions.count), signal, deadlineMs);
        return { version: rest.version, all: [...first.all, ...rest.all] };
      }
      errors.push(error);
      this.#failedWith(attempt.member, error);
    }
    for (const code of ["ERR_MEMDS_STALE", "ERR_MEMDS_OVERLOADED"] as const) {
      const told = errors.find((error) => error.code === code);
      if (told !== undefined) throw new MemdsError(code, told.message, { cause: new AggregateError(errors) });
    }
    const message = `no server could answer: ${errors.map((error) => error.message).join("; ")}`;
    throw new MemdsError("ERR_MEMDS_UNAVAILABLE", message, { cause: new AggregateError(errors) });
  }

  #ask<A>(member: Member, questions: Questions<A>, signal: AbortSignal, shareMs: number | undefined): Attempt<A> {
    this.#asked++;
    const ended = new AbortController();
    const end = () => ended.abort(signal.reason);
    signal.addEventListener("abort", end, { once: true });
    const timer =
      shareMs === undefined
        ? undefined
        : setTimeout(
            () => {
              const message = `${member.target.name} did not answer in ${Math.round(shareMs)} ms`;
              setImmediate(() => ended.abort(new MemdsError("ERR_MEMDS_TIMEOUT", message)));
            },
            Math.max(0, shareMs),
          ).unref();
    const release = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
    };
    const attempt: Attempt<A> = {
      member,
      outcome: member.target.ask(questions, ended.signal).then(
        (answers) => {
          release();
          return { attempt, answers };
        },
        (error: unknown) => {
          release();
          return { attempt, error };
        },
      ),
      isLimited: shareMs !== undefined,
      end: () => ended.abort(),
    };
    return attempt;
  }

  /** The first outcome; undefined if it is time to ask another server too. */
  async #firstOf<A>(running: ReadonlySet<Attempt<A>>, mayHedge: boolean): Promise<Outcome<A> | undefined> {
    const outcomes = Array.from(running, ({ outcome }) => outcome);
    if (!mayHedge) return Promise.race(outcomes);
    let isOver = false;
    let timer: NodeJS.Timeout | undefined;
    const slow = new Promise<undefined>((resolve) => {
      const hedge = () => {
        if (isOver || this.#hedgesLeft < 1) return;
        this.#hedgesLeft--;
        this.#hedged++;
        resolve(undefined);
      };
      // After a stall of the event loop the answer may lie in the socket already: give it one turn.
      timer = setTimeout(() => setImmediate(hedge), this.#hedgeAfterMs).unref();
    });
    try {
      return await Promise.race([...outcomes, slow]);
    } finally {
      isOver = true;
      clearTimeout(timer);
    }
  }

  /** What lost against a faster server: one with a share of the time left may use it, so that a silent server is found out; the last one is ended. */
  #leave(running: ReadonlySet<Attempt<unknown>>): void {
    for (const { member, outcome, isLimited, end } of running) {
      void outcome.then(({ error }) => {
        if (error instanceof MemdsError) this.#failedWith(member, error);
      });
      if (!isLimited) end();
    }
  }

  #failedWith(member: Member, error: MemdsError): void {
    if (error.code === "ERR_MEMDS_OVERLOADED" || error.code === "ERR_MEMDS_TOO_LARGE") return;
    member.failedUntilMs = this.#now() + this.#retryAfterMs;
    if (error.code === "ERR_MEMDS_TIMEOUT") this.#passedOver.timedOut++;
    else if (error.code === "ERR_MEMDS_NOT_READY") this.#passedOver.notReady++;
    else this.#passedOver.unavailable++;
  }

  /** Each look-up begins with the next server; those that failed lately come last. */
  #inOrder(): Member[] {
    const count = this.#members.length;
    const start = this.#turn++ % count;
    const nowMs = this.#now();
    const healthy: Member[] = [];
    const failed: Member[] = [];
    for (let i = 0; i < count; i++) {
      const member = this.#members[(start + i) % count]!;
      if (member.failedUntilMs === undefined) healthy.push(member);
      else if (member.failedUntilMs > nowMs) failed.push(member);
      else {
        // One look-up tries it again; the others keep to the rest until that one has its answer.
        member.failedUntilMs = nowMs + this.#retryAfterMs;
        healthy.push(member);
      }
    }
    return [...healthy, ...failed];
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError();
  }
}

function closedError(): MemdsError {
  return new MemdsError("ERR_MEMDS_CLOSED", "the client is closed");
}
