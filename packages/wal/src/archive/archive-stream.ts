import { channel } from "node:diagnostics_channel";
import type { EntryToArchive } from "../core/archive-object.js";
import type { Compression } from "../core/stored-body.js";
import type { WalRecord } from "../reader.js";
import { Archiver, checkObjectBytes } from "./archiver.js";
import { checkedCompression } from "./codec.js";
import { ArchiveError, badArchiveArgument, checkArchiveOptions } from "./errors.js";
import { streamPrefix } from "./keys.js";
import { checkStore, type ObjectStore } from "./object-store.js";
import { isRetryable } from "./patience.js";
import { Tail } from "./tail.js";

/** What is archived: a `WalStream` is one. */
export interface ArchivableStream {
  readonly name: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  follow(options: { readonly from?: number; readonly signal?: AbortSignal }): AsyncIterable<WalRecord>;
  truncateBefore(sequence: number): Promise<void>;
}

export interface ArchiveStreamOptions {
  /** Its records are final once they are durable: an end that is cut back below what is archived is `ERR_ARCHIVE_DIVERGED`. */
  readonly stream: ArchivableStream;
  /** Where the archive is kept: `FileObjectStore`, `S3ObjectStore`, one of them behind a `PatientObjectStore`, or your own. */
  readonly store: ObjectStore;
  /** Name in the archive. Default: the stream's. */
  readonly name?: string;
  /** An object is closed at this size in bytes, 1 to 2^30. Default 8 MiB. */
  readonly bytesPerObjectMax?: number;
  /** How objects are stored: `"none"`, `"deflate"`, `"brotli"` (default) or `"zstd"` (Node 22.15). */
  readonly compression?: Compression;
  /** A record is on its way to the archive at most this long after it became durable, in an object of its own if need be. Default 60,000, from 1. */
  readonly ageMaxMs?: number;
  /** The first sequence that is still needed here, asked before each truncation. Default: what is archived is not needed here any more. */
  readonly keepFrom?: () => number;
  /** What is archived of a record, where replicas agree on other times than their own clocks', or on part of the bytes. Default: time and data as they are. */
  readonly entryOf?: (record: WalRecord) => { readonly timeMs: number; readonly data: Uint8Array };
  /** How long to wait after the store failed; doubled with each failure up to a minute, with jitter. Default 1,000. */
  readonly retryAfterMs?: number;
  /** Ends it, with its reason: what was stored by then stays, and whoever goes on takes it over. */
  readonly signal?: AbortSignal;
}

const optionNames: Record<keyof ArchiveStreamOptions, 0> = {
  stream: 0,
  store: 0,
  name: 0,
  bytesPerObjectMax: 0,
  compression: 0,
  ageMaxMs: 0,
  keepFrom: 0,
  entryOf: 0,
  retryAfterMs: 0,
  signal: 0,
};

export interface StreamArchivingStats {
  /** The archive vouches for everything through this one, and it was compared with what is here. */
  readonly archivedThrough: number;
  /** How many durable records are not archived yet. */
  readonly behind: number;
  readonly objects: number;
  /** Times that the store failed and was tried again. */
  readonly retries: number;
  /** Why it stopped, if it did by itself. */
  readonly failure: Error | undefined;
}

/** So many objects are archived between two truncations of the local log. */
const objectsPerRun = 8;
const pauseMaxMs = 60_000;
/** Neither time nor another try mends these. Whatever else a store rejects with is tried again for ever: meanwhile the local log keeps everything. */
const finalCodes: readonly string[] = [
  "ERR_ARCHIVE_ARGUMENT",
  "ERR_ARCHIVE_CORRUPT",
  "ERR_ARCHIVE_DIVERGED",
  "ERR_ARCHIVE_GAP",
  "ERR_ARCHIVE_OVERLAP",
  "ERR_ARCHIVE_UNSUPPORTED",
];

const stalled = channel("evenkeel:wal:archive-stalled");
const stopped = channel("evenkeel:wal:archive-stopped");

/**
 * Follows a stream's durable records into an archive and truncates the stream up to what the archive vouches for. After a restart, or where another
 * replica was faster, what is in both is compared first, and nothing is dropped that was not.
 *
 * Bad arguments throw at once. Survives a kill at any point: what is here and what is archived always overlap or touch. Holds what an `Archiver` and a follower hold.
 */
export function archiveStream(options: ArchiveStreamOptions): StreamArchiving {
  return new StreamArchiving(options);
}

export class StreamArchiving {
  readonly #options: ArchiveStreamOptions & { readonly bytesPerObjectMax: number; readonly ageMaxMs: number };
  readonly #name: string;
  readonly #retryAfterMs: number;
  readonly #stop = new AbortController();
  readonly #flushes = new Set<{ through: number; resolve: () => void; reject: (error: Error) => void }>();
  #tail: Tail | undefined;
  #archivedThrough = 0;
  #wantedThrough = 0;
  #objects = 0;
  #retries = 0;
  #failure: Error | undefined;
  #over = false;
  /** Resolves after `close`, or when the log was closed; rejects with what stopped it by itself. */
  readonly finished: Promise<void>;

  /** @internal Use `archiveStream`. */
  constructor(options: ArchiveStreamOptions) {
    options = checkArchiveOptions("archiveStream", options, optionNames);
    const { bytesPerObjectMax = 8 * 1024 * 1024, ageMaxMs = 60_000, retryAfterMs = 1000 } = options;
    if (typeof options.stream?.follow !== "function") {
      throw badArchiveArgument("stream", "a stream of a log, such as wal.stream(name)", options.stream);
    }
    checkStore(options.store);
    checkObjectBytes(bytesPerObjectMax);
    checkedCompression(options.compression ?? "brotli");
    streamPrefix(options.name ?? options.stream.name);
    for (const argument of ["keepFrom", "entryOf"] as const) {
      const value = options[argument];
      if (value !== undefined && typeof value !== "function") throw badArchiveArgument(argument, "a function", value);
    }
    for (const [argument, value] of Object.entries({ ageMaxMs, retryAfterMs })) {
      if (!Number.isSafeInteger(value) || value < 1 || value > 2 ** 31 - 1) {
        throw badArchiveArgument(argument, "a whole number of milliseconds from 1", value);
      }
    }
    this.#options = { ...options, bytesPerObjectMax, ageMaxMs };
    this.#name = options.name ?? options.stream.name;
    this.#retryAfterMs = retryAfterMs;
    const abort = () => this.#stop.abort(options.signal?.reason);
    options.signal?.addEventListener("abort", abort, { once: true });
    if (options.signal?.aborted === true) abort();
    this.finished = this.#run().finally(() => options.signal?.removeEventListener("abort", abort));
    this.finished.catch(() => undefined);
  }

  get archivedThrough(): number {
    return this.#archivedThrough;
  }

  stats(): StreamArchivingStats {
    return {
      archivedThrough: this.#archivedThrough,
      behind: Math.max(0, this.#options.stream.lastSequence - this.#archivedThrough),
      objects: this.#objects,
      retries: this.#retries,
      failure: this.#failure,
    };
  }

  /** Archives what is durable now, however young; resolves when the archive vouches for it. */
  async flush(): Promise<number> {
    const through = this.#options.stream.lastSequence;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#archivedThrough < through) {
      if (this.#over) throw new ArchiveError("ERR_ARCHIVE_STORE", `${this.#name}: archiving has ended`);
      await new Promise<void>((resolve, reject) => {
        this.#flushes.add({ through, resolve, reject });
        this.#tail?.closeBy(through);
      });
    }
    return this.#archivedThrough;
  }

  /** Stops; what is under way is finished or given up. What is not archived stays in the log. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.finished.catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    let failures = 0;
    try {
      while (!this.#stop.signal.aborted) {
        const before = this.#archivedThrough;
        try {
          if (await this.#session()) return;
        } catch (error) {
          if (this.#stop.signal.aborted || (error as { readonly code?: unknown }).code === "ERR_WAL_CLOSED") return;
          this.#refuseFinal(error);
          failures = this.#archivedThrough > before ? 1 : failures + 1;
          this.#retries++;
          if (stalled.hasSubscribers) stalled.publish({ stream: this.#name, error, failures });
          await pause(Math.min(pauseMaxMs, this.#retryAfterMs * 2 ** (failures - 1)), this.#stop.signal);
        }
      }
    } catch (error) {
      this.#failure = error as Error;
      if (stopped.hasSubscribers) stopped.publish({ stream: this.#name, error });
      throw error;
    } finally {
      this.#over = true;
      const why = this.#failure ?? new ArchiveError("ERR_ARCHIVE_STORE", `${this.#name}: archiving has ended`);
      for (const flush of this.#flushes) flush.reject(why);
      this.#flushes.clear();
    }
  }

  /** Throws what is not worth another try. */
  #refuseFinal(error: unknown): void {
    const code = (error as { readonly code?: unknown } | undefined)?.code;
    if (code === "ERR_WAL_TRUNCATED") {
      // Nobody else may truncate below what is archived; a session that begins anew sees what became of the front.
      const { lastSequence } = this.#options.stream;
      if (lastSequence >= this.#archivedThrough) return;
      const message = `stream ${JSON.stringify(this.#name)} was cut back to ${lastSequence}; ${this.#archivedThrough} is archived`;
      throw new ArchiveError("ERR_ARCHIVE_DIVERGED", message, { cause: error });
    }
    const isFinal = typeof code === "string" && (code.startsWith("ERR_WAL_") || finalCodes.includes(code));
    // What was damaged on its way to the store says of itself that it may be sent again.
    if (isFinal && !isRetryable(error)) throw error;
  }

  /** Until the log is closed, or something fails: true. False when some records have to be had once more. */
  async #session(): Promise<boolean> {
    const { stream, store, bytesPerObjectMax, ageMaxMs, compression } = this.#options;
    const { signal } = this.#stop;
    const archiver = await Archiver.open({
      store,
      stream: this.#name,
      bytesPerObjectMax,
      signal,
      ...(compression === undefined ? {} : { compression }),
    });
    const { firstSequence } = stream;
    if (firstSequence > archiver.archivedThrough + 1) {
      const message = `stream ${JSON.stringify(this.#name)} begins at ${firstSequence}, the archive ends at ${archiver.archivedThrough}`;
      throw new ArchiveError("ERR_ARCHIVE_GAP", message);
    }
    const tail = new Tail(
      {
        bytesPerObjectMax,
        ageMaxMs,
        follow: (until) => stream.follow({ from: firstSequence, signal: until }),
        lastSequence: () => stream.lastSequence,
        entryOf: (record) => this.#entryOf(record),
      },
      signal,
    );
    this.#tail = tail;
    try {
      for (const { through } of this.#flushes) tail.closeBy(through);
      if (firstSequence <= archiver.archivedThrough) {
        const compared = await archiver.compare(tail.through(archiver.archivedThrough), { signal });
        if (compared > 0) await this.#vouchedThrough(compared);
        if (tail.ended) return true;
      }
      while (await tail.hasNext()) {
        const entries = tail.until(bytesPerObjectMax * objectsPerRun, this.#wantedThrough);
        this.#objects += (await archiver.archive(entries, { signal })).length;
        await this.#vouchedThrough(archiver.archivedThrough);
        // An object that somebody left without a manifest reaches further than this run did: it takes all of its entries together.
        this.#wantedThrough = archiver.unfinishedThrough;
        if (archiver.archivedThrough < tail.last) return tail.ended;
      }
      return true;
    } finally {
      this.#tail = undefined;
      await tail.close();
    }
  }

  #entryOf(record: WalRecord): EntryToArchive {
    const { stream, entryOf } = this.#options;
    const { timeMs, data } = entryOf?.(record) ?? record;
    const { sequence } = record;
    return stream.name === this.#name ? { sequence, timeMs, data, stream: stream.name } : { sequence, timeMs, data };
  }

  async #vouchedThrough(sequence: number): Promise<void> {
    const { stream, keepFrom } = this.#options;
    this.#archivedThrough = sequence;
    for (const flush of this.#flushes) {
      if (flush.through > sequence) continue;
      this.#flushes.delete(flush);
      flush.resolve();
    }
    const before = Math.min(sequence + 1, keepFrom?.() ?? Number.POSITIVE_INFINITY, stream.lastSequence + 1);
    if (before > stream.firstSequence) await stream.truncateBefore(before);
  }
}

/** Between half of it and the whole, so that many who failed together do not return together. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms * (0.5 + Math.random() / 2));
    timer.unref();
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
  });
}
