import type { Target } from "./client-connection.js";
import { clientNames, type MemdsClientOptions, type MemdsClientStats } from "./client-options.js";
import { bad, MemdsError } from "./core/errors.js";
import { type Answer, checkQueries, type Query } from "./core/messages.js";
import { type Answers, Floors, Found, type FoundPlace, Queries, type Questions } from "./core/questions.js";
import { Ending } from "./ending.js";
import { checkedSecret } from "./handshake.js";
import { checkedServers, type MemdsMember, sameServer, targetOf } from "./members.js";
import { checkOptions, frameBytesDefault, integer } from "./options.js";

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
  end(reason?: unknown): void;
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
  /**
   * No `Set`: one that is filled and emptied all the time begins a table every few look-ups, each of which V8 links to the next one, with all that was in it; a single one among the old objects keeps all that follow
   * alive, until the whole heap is marked.
   */
  readonly #waiting: Ending[] = [];
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
    options = checkOptions("MemdsClient", options, clientNames);
    const servers = checkedServers(options.servers);
    const frameBytesMax = integer("frameBytesMax", options.frameBytesMax ?? frameBytesDefault, 131_072, 2 ** 30);
    const outstandingMax = integer("outstandingMax", options.outstandingMax ?? 1024, 1, 1_000_000);
    const secret = checkedSecret(options.secret);
    this.#timeoutMs = integer("timeoutMs", options.timeoutMs ?? 1000, 1, 2 ** 31 - 1);
    this.#hedgeAfterMs = integer("hedgeAfterMs", options.hedgeAfterMs ?? 20, 1, 2 ** 31 - 1);
    this.#retryAfterMs = integer("retryAfterMs", options.retryAfterMs ?? 1000, 0, 2 ** 31 - 1);
    this.#now = options.now ?? (() => performance.now());
    if (typeof this.#now !== "function") throw bad("now", "a function", this.#now);
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
  async lookup(
    queries: readonly Query[],
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Answer[]> {
    checkQueries(queries);
    return this.#askAll(new Queries(queries), checkOptions("lookup", options, { signal: 0 }));
  }

  /**
   * The ranges that keys fall into: for each, in their order, the entry with the highest key that is not above its UTF-8 bytes. This is what a
   * `ConstantWorkCache` wants of its source, so a client is one as it is: `{ source: client, versionOf: (found) => found.version }`.
   * @param options `signal` ends the wait with its reason.
   * @throws MemdsError as `lookup`.
   */
  async fetchMany(
    keys: readonly string[],
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Found[]> {
    return this.#askAll(new Floors(keys, found), options);
  }

  /**
   * A source for a `ConstantWorkCache` that keeps what `make` makes of each answer, such as a route with its version, instead of the answer's bytes.
   * The signal is looked at once an answer is late (`hedgeAfterMs`, or a server failed): to listen to one costs more than a look-up, and the cache has stopped waiting by itself.
   * @param make is called for each answer with the same object, whose bytes are used again: it copies what it keeps; and with the key that was asked for, of which one version says one thing. What it throws
   * fails the call.
   */
  sourceOf<V>(make: (found: FoundPlace, key: string) => V): {
    fetchMany(keys: readonly string[], options?: { readonly signal?: AbortSignal | undefined }): Promise<V[]>;
  } {
    return { fetchMany: async (keys, options = {}) => this.#askAll(new Floors(keys, make), options, true) };
  }

  /** @param signalWhenLate looks at the signal only once there is no answer after `hedgeAfterMs`: until somebody does, some have none. */
  async #askAll<A>(
    questions: Questions<A>,
    options: { readonly signal?: AbortSignal | undefined },
    signalWhenLate = false,
  ): Promise<A[]> {
    const ending = new Ending();
    if (!signalWhenLate) {
      ending.watch(options.signal);
      ending.throwIfEnded();
    }
    this.#checkOpen();
    this.#lookups++;
    this.#queries += questions.count;
    this.#hedgesLeft = Math.min(hedgesKeptMax, this.#hedgesLeft + hedgeShare);
    const deadlineMs = this.#now() + this.#timeoutMs;
    const timer = setTimeout(() => {
      // After a stall of the event loop the answer may lie in the socket already: give it one turn.
      setImmediate(() =>
        ending.end(new MemdsError("ERR_MEMDS_TIMEOUT", `no server answered in ${this.#timeoutMs} ms`)),
      );
    }, this.#timeoutMs).unref();
    this.#waiting.push(ending);
    try {
      return (await this.#askInTurn(questions, ending, deadlineMs, () => ending.watch(options.signal))).all;
    } catch (error) {
      this.#failed++;
      throw error;
    } finally {
      clearTimeout(timer);
      ending.release();
      this.#waiting.splice(this.#waiting.indexOf(ending), 1);
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
    for (const ending of [...this.#waiting]) ending.end(closedError());
    for (const { target } of this.#members) target.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #member(server: MemdsMember): Member {
    return { server, target: this.#connectTo(server), failedUntilMs: undefined };
  }

  async #askInTurn<A>(
    questions: Questions<A>,
    ending: Ending,
    deadlineMs: number,
    isLate: () => void,
  ): Promise<Answers<A>> {
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
      ending.throwIfEnded();
      const member = running.size === 0 || isSlow ? left.shift() : undefined;
      if (member !== undefined) {
        tried.add(member);
        // A silent server may not use up the time in which another one could answer.
        const shareMs = left.length === 0 ? undefined : (deadlineMs - this.#now()) / (left.length + 1);
        running.add(this.#ask(member, questions, ending, shareMs));
      } else if (running.size === 0) break;
      const outcome: Outcome<A> | undefined = await this.#firstOf(running, left.length > 0 && !isSlow, isLate);
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
      ending.throwIfEnded();
      isLate();
      if (!(error instanceof MemdsError)) throw error;
      if (error.code === "ERR_MEMDS_TOO_LARGE" && questions.count > 1) {
        this.#leave(running);
        const half = questions.count >>> 1;
        const first = await this.#askInTurn(questions.slice(0, half), ending, deadlineMs, isLate);
        const rest = await this.#askInTurn(questions.slice(half, questions.count), ending, deadlineMs, isLate);
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

  #ask<A>(member: Member, questions: Questions<A>, ending: Ending, shareMs: number | undefined): Attempt<A> {
    this.#asked++;
    const { answers, drop } = member.target.ask(questions);
    ending.add(drop);
    const timer =
      shareMs === undefined
        ? undefined
        : setTimeout(
            () => {
              const message = `${member.target.name} did not answer in ${Math.round(shareMs)} ms`;
              setImmediate(() => drop(new MemdsError("ERR_MEMDS_TIMEOUT", message)));
            },
            Math.max(0, shareMs),
          ).unref();
    const attempt: Attempt<A> = {
      member,
      outcome: answers.then(
        (answered) => {
          clearTimeout(timer);
          ending.remove(drop);
          return { attempt, answers: answered };
        },
        (error: unknown) => {
          clearTimeout(timer);
          ending.remove(drop);
          return { attempt, error };
        },
      ),
      isLimited: shareMs !== undefined,
      end: drop,
    };
    return attempt;
  }

  /** The first outcome; undefined if it is time to ask another server too. */
  #firstOf<A>(
    running: ReadonlySet<Attempt<A>>,
    mayHedge: boolean,
    isLate: () => void,
  ): Promise<Outcome<A> | undefined> {
    return new Promise((resolve) => {
      let isOver = false;
      const hedge = () => {
        if (isOver) return;
        isLate();
        if (!mayHedge || this.#hedgesLeft < 1) return;
        this.#hedgesLeft--;
        this.#hedged++;
        resolve(undefined);
      };
      // After a stall of the event loop the answer may lie in the socket already: give it one turn.
      const timer = setTimeout(() => setImmediate(hedge), this.#hedgeAfterMs).unref();
      for (const { outcome } of running) {
        void outcome.then((first) => {
          isOver = true;
          clearTimeout(timer);
          resolve(first);
        });
      }
    });
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

  /** Each look-up begins with the next server, or with one that something is sent to anyway; those that failed lately come last. */
  #inOrder(): Member[] {
    const count = this.#members.length;
    const start = this.#turn++ % count;
    const nowMs = this.#now();
    const healthy: Member[] = [];
    const failed: Member[] = [];
    for (let i = 0; i < count; i++) {
      const member = this.#members[(start + i) % count]!;
      if (member.failedUntilMs === undefined) {
        if (member.target.isDue === true) healthy.unshift(member);
        else healthy.push(member);
      } else if (member.failedUntilMs > nowMs) failed.push(member);
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
