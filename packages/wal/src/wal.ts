import { randomBytes } from "node:crypto";
import { logIdBytes, saltBytes } from "./core/headers.js";
import { asIo, badArgument, checkOptions, WalError } from "./errors.js";
import { type WalFile, type WalFileSystem, writeAll } from "./fs/file-system.js";
import { nodeFileSystem } from "./fs/node-file-system.js";
import { Log } from "./log.js";
import { MarkFile } from "./mark-file.js";
import { type Recovered, recover } from "./recovery.js";
import { isScratch, segmentFile, segmentNumber } from "./segment.js";
import { SegmentSet } from "./segment-set.js";
import { WalStream } from "./stream.js";
import { UncertainFile, type UncertainTail } from "./uncertain-file.js";

export interface WalOptions {
  /** Directory of the log; made if it is missing. Nothing else may be kept in it. */
  readonly dir: string;
  /** Size of a segment file, from 64 KiB to 1 GiB. Default 16 MiB. */
  readonly segmentBytes?: number;
  /** Largest append in bytes, framing (22 bytes a record) included; at most 1 GiB. Default 64 MiB. */
  readonly appendBytesMax?: number;
  /** How many bytes may wait for the disk before appends are refused with `ERR_WAL_OVERLOADED`. Default 64 MiB. */
  readonly bytesInFlightMax?: number;
  /** What gathers beyond this goes into a further batch. Default 4 MiB. */
  readonly batchBytesMax?: number;
  /** How many streams may exist. Their names and bounds are kept in memory and at the front of each segment. Default 65,536. */
  readonly streamsMax?: number;
  /**
   * Beyond this many segments, and once at least half of the log is dead, live records of the oldest segment are written again at the end so that
   * it can be freed: a rarely written stream does not keep the whole log. Default 4.
   */
  readonly segmentsBeforeCarry?: number;
  /** Dead segments kept for reuse. Default 2. */
  readonly sparesMax?: number;
  /** The file `marks` vouches for the last batch this long after it, 1 to 60,000, whether the log is idle by then or not. Default 500. */
  readonly idleMarkMs?: number;
  /** A stream that was not used for so long is packed, and unpacked when it is next used; where more than 1,000 are not packed, after a second at most (where those are used again, there is room for more, 17,408 at most). 0 to 60,000, 0 is at once. Default 30,000. */
  readonly packAfterMs?: number;
  /** Wall-clock time in milliseconds, stamped on records. Default `Date.now`. */
  readonly now?: () => number;
  /** Where the files are. Default: the machine's file system. */
  readonly fileSystem?: WalFileSystem;
}

const optionNames: Record<keyof WalOptions, 0> = {
  dir: 0,
  segmentBytes: 0,
  appendBytesMax: 0,
  bytesInFlightMax: 0,
  batchBytesMax: 0,
  streamsMax: 0,
  segmentsBeforeCarry: 0,
  sparesMax: 0,
  idleMarkMs: 0,
  packAfterMs: 0,
  now: 0,
  fileSystem: 0,
};

export interface WalStats {
  readonly streams: number;
  /** Those of them that nobody has used for a while. */
  readonly streamsPacked: number;
  readonly segments: number;
  readonly firstSegment: number;
  readonly lastSegment: number;
  /** Number of the last durable batch. */
  readonly durableBatch: number;
  /** Batches and marks synced since opening. */
  readonly syncs: number;
  /** Entries made durable since opening. */
  readonly entries: number;
  readonly bytesWritten: number;
  readonly bytesInFlight: number;
  readonly segmentsDropped: number;
  readonly segmentsRecycled: number;
  /** Records written again so that an old segment could be freed. */
  readonly recordsCarried: number;
  readonly poisoned: boolean;
}

const kib = 1024;
const mib = 1024 * kib;
const nameBytesMax = 1024;
const u32Max = 2 ** 32 - 1;
/** What the first segment is zeroed for at once: small, since many logs stay small and opening one should cost next to nothing. */
const firstFillBytes = 256 * kib;

/**
 * A write-ahead log in a directory: many streams of records, one `fdatasync` for all that gathered. What `append` resolved for is on disk;
 * what is damaged is reported and never cut away.
 */
export class Wal {
  readonly #log: Log;
  readonly #streams = new Map<string, WalStream>();
  readonly #home: ConstructorParameters<typeof WalStream>[0];
  readonly #unlock: () => Promise<void>;
  #closing: Promise<void> | undefined;
  /**
   * Not null when the log ended in a batch that was damaged and that nothing vouched for. Nearly always that is an append that was never
   * acknowledged; but it may have been the very last one that was, and a single log cannot tell. Who has copies elsewhere can. It is told at every
   * opening, however often the power goes meanwhile, until `settleUncertain`; where it happened again before that, the newest is told.
   */
  readonly uncertainFrom: UncertainTail | null;
  readonly #uncertain: UncertainFile;
  #settling: Promise<void> | undefined;

  private constructor(
    log: Log,
    options: { fileSystem: WalFileSystem; appendBytesMax: number; streamsMax: number },
    uncertain: UncertainFile,
    unlock: () => Promise<void>,
  ) {
    this.#log = log;
    this.#unlock = unlock;
    this.#uncertain = uncertain;
    this.uncertainFrom = uncertain.tail ?? null;
    let streamIds = log.table.nextId;
    // Those whose declaration still waits for the disk included.
    let streams = log.table.size;
    this.#home = {
      ...options,
      log,
      streamRefusal: () => {
        const tooMany = (message: string) => new WalError("ERR_WAL_TOO_LARGE", message);
        if (streams >= options.streamsMax) {
          return tooMany(`the log holds streamsMax (${options.streamsMax}) streams already`);
        }
        return streamIds > u32Max ? tooMany("the log has given out all of its four billion stream ids") : undefined;
      },
      nextStreamId: () => {
        streams++;
        log.table.nextId = ++streamIds;
        return streamIds - 1;
      },
      streamRemoved: () => {
        streams--;
      },
    };
    log.table.onRest = (name) => this.#streams.delete(name);
  }

  /**
   * Opens the log in `dir`, or makes one; takes the directory for this process, verifies every checksum and decides where the log ends.
   *
   * Rejects with `ERR_WAL_LOCKED` (open elsewhere), `ERR_WAL_CORRUPT` (with file, offset and batch; nothing on disk was changed),
   * `ERR_WAL_UNSUPPORTED` (written by a newer version) or `ERR_WAL_IO` (the disk could not be read: try again or ask the disk).
   */
  static async open(options: WalOptions): Promise<Wal> {
    const settings = checked(options);
    const { dir, fileSystem } = settings;
    await openingIo(dir, fileSystem.makeDirectory(dir));
    const unlock = await openingIo(dir, fileSystem.lock(dir));
    try {
      return await openLocked(settings, (log, uncertain) => new Wal(log, settings, uncertain, unlock));
    } catch (error) {
      await unlock();
      throw error;
    }
  }

  /** The stream of that name (1 to 1,024 bytes of UTF-8); it comes into being with its first append. */
  stream(name: string): WalStream {
    const known = this.#streams.get(name);
    if (known !== undefined) return known;
    const bytes = typeof name === "string" && !/\p{Surrogate}/u.test(name) ? Buffer.byteLength(name) : 0;
    if (bytes < 1 || bytes > nameBytesMax) throw badArgument("name", `a string of 1 to ${nameBytesMax} bytes`, name);
    const stream = new WalStream(this.#home, name);
    this.#streams.set(name, stream);
    return stream;
  }

  /** Names of the streams that exist. */
  streams(): string[] {
    return this.#log.table.names();
  }

  /** Resolves when fewer than `bytesInFlightMax` bytes wait for the disk. */
  room(options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#log.room(checkOptions("room", options, { signal: 0 }).signal);
  }

  /**
   * Whoever uses the log has taken note of `uncertainFrom`, durably if it matters: the next opening need not say it again. Durable when it resolves; nothing
   * happens where nothing was uncertain. Rejects with `ERR_WAL_CLOSED`, or with `ERR_WAL_IO`: then it will be said again.
   */
  settleUncertain(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new WalError("ERR_WAL_CLOSED", "the log is closed"));
    this.#settling ??= asIo("cannot settle what is uncertain", this.#uncertain.path, this.#uncertain.remove());
    return this.#settling;
  }

  stats(): WalStats {
    const { segments, table } = this.#log;
    return {
      streams: table.size,
      streamsPacked: table.resting,
      segments: segments.list.length,
      firstSegment: segments.list[0]?.number ?? 0,
      lastSegment: segments.active.number,
      durableBatch: this.#log.durableBatch,
      syncs: this.#log.syncs,
      entries: this.#log.entries,
      bytesWritten: this.#log.bytesWritten,
      bytesInFlight: this.#log.bytesInFlight,
      segmentsDropped: segments.dropped,
      segmentsRecycled: segments.recycled,
      recordsCarried: this.#log.carrier.recordsCarried,
      poisoned: this.#log.poisoned !== undefined,
    };
  }

  /** Finishes what was appended, writes the mark that vouches for it, and gives the directory back. Later calls wait for the first. */
  close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async #shut(): Promise<void> {
    try {
      await this.#settling?.catch(() => undefined);
      await this.#log.close();
    } finally {
      await this.#unlock();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

interface Settings extends Required<WalOptions> {}

function checked(options: WalOptions): Settings {
  options = checkOptions("Wal.open", options, optionNames);
  if (typeof options.dir !== "string" || options.dir === "") throw badArgument("dir", "a path", options.dir);
  const whole = (name: keyof WalOptions, fallback: number, min: number, max: number): number => {
    const value = options[name] ?? fallback;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
      throw badArgument(name, `a whole number from ${min} to ${max}`, value);
    }
    return value;
  };
  const { now = Date.now, fileSystem = nodeFileSystem } = options;
  if (typeof now !== "function") throw badArgument("now", "a function that returns milliseconds", now);
  if (typeof fileSystem?.lock !== "function") throw badArgument("fileSystem", "a WalFileSystem", fileSystem);
  return {
    dir: options.dir,
    segmentBytes: whole("segmentBytes", 16 * mib, 64 * kib, 1024 * mib),
    appendBytesMax: whole("appendBytesMax", 64 * mib, 1, 1024 * mib),
    bytesInFlightMax: whole("bytesInFlightMax", 64 * mib, 1, 2 ** 40),
    batchBytesMax: whole("batchBytesMax", 4 * mib, 1, 256 * mib),
    streamsMax: whole("streamsMax", 65_536, 1, 2 ** 24),
    segmentsBeforeCarry: whole("segmentsBeforeCarry", 4, 1, 2 ** 20),
    sparesMax: whole("sparesMax", 2, 0, 1024),
    idleMarkMs: whole("idleMarkMs", 500, 1, 60_000),
    packAfterMs: whole("packAfterMs", 30_000, 0, 60_000),
    now,
    fileSystem,
  };
}

async function openLocked(settings: Settings, make: (log: Log, uncertain: UncertainFile) => Wal): Promise<Wal> {
  const { dir, fileSystem, segmentBytes, now } = settings;
  const files = await openingIo(dir, fileSystem.list(dir));
  // An owner that was killed between a rename and its sync left names behind that are not durable: before anything is built on them they are.
  await openingIo(dir, fileSystem.syncDirectory(dir));
  const numbers = files.map(segmentNumber).filter((number) => number !== undefined);
  numbers.sort((a, b) => a - b);
  const scratch = files.filter(isScratch).map((name) => `${dir}/${name}`);
  // Nothing was ever appended here: what is in the way is half of an earlier birth.
  if (numbers.length === 0 && !MarkFile.present(files)) await openingIo(dir, discard(scratch.splice(0)));
  const opened: { close(): Promise<void> }[] = [];
  try {
    const marks = await openMarks(settings, files, numbers);
    opened.push(marks);
    const logId = marks.mark.logId;
    const uncertain = await openingIo(dir, UncertainFile.open({ fileSystem, dir, logId }, files));
    const recovered = await recover(fileSystem, dir, numbers, marks.mark, uncertain);
    const segments = new SegmentSet({ ...settings, logId, nowMs: now, salt: () => randomBytes(saltBytes) });
    const log = await openingIo(dir, start(settings, recovered, segments, marks, opened));
    return make(log, uncertain);
  } catch (error) {
    for (const file of opened) await file.close().catch(() => undefined);
    throw error;
  }

  async function discard(paths: readonly string[]): Promise<void> {
    for (const path of paths) await fileSystem.remove(path);
    if (paths.length > 0) await fileSystem.syncDirectory(dir);
  }

  async function start(
    { batchBytesMax, bytesInFlightMax, idleMarkMs, packAfterMs, segmentsBeforeCarry }: Settings,
    recovered: Recovered,
    segments: SegmentSet,
    marks: MarkFile,
    toClose: { close(): Promise<void> }[],
  ): Promise<Log> {
    // Only now, when the log was found to be sound: of a damaged one nothing is changed, not even what is left over.
    await discard([...recovered.discard, ...scratch]);
    const file = await openActive(recovered, segments);
    toClose.push(file);
    const log = new Log(
      { segmentBytes, batchBytesMax, bytesInFlightMax, idleMarkMs, packAfterMs, segmentsBeforeCarry, nowMs: now },
      {
        table: recovered.table,
        segments,
        marks,
        file,
        fileSystem,
        batch: (recovered.expected?.number ?? 1) - 1,
        batchCrc: recovered.expected?.previousCrc ?? 0,
      },
    );
    if (recovered.expected === undefined) await log.writeCheckpoint();
    return log;
  }

  async function openActive(recovered: Recovered, segments: SegmentSet): Promise<WalFile> {
    const { segments: found, prepared } = recovered;
    const last = found.at(-1);
    if (last === undefined) {
      const { segment, file } = await segments.createFirst(Math.min(firstFillBytes, segmentBytes));
      segments.adopt([segment], undefined);
      return file;
    }
    const file = await fileSystem.open(last.path, "write");
    try {
      // What was just read may so far be only in the page cache: after this it is what it seems to be. Where an earlier owner's sync failed,
      // the kernel may hold the last batch for written although it is not (PostgreSQL's fsyncgate): so that one is written again.
      await rewrite(file, recovered.lastOffset, last.end);
      await file.sync();
      segments.adopt(found, prepared && { segment: prepared, file: await fileSystem.open(prepared.path, "write") });
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    return file;
  }
}

/** The same bytes in the same place: whatever part of it a crash keeps, nothing changes. */
async function rewrite(file: WalFile, from: number, to: number): Promise<void> {
  const block = new Uint8Array(Math.min(to - from, mib));
  for (let at = from; at < to; at += block.length) {
    const length = await file.read(block.subarray(0, Math.min(block.length, to - at)), at);
    await writeAll(file, block.subarray(0, length), at);
  }
}

async function openMarks(settings: Settings, files: readonly string[], numbers: readonly number[]): Promise<MarkFile> {
  const { dir, fileSystem, now } = settings;
  if (MarkFile.present(files)) {
    const marks = await openingIo(dir, MarkFile.open(fileSystem, dir));
    if (numbers.length > 0 || marks.mark.batch === 0) return marks;
    await marks.close();
    throw new WalError("ERR_WAL_CORRUPT", `${dir}: all segments are missing, batch ${marks.mark.batch} was durable`, {
      file: `${dir}/${segmentFile(marks.mark.segment)}`,
      offset: 0,
    });
  }
  if (numbers.length > 0) {
    throw new WalError("ERR_WAL_CORRUPT", `${dir}/marks is missing beside ${numbers.length} segments`, {
      file: `${dir}/marks`,
      offset: 0,
    });
  }
  return openingIo(dir, MarkFile.create(fileSystem, dir, randomBytes(logIdBytes), now()));
}

/** Errors of the system become this package's, with the cause kept. */
function openingIo<T>(dir: string, work: Promise<T>): Promise<T> {
  return asIo(`cannot open the log in ${dir}`, dir, work);
}
