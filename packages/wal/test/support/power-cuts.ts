import type { salvage, Wal, WalError, WalFileSystem, WalRecord, WalStream } from "../../src/index.js";
import { collect } from "../collect.js";
import { FaultFileSystem, type Random, seeded } from "../fault-file-system.js";
import { type Content, History, nothing, type World } from "./history.js";

/** The log under test, and what stands between it and the disk: mutants replace either. */
export interface Subject {
  readonly Wal: typeof Wal;
  readonly salvage: typeof salvage;
  readonly wrap?: (fileSystem: WalFileSystem) => WalFileSystem;
}

/** How often each kind of trouble did occur: a property that never meets it proves nothing. */
export interface Tally {
  lives: number;
  calls: number;
  crashesInOpening: number;
  closed: number;
  uncertain: number;
  unsettled: number;
  failedSyncs: number;
  failedReads: number;
  flips: number;
  flipsReported: number;
  flipsUncertain: number;
  flipsHarmless: number;
}

export const newTally = (): Tally => ({
  lives: 0,
  calls: 0,
  crashesInOpening: 0,
  closed: 0,
  uncertain: 0,
  unsettled: 0,
  failedSyncs: 0,
  failedReads: 0,
  flips: 0,
  flipsReported: 0,
  flipsUncertain: 0,
  flipsHarmless: 0,
});

const names = ["a", "b", "quiet", "brief"];
const dir = "log";
const lives = 8;

/**
 * One log through several lives, each ended by a power cut (or a kill, or in peace) at a random boundary between two changes of the disk, opening
 * included. After each it must hold exactly what was acknowledged, or what calls in flight would have made of it. Then bits are flipped in copies
 * of the disk: what was acknowledged comes back exactly or is reported. Throws where that does not hold.
 */
export async function powerCuts(seed: number, subject: Subject, tally: Tally = newTally()): Promise<Tally> {
  const random = seeded(seed);
  const fileSystem = new FaultFileSystem();
  // Half of them; the examples of the tests are histories of the other half.
  fileSystem.writesSynced = [0, 1, 4, 7].includes(seed % 8);
  const history = new History(names);
  const open = () => opened(subject, fileSystem);
  /** What an earlier life was told of a torn end, and has not settled. */
  let told: number | undefined;
  for (let life = 0; life < lives; life++) {
    tally.lives++;
    if (random() < 0.1) await cannotRead(subject, fileSystem, random, tally);
    if (random() < 0.3) fileSystem.countdown = Math.floor(random() * 25);
    let wal: Wal;
    try {
      wal = await open();
    } catch (error) {
      // The machine may stop during recovery, and again during the next one; nothing else may go wrong there.
      if (fileSystem.countdown >= 0) throw error;
      tally.crashesInOpening++;
      fileSystem.crash(random);
      continue;
    }
    fileSystem.countdown = Number.POSITIVE_INFINITY;
    const uncertain = wal.uncertainFrom?.batch;
    if (uncertain !== undefined) tally.uncertain++;
    if (told !== undefined && uncertain === undefined)
      throw new Error(`batch ${told} was uncertain, and nobody settled it`);
    history.found(await contents(wal), wal.stats().durableBatch, uncertain === told ? undefined : uncertain);
    told = uncertain;
    if (told !== undefined && life % 2 === 0) {
      await wal.settleUncertain();
      told = undefined;
    } else if (told !== undefined) tally.unsettled++;
    await live(wal, fileSystem, history, random, life * 1000, tally);
    const { poisoned } = wal.stats();
    if (!poisoned && random() < 0.5) {
      await wal.close().then(
        () => {
          // What it still wrote of its own accord may have failed: then nothing vouches for the end.
          if (wal.stats().poisoned) return;
          history.closed(wal.stats().durableBatch);
          tally.closed++;
        },
        () => undefined,
      );
    }
    const killed = random() < (poisoned ? 0.4 : 0.2);
    if (killed) fileSystem.kill();
    else fileSystem.crash(random);
    await wal.close().catch(() => undefined);
    fileSystem.fail = undefined;
    fileSystem.shorten = undefined;
    if (!killed && random() < 0.6) await flips(subject, fileSystem, history, random, tally, told);
  }
  return tally;
}

export function opened(subject: Subject, fileSystem: FaultFileSystem): Promise<Wal> {
  const booted = fileSystem.boot();
  return subject.Wal.open({
    dir,
    fileSystem: subject.wrap?.(booted) ?? booted,
    segmentBytes: 65_536,
    segmentsBeforeCarry: 1,
    batchBytesMax: 20_000,
    idleMarkMs: 60_000, // real time has no part in this
    packAfterMs: 0,
    now: () => 1_700_000_000_000,
  });
}

/** A disk that does not answer is no reason to take the log for shorter than it is. */
async function cannotRead(subject: Subject, fileSystem: FaultFileSystem, random: Random, tally: Tally): Promise<void> {
  let reads = Math.floor(random() * 6);
  let failed = false;
  fileSystem.fail = (operation) => {
    if (operation !== "read" || reads-- !== 0) return undefined;
    failed = true;
    return Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
  };
  const wal = await opened(subject, fileSystem).catch((error: unknown) => error as WalError);
  fileSystem.fail = undefined;
  if (failed) {
    tally.failedReads++;
    if (wal instanceof Error && wal.code === "ERR_WAL_IO") return;
    throw new Error("a read failed and opening did not", { cause: wal });
  }
  if (wal instanceof Error) throw wal;
  fileSystem.kill();
  await wal.close().catch(() => undefined);
}

export async function contents(wal: Wal): Promise<World> {
  const world = new Map<string, Content>();
  for (const name of names) {
    const stream = wal.stream(name);
    const records = await collect(stream.read());
    world.set(name, { first: stream.firstSequence, records: records.map(brief) });
    const sequences = records.map((record) => record.sequence - stream.firstSequence);
    if (sequences.some((sequence, at) => sequence !== at)) throw new Error(`${name} has holes: ${sequences}`);
  }
  return world;
}

/** Records are `serial.n.` and a run of x: short here, but compared to the last byte. */
const shortened = (text: string) => text.replace(/x+$/, (run) => `x${run.length}`);
const brief = (record: WalRecord) => shortened(Buffer.from(record.data).toString("latin1"));

/** Calls random operations in small crowds until something fails or the life is over. */
async function live(
  wal: Wal,
  fileSystem: FaultFileSystem,
  history: History,
  random: Random,
  serial: number,
  tally: Tally,
): Promise<void> {
  const rounds = random() < 0.3 ? Math.floor(random() * 8) : 40;
  if (rounds === 40) fileSystem.countdown = Math.floor(random() * 60);
  if (random() < 0.3) fileSystem.shorten = (length) => (random() < 0.5 ? length : 1 + Math.floor(random() * length));
  if (random() < 0.15) {
    let syncs = Math.floor(random() * 20);
    fileSystem.fail = (operation) => {
      if (operation !== "sync" || syncs-- !== 0) return undefined;
      tally.failedSyncs++;
      return Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
    };
  }
  for (let round = 0; round < rounds && !wal.stats().poisoned; round++) {
    const calls = Array.from({ length: 1 + Math.floor(random() * 5) }, (_, n) =>
      operate(wal, history, random, serial + round * 10 + n),
    );
    tally.calls += calls.length;
    const results = await Promise.allSettled(calls);
    if (results.some((result) => result.status === "rejected")) return;
  }
}

/** Calls one random operation, notes what it may lead to, and what it has led to once it is acknowledged. */
function operate(wal: Wal, history: History, random: Random, serial: number): Promise<unknown> {
  const dice = random();
  const name = dice < 0.05 ? "quiet" : dice < 0.12 ? "brief" : dice < 0.55 ? "a" : "b";
  const stream = wal.stream(name);
  const before = history.latest(name);
  const { after, call } = chosen(stream, before, random, serial, name === "brief");
  const step = history.called(name, after);
  return call().then(() => history.acknowledged(step, wal.stats().durableBatch));
}

function chosen(
  stream: WalStream,
  before: Content,
  random: Random,
  serial: number,
  mayGo: boolean,
): { after: Content; call: () => Promise<unknown> } {
  const { first, records } = before;
  const pick = random();
  if (mayGo && pick < 0.3) return { after: nothing, call: () => stream.remove() };
  if (pick < 0.75 || records.length === 0) {
    const more = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, n) => text(random, serial, n));
    const cut = random() < 0.15 ? first - 1 + Math.floor(random() * (records.length + 1)) : undefined;
    const kept = cut === undefined ? records : records.slice(0, cut - first + 1);
    const data = more.map((record) => Buffer.from(record));
    return {
      after: { first, records: [...kept, ...more.map(shortened)] },
      call: () => stream.append(data, cut === undefined ? {} : { truncateAfter: cut }),
    };
  }
  if (pick < 0.9) {
    const sequence = first + Math.floor(random() * (records.length + 1));
    const after = { first: sequence, records: records.slice(sequence - first) };
    return { after, call: () => stream.truncateBefore(sequence) };
  }
  const sequence = first + records.length - 1 - Math.floor(random() * (records.length + 1));
  return {
    after: { first, records: records.slice(0, sequence - first + 1) },
    call: () => stream.truncateAfter(sequence),
  };
}

function text(random: Random, serial: number, n: number): string {
  const size = random();
  if (size < 0.02) return "";
  const length = size > 0.99 ? 70_000 : Math.floor(random() ** 4 * 12_000);
  return `${serial}.${n}.${"x".repeat(length)}`;
}

/** Flips single bits, one at a time, anywhere in copies of the disk. */
async function flips(
  subject: Subject,
  fileSystem: FaultFileSystem,
  history: History,
  random: Random,
  tally: Tally,
  told: number | undefined,
): Promise<void> {
  const restore = fileSystem.snapshot();
  // The bits of the file `uncertain` are all tried in a test of its own.
  const files = fileSystem.files().filter((file) => !file.endsWith("/uncertain"));
  for (let trial = 0; trial < 4 && files.length > 0; trial++) {
    const file = files[Math.floor(random() * files.length)] as string;
    if (fileSystem.contents(file).length === 0) continue;
    const at = flipped(fileSystem.contents(file), random);
    const mask = 1 << Math.floor(random() * 8);
    fileSystem.damage(file, (bytes) => {
      bytes[at] = (bytes[at] as number) ^ mask;
    });
    const flip = `bit ${mask} of byte ${at} of ${file}`;
    tally.flips++;
    try {
      await judge(subject, fileSystem, history, tally, told);
    } catch (error) {
      throw new Error(`${flip} flipped: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    restore();
  }
}

/** Anywhere, or where something was written, or near the end of that. */
function flipped(bytes: Uint8Array, random: Random): number {
  const at = Math.floor(random() * bytes.length);
  const where = random();
  if (where < 0.4) return at;
  if (where < 0.6) {
    let end = bytes.length;
    while (end > 1 && bytes[end - 1] === 0) end--;
    return Math.max(0, end - 1 - Math.floor(random() * 60));
  }
  for (let n = 0; n < bytes.length; n++) if (bytes[(at + n) % bytes.length] !== 0) return (at + n) % bytes.length;
  return at;
}

async function judge(
  subject: Subject,
  fileSystem: FaultFileSystem,
  history: History,
  tally: Tally,
  told: number | undefined,
): Promise<void> {
  const before = disk(fileSystem);
  let wal: Wal;
  try {
    wal = await opened(subject, fileSystem);
  } catch (error) {
    if (!(error instanceof Error) || !["ERR_WAL_CORRUPT", "ERR_WAL_UNSUPPORTED"].includes((error as WalError).code)) {
      throw error;
    }
    if ((error as WalError).file === undefined) throw new Error("the error does not name a file", { cause: error });
    if (disk(fileSystem) !== before) throw new Error("the disk was changed before damage was reported");
    tally.flipsReported++;
    await judgeSalvage(subject, fileSystem, history, error.message);
    return;
  }
  const said = wal.uncertainFrom?.batch;
  // What was told and never settled is said again; but where a batch has come in its place since, and that is gone now, it is meant.
  const isNew = said !== undefined && (said !== told || wal.stats().durableBatch < said);
  const uncertain = isNew ? said : undefined;
  if (uncertain === undefined) tally.flipsHarmless++;
  else tally.flipsUncertain++;
  const found = await contents(wal);
  history.foundAfterDamage(found, uncertain);
  await wal.settleUncertain();
  await wal.close();
  const again = await opened(subject, fileSystem);
  if (again.uncertainFrom !== null) throw new Error("in doubt again after it was settled");
  if (JSON.stringify([...(await contents(again))]) !== JSON.stringify([...found]))
    throw new Error("different the second time");
  await again.close();
}

/** Salvage never hands out what was not written there, and names what it lacks. */
async function judgeSalvage(
  subject: Subject,
  fileSystem: FaultFileSystem,
  history: History,
  why: string,
): Promise<void> {
  const booted = fileSystem.boot();
  const { damages, streams } = await subject.salvage({ dir, fileSystem: subject.wrap?.(booted) ?? booted });
  if (damages.length === 0) throw new Error(`opening reports damage and salvage none: ${why}`);
  for (const stream of streams) {
    const written = history.written.get(stream.name);
    if (written === undefined && !/^#\d+$/.test(stream.name)) throw new Error(`a stream ${stream.name} never was`);
    let due = stream.firstSequence;
    for await (const record of stream.read()) {
      for (; due < record.sequence; due++) named(stream, due);
      due = record.sequence + 1;
      if (written !== undefined && !written.has(`${record.sequence} ${brief(record)}`)) {
        throw new Error(`salvage: ${stream.name} ${record.sequence} was never ${brief(record)}`);
      }
    }
    for (; due <= stream.lastSequence; due++) named(stream, due);
  }
}

function named(stream: Awaited<ReturnType<typeof salvage>>["streams"][number], sequence: number): void {
  if (stream.missing.some(({ from, to }) => from <= sequence && sequence <= to)) return;
  throw new Error(`salvage: ${stream.name} ${sequence} is neither there nor named as missing`);
}

function disk(fileSystem: FaultFileSystem): string {
  return fileSystem
    .files()
    .map((name) => `${name} ${Buffer.from(fileSystem.contents(name)).toString("latin1")}`)
    .join("\n");
}
