import { createHash } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import {
  ArchiveError,
  Archiver,
  memoryObjectStore,
  type ObjectStore,
  restore,
  verifyArchive,
} from "../../src/archive/index.js";
import { getU16, getU32, putU16, putU32, putU48 } from "../../src/core/bytes.js";
import { crc } from "../../src/fs/checksum.js";
import { collect } from "../collect.js";
import { type Random, seeded } from "../fault-file-system.js";
import { changedNumber, pick } from "./mutate.js";

const stream = "s";
const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");
type Objects = ReadonlyMap<string, Uint8Array>;

/** A small archive of a few objects, as its keys and bytes; nothing in it is packed. */
export async function seedArchive(): Promise<Objects> {
  const store = memoryObjectStore();
  const archiver = await Archiver.open({ store, stream, bytesPerObjectMax: 600, compression: "none" });
  const entries = Array.from({ length: 20 }, (_, n) => ({
    sequence: n + 1,
    timeMs: 1_700_000_000_000 + n,
    data: new Uint8Array(n * 13).fill(n),
  }));
  await archiver.archive(entries);
  const objects = new Map<string, Uint8Array>();
  for await (const key of store.list("")) objects.set(key, (await store.get(key)) as Uint8Array);
  return objects;
}

/**
 * One object with wrong contents and right checksums (its own, and its manifest's), or one file with wrong bytes. Restoring, verifying and going on
 * answer with typed errors or with entries; what is restored without an error is whole. Throws where that does not hold.
 */
export async function fuzzArchive(seed: number, whole: Objects): Promise<"restored" | ArchiveError["code"]> {
  const random = seeded(seed);
  const objects = new Map(whole);
  const key = pick(
    random,
    [...objects.keys()].filter((name) => name.endsWith(".log")),
  );
  const manifestKey = key.replace(/\.log$/, ".manifest");
  if (random() < 0.2) mutateBytes(objects, pick(random, [key, manifestKey]), random);
  else {
    const content = Uint8Array.from(objects.get(key) as Uint8Array);
    mutateContent(content, random);
    const stored = random() < 0.5 ? content : packed(content, random);
    objects.set(key, stored);
    objects.set(manifestKey, resealed(objects.get(manifestKey) as Uint8Array, content, stored, random));
  }
  const store = memoryObjectStore();
  for (const [name, bytes] of objects) await store.put(name, bytes, { sha256: sha256(bytes) });
  return answers(store);
}

async function answers(store: ObjectStore): Promise<"restored" | ArchiveError["code"]> {
  let outcome: "restored" | ArchiveError["code"] = "restored";
  try {
    const entries = await collect(restore({ store, stream }));
    if (entries.some(({ sequence }, at) => sequence !== at + 1)) throw new Error("restored with a hole");
  } catch (error) {
    outcome = codeOf(error);
  }
  const report = await verifyArchive({ store, stream }).catch((error: unknown) => codeOf(error));
  if (typeof report === "object" && outcome !== "restored" && report.problems.length === 0) {
    throw new Error(`restoring fails with ${outcome} and verifying finds nothing`);
  }
  await Archiver.open({ store, stream }).catch((error: unknown) => codeOf(error));
  return outcome;
}

function codeOf(error: unknown): ArchiveError["code"] {
  if (error instanceof ArchiveError) return error.code;
  throw error;
}

function mutateBytes(objects: Map<string, Uint8Array>, key: string, random: Random): void {
  const bytes = Uint8Array.from(objects.get(key) as Uint8Array);
  const at = Math.floor(random() * bytes.length);
  objects.set(key, bytes);
  const what = random();
  if (what < 0.5) bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
  else if (what < 0.7) objects.set(key, bytes.slice(0, at));
  else if (what < 0.8) objects.set(key, Buffer.concat([bytes, bytes]));
  else if (what < 0.9) bytes.fill(0, at);
  else objects.delete(key);
}

/** In the canonical form, as drawn in ARCHITECTURE.md. */
function mutateContent(bytes: Uint8Array, random: Random): void {
  const headerBytes = 76 + getU16(bytes, 6) + 4;
  if (random() < 0.5) {
    const [at, put] = pick(random, [
      [4, putU16],
      [6, putU16],
      [8, putU32],
      [12, putU48],
      [18, putU48],
      [24, putU48],
      [30, putU48],
      [36, putU48],
      [44, putU48],
      [76, putU16],
    ] as const);
    put(bytes, at, changedNumber(random, getU32(bytes, at), 2 ** (put === putU16 ? 16 : put === putU32 ? 32 : 48) - 1));
    putU32(bytes, headerBytes - 4, crc(bytes.subarray(0, headerBytes - 4)));
    return;
  }
  const starts: number[] = [];
  for (let at = headerBytes; at < bytes.length; at += 20 + getU32(bytes, at + 4)) starts.push(at);
  const at = pick(random, starts);
  const end = at + 20 + getU32(bytes, at + 4);
  const [field, put] = pick(random, [
    [4, putU32],
    [8, putU48],
    [14, putU48],
  ] as const);
  put(bytes, at + field, changedNumber(random, getU32(bytes, at + field), put === putU32 ? 2 ** 32 - 1 : 2 ** 48 - 1));
  putU32(bytes, at, crc(bytes.subarray(at + 4, end)));
}

/** Behind the header of a packed body, which may lie. */
function packed(content: Uint8Array, random: Random): Uint8Array {
  const body = deflateRawSync(random() < 0.2 ? Buffer.alloc(1_000_000) : content);
  const bytes = new Uint8Array(60 + body.length);
  bytes.set(body, 60);
  bytes.set(Buffer.from("EVKZ"));
  putU16(bytes, 4, random() < 0.1 ? changedNumber(random, 1, 65_535) : 1);
  bytes[6] = random() < 0.8 ? 1 : Math.floor(random() * 256);
  putU48(bytes, 8, random() < 0.3 ? changedNumber(random, content.length, 2 ** 48 - 1) : content.length);
  putU48(bytes, 14, random() < 0.1 ? changedNumber(random, body.length, 2 ** 48 - 1) : body.length);
  bytes.set(Buffer.from(sha256(content), "hex"), 24);
  putU32(bytes, 56, crc(bytes.subarray(0, 56)));
  return bytes;
}

/** The manifest that vouches for these bytes, with now and then a field of its own wrong. */
function resealed(manifest: Uint8Array, content: Uint8Array, stored: Uint8Array, random: Random): Uint8Array {
  const fields = JSON.parse(Buffer.from(manifest).toString().slice(0, -65)) as Record<string, unknown>;
  Object.assign(fields, { bytes: content.length, sha256: sha256(content) });
  Object.assign(fields, { compression: stored === content ? "none" : "deflate" });
  Object.assign(fields, { storedBytes: stored.length, storedSha256: sha256(stored) });
  if (random() < 0.3) {
    const name = pick(random, Object.keys(fields));
    const was = fields[name];
    const wrong = [null, "", "x", -1, 1.5, true, [], {}, 2 ** 53, "0".repeat(64)];
    fields[name] =
      typeof was === "number" && random() < 0.7 ? changedNumber(random, was, 2 ** 48) : pick(random, wrong);
  }
  const text = `${JSON.stringify(fields, null, 1)}\n`;
  return Buffer.from(`${text}${sha256(text)}\n`);
}
