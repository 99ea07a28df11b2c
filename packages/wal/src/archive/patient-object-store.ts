import { channel } from "node:diagnostics_channel";
import { ArchiveError } from "./errors.js";
import { checkStore, type ObjectStore, type PutOptions, sha256 } from "./object-store.js";
import {
  backoffOf,
  isRetryable,
  type PatienceOptions,
  resolvePatience,
  sleep,
  type Throttle,
  withTimeout,
} from "./patience.js";
import { Places } from "./places.js";

export interface PatientObjectStoreStats {
  /** Attempts under way now. */
  readonly inFlight: number;
  /** Calls that wait for a place now. */
  readonly waiting: number;
  /** Attempts ever made; `retries` of them were not the first of their call. */
  readonly attempts: number;
  readonly retries: number;
  /** Calls that failed although trying again might have helped: attempts or time were used up. */
  readonly gaveUp: number;
  /** Bytes that puts and gets carried, every attempt counted. */
  readonly bytesPut: number;
  readonly bytesGot: number;
}

/** One attempt of a call. `earlier` says how many came before. */
type Attempt<T> = (signal: AbortSignal, earlier: number) => Promise<T>;
type Signalled = { readonly signal?: AbortSignal } | undefined;

const throttleSliceBytes = 64 * 1024;
/** A listing is read on in attempts of so many keys, so that each one is short and a failed one loses nothing. */
const keysPerAttempt = 1000;

const gaveUp = channel("evenkeel:wal:archive-gave-up");

/**
 * Any object store, with patience: what fails and says of itself that it is `retryable` is tried again after a random, growing time, until attempts or
 * time run out; few attempts are under way at once; bytes are paid for from a bucket. A create-only put that finds what an earlier attempt
 * of its own has stored, though the answer was lost, is done.
 */
export class PatientObjectStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #options: ReturnType<typeof resolvePatience>;
  readonly #throttle: Throttle | undefined;
  readonly #places: Places;
  readonly #counted = { attempts: 0, retries: 0, gaveUp: 0, bytesPut: 0, bytesGot: 0 };

  constructor(store: ObjectStore, options: PatienceOptions = {}) {
    this.#store = checkStore(store);
    this.#options = resolvePatience(options);
    this.#throttle = options.throttle;
    this.#places = new Places(this.#options.inFlightMax, this.#options.waitingMax);
  }

  stats(): PatientObjectStoreStats {
    return { inFlight: this.#places.inUse, waiting: this.#places.waiting, ...this.#counted };
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    await this.#call(
      "put",
      key,
      options,
      async (signal, earlier) => {
        this.#counted.bytesPut += bytes.length;
        try {
          await this.#store.put(key, bytes, { ...options, signal });
        } catch (error) {
          if (earlier > 0 && isTaken(error) && (await this.#holds(key, options.sha256, signal))) return;
          throw error;
        }
      },
      bytes.length,
    );
  }

  async get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array | undefined> {
    const bytes = await this.#call("get", key, options, (signal) => this.#store.get(key, { signal }));
    this.#counted.bytesGot += bytes?.length ?? 0;
    await this.#pay(bytes?.length ?? 0, options?.signal);
    return bytes;
  }

  async *list(
    prefix: string,
    options?: { readonly after?: string; readonly signal?: AbortSignal },
  ): AsyncGenerator<string, void, undefined> {
    let after = options?.after;
    for (;;) {
      const keys: string[] = [];
      await this.#call("list", prefix, options, async (signal) => {
        const from = keys.at(-1) ?? after;
        for await (const key of this.#store.list(prefix, { signal, ...(from === undefined ? {} : { after: from }) })) {
          // An attempt that was given up may go on unseen.
          signal.throwIfAborted();
          keys.push(key);
          if (keys.length >= keysPerAttempt) return;
        }
      });
      for (const key of keys) {
        yield key;
        options?.signal?.throwIfAborted();
      }
      if (keys.length < keysPerAttempt) return;
      after = keys.at(-1);
    }
  }

  async delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void> {
    await this.#call("delete", key, options, (signal) => this.#store.delete(key, { signal }));
  }

  async #call<T>(operation: string, key: string, options: Signalled, work: Attempt<T>, bytes = 0): Promise<T> {
    const { attemptsMax, attemptTimeoutMs, deadlineMs, now, timer } = this.#options;
    const signal = options?.signal;
    let spentMs = 0;
    for (let attempt = 1; ; attempt++) {
      let failure: unknown;
      await this.#places.enter(signal);
      try {
        await this.#pay(bytes, signal);
        this.#counted.attempts++;
        if (attempt > 1) this.#counted.retries++;
        const beganAt = now();
        try {
          const timeoutMs = Math.min(attemptTimeoutMs, deadlineMs - spentMs);
          return await withTimeout((stop) => work(stop, attempt - 1), `${operation} ${key}`, timeoutMs, timer, signal);
        } catch (error) {
          signal?.throwIfAborted();
          if (!isRetryable(error)) throw error;
          failure = error;
          spentMs += Math.max(0, now() - beganAt);
        }
      } finally {
        this.#places.leave();
      }
      const waitMs = backoffOf(attempt, this.#options);
      if (attempt >= attemptsMax || spentMs + waitMs >= deadlineMs) {
        throw this.#giveUp(operation, key, attempt, spentMs, failure);
      }
      await sleep(waitMs, timer, signal);
      spentMs += waitMs;
    }
  }

  #giveUp(operation: string, key: string, attempts: number, elapsedMs: number, cause: unknown): ArchiveError {
    this.#counted.gaveUp++;
    const times = attempts === 1 ? "1 attempt" : `${attempts} attempts`;
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `gave up after ${times} in ${Math.round(elapsedMs)} ms: ${why}`;
    const code = cause instanceof ArchiveError ? cause.code : "ERR_ARCHIVE_STORE";
    const error = new ArchiveError(code, message, { key, cause, retryable: true });
    if (gaveUp.hasSubscribers) gaveUp.publish({ operation, key, attempts, elapsedMs, error });
    return error;
  }

  async #pay(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    // In slices, so that a bucket smaller than an object serves as well, and others get their turn.
    for (let left = bytes; left > 0 && this.#throttle !== undefined; left -= throttleSliceBytes) {
      await this.#throttle.take(Math.min(left, throttleSliceBytes), signal === undefined ? {} : { signal });
    }
  }

  async #holds(key: string, sum: string, signal: AbortSignal): Promise<boolean> {
    const bytes = await this.#store.get(key, { signal });
    return bytes !== undefined && sha256(bytes) === sum;
  }
}

function isTaken(error: unknown): boolean {
  return (error as { readonly code?: unknown } | undefined)?.code === "ERR_ARCHIVE_EXISTS";
}
