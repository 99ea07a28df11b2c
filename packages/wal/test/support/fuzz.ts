import { runCommand } from "../../src/command.js";
import { salvage, Wal, WalError, type WalRecord } from "../../src/index.js";
import { collect } from "../collect.js";
import { FaultFileSystem, type Random, seeded } from "../fault-file-system.js";
import { mutated } from "./mutate.js";

const dir = "log";
const options = { dir, segmentBytes: 65_536, segmentsBeforeCarry: 1, now: () => 1_700_000_000_000 };

export type Outcome = "opened" | WalError["code"];

/** A closed log with everything in it that the format knows: carried records, truncations of both ends, removed streams, recycled segments. */
export async function seedLog(random: Random): Promise<Map<string, Uint8Array>> {
  const fileSystem = new FaultFileSystem();
  const wal = await Wal.open({ ...options, fileSystem });
  await wal.stream("quiet").append([Buffer.from("1"), Buffer.from("2")]);
  for (let n = 0; n < 40; n++) {
    const stream = wal.stream(random() < 0.8 ? "busy" : random() < 0.5 ? "other" : "brief");
    const data = Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
      new Uint8Array(Math.floor(random() ** 3 * 9000)).fill(n),
    );
    const calls: Promise<unknown>[] = [stream.append(data)];
    if (random() < 0.3) calls.push(wal.stream("other").append(data));
    await Promise.all(calls);
    const { firstSequence, lastSequence } = stream;
    if (random() < 0.1) await stream.truncateAfter(Math.max(firstSequence - 1, lastSequence - 2));
    if (random() < 0.2) await stream.truncateBefore(Math.max(firstSequence, lastSequence - 3));
    if (random() < 0.05) await wal.stream("brief").remove();
  }
  await wal.close();
  const names = fileSystem.files().filter((name) => !name.endsWith(".tmp"));
  return new Map(names.map((name) => [name.slice(dir.length + 1), fileSystem.contents(name).slice()]));
}

/**
 * One mutated log given to everything that reads one. Whatever it is, each answers with a typed error or with records, asks for no more memory than
 * there are bytes on disk, and what opens can be read, written and opened again. Throws where that does not hold.
 */
export async function fuzz(seed: number, whole: ReadonlyMap<string, Uint8Array>): Promise<Outcome> {
  const files = mutated(whole, seeded(seed));
  const boot = () => {
    const fileSystem = new FaultFileSystem();
    for (const [name, bytes] of files) fileSystem.put(`${dir}/${name}`, bytes);
    return fileSystem;
  };
  const sizes = [...files.values()].map((bytes) => bytes.length);
  const readBytesMax = Math.max(256 * 1024, ...sizes);

  const fileSystem = boot();
  const outcome = await opening(fileSystem);
  bounded(fileSystem, readBytesMax);

  const other = boot();
  const found = await typed(salvage({ dir, fileSystem: other }));
  if (found !== undefined) {
    for (const stream of found.streams) await collect(stream.read());
  }
  for (const command of ["verify", "stats", "dump"]) {
    const silent = async () => undefined;
    const status = await runCommand([command, dir, "--json"], { out: silent, err: silent }, other);
    if (![0, 1, 2].includes(status)) throw new Error(`${command} exits with ${status}`);
  }
  bounded(other, readBytesMax);
  return outcome;
}

async function opening(fileSystem: FaultFileSystem): Promise<Outcome> {
  const opened = await Wal.open({ ...options, fileSystem }).catch((error: unknown) => error);
  if (!(opened instanceof Wal)) return codeOf(opened);
  const before = await everything(opened);
  const name = opened.streams()[0] ?? "new";
  const last = opened.stream(name).lastSequence;
  if (last < 2 ** 48 - 10) {
    const sequence = await opened.stream(name).append(Buffer.from("appended"));
    if (sequence !== last + 1) throw new Error(`appended as ${sequence} behind ${last}`);
    before.set(name, [...(before.get(name) ?? []), `${sequence} appended`]);
  }
  await opened.close();
  const again = await Wal.open({ ...options, fileSystem });
  const after = await everything(again);
  await again.close();
  for (const [stream, records] of before) {
    if (JSON.stringify(after.get(stream)) === JSON.stringify(records)) continue;
    throw new Error(`${stream} held ${records.length} records, the second time ${after.get(stream)?.length}`);
  }
  return "opened";
}

async function everything(wal: Wal): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>();
  for (const name of wal.streams()) {
    const stream = wal.stream(name);
    const forwards = (await collect(stream.read())).map(brief);
    const backwards = (await collect(stream.read({ backwards: true }))).map(brief);
    if (JSON.stringify(backwards.reverse()) !== JSON.stringify(forwards)) throw new Error(`${name} differs backwards`);
    if (forwards.length !== stream.lastSequence - stream.firstSequence + 1) throw new Error(`${name} has holes`);
    all.set(name, forwards);
  }
  return all;
}

const brief = ({ sequence, data }: WalRecord) =>
  `${sequence} ${data.length < 20 ? Buffer.from(data).toString("latin1") : `${data.length} ${data[0]}`}`;

async function typed<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    codeOf(error);
    return undefined;
  }
}

function codeOf(error: unknown): WalError["code"] {
  if (error instanceof WalError) return error.code;
  throw error;
}

function bounded(fileSystem: FaultFileSystem, readBytesMax: number): void {
  if (fileSystem.readBytesMax <= readBytesMax && fileSystem.handles === 0) return;
  throw new Error(`asked for ${fileSystem.readBytesMax} bytes at once, left ${fileSystem.handles} files open`);
}
