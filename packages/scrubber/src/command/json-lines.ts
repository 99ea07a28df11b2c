import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { ScrubberError } from "../core/errors.js";
import type { Entry, ReplicaSource } from "../core/source.js";
import { iterableReplica } from "../iterable-replica.js";
import { ScratchStore } from "../scratch/scratch-store.js";

export interface JsonLinesOptions {
  readonly name: string;
  readonly path: string;
  /** Fields that together are the key; dots lead into objects. */
  readonly key: readonly string[];
  /** Fields that are not compared. */
  readonly ignore: readonly string[];
  /** Sorts the lines first, in a folder of its own under this one. Needed for what is not sorted, and for what can be read only once. */
  readonly sortIn: string | undefined;
  readonly onBytes: (bytes: number) => void;
}

/** Lines of JSON as a replica: under each key the rest of its object, whatever the order of its fields. */
export async function jsonLines(options: JsonLinesOptions): Promise<ReplicaSource> {
  const { name, path, sortIn } = options;
  const isFile = (await stat(path)).isFile();
  if (sortIn === undefined && isFile) return iterableReplica({ name, open: () => ({ from: () => linesOf(options) }) });
  if (sortIn === undefined)
    throw new ScrubberError("ERR_SCRUBBER_ARGUMENT", `${path} can be read only once: add --sort`);
  const store = await ScratchStore.open({ dir: sortIn });
  for await (const { key, value } of linesOf(options)) {
    if (store.get(key) !== undefined)
      throw new ScrubberError("ERR_SCRUBBER_ORDER", `${path}: two lines have the key ${keyText(key)}`);
    store.put(key, value);
    await store.settle();
  }
  return iterableReplica({
    name,
    open: () => {
      const view = store.view();
      return { from: (from) => view.range(from, undefined), close: () => view.close?.() };
    },
  });
}

async function* linesOf({ path, key, ignore, onBytes }: JsonLinesOptions): AsyncIterable<Entry> {
  const input = createReadStream(path);
  input.on("data", (chunk) => onBytes(chunk.length));
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  let number = 0;
  try {
    for await (const line of lines) {
      number++;
      if (line.trim() === "") continue;
      yield entryOf(line, key, ignore, `${path}:${number}`);
    }
  } finally {
    lines.close();
    input.destroy();
  }
  if (input.errored) throw input.errored;
}

function entryOf(line: string, key: readonly string[], ignore: readonly string[], where: string): Entry {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw new ScrubberError("ERR_SCRUBBER_ARGUMENT", `${where}: not JSON`, { cause });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw new ScrubberError("ERR_SCRUBBER_ARGUMENT", `${where}: not an object`);
  const parts = key.map((field) => {
    const value = at(parsed, field);
    if (typeof value !== "string" && typeof value !== "number")
      throw new ScrubberError(
        "ERR_SCRUBBER_ARGUMENT",
        `${where}: no text or number in ${field}; choose the key with --key`,
      );
    return value;
  });
  const rest = Object.fromEntries(Object.entries(parsed).filter(([field]) => !ignore.includes(field)));
  return { key: encodeKey(parts), value: Buffer.from(canonical(rest)) };
}

function at(object: unknown, path: string): unknown {
  let found = object;
  for (const field of path.split("."))
    found = typeof found === "object" && found !== null ? (found as Record<string, unknown>)[field] : undefined;
  return found;
}

/** Sorts numbers by value and texts by their UTF-8 bytes: text as it is, up to a zero byte; a number in eight bytes whose order is its own. */
export function encodeKey(parts: readonly (string | number)[]): Uint8Array {
  return Buffer.concat(
    parts.flatMap((part, index) => [
      ...(index === 0 ? [] : [Buffer.of(0)]),
      typeof part === "string" ? Buffer.from(part) : numberKey(part),
    ]),
  );
}

const NUMBER_MARK = 0x01;

function numberKey(value: number): Buffer {
  const key = Buffer.alloc(9);
  key[0] = NUMBER_MARK;
  key.writeDoubleBE(value === 0 ? 0 : value, 1);
  // Of a negative number all bits turn, of another the sign alone: then bytes sort as numbers do.
  const flip = (key[1] as number) >= 0x80 ? 0xff : 0;
  for (let i = 1; i < 9; i++) key[i] = (key[i] as number) ^ (i === 1 && flip === 0 ? 0x80 : flip);
  return key;
}

/** A key for people. */
export function keyText(key: Uint8Array): string {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  const parts: string[] = [];
  for (let start = 0; start <= bytes.length; ) {
    if (bytes[start] === NUMBER_MARK && bytes.length >= start + 9) {
      const number = Buffer.from(bytes.subarray(start + 1, start + 9));
      const flip = (number[0] as number) >= 0x80 ? 0 : 0xff;
      for (let i = 0; i < 8; i++) number[i] = (number[i] as number) ^ (i === 0 && flip === 0 ? 0x80 : flip);
      parts.push(`${number.readDoubleBE(0)}`);
      start += 10;
    } else {
      const end = bytes.indexOf(0, start);
      parts.push(bytes.toString("utf8", start, end < 0 ? bytes.length : end));
      start = end < 0 ? bytes.length + 1 : end + 1;
    }
  }
  return parts.join(" / ");
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([field, inner]) => `${JSON.stringify(field)}:${canonical(inner)}`).join(",")}}`;
}
