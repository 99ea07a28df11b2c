import type { CreateHash } from "./core/digest.js";
import { badArgument, behind, checkedFunction, checkedInteger, checkOptions } from "./core/errors.js";
import type { Entry, Position, ReplicaSource } from "./core/source.js";
import { iterableReplica } from "./iterable-replica.js";

const KEY_BYTES = 8;

/** The key under which a log's entry is compared: its sequence in 8 bytes, big-endian, so that keys sort as sequences do. */
export function sequenceKey(sequence: number): Uint8Array {
  checkedInteger("sequence", sequence, 0);
  const key = new Uint8Array(KEY_BYTES);
  new DataView(key.buffer).setBigUint64(0, BigInt(sequence));
  return key;
}

/** The first sequence whose key is `key` or greater. */
export function keySequence(key: Uint8Array): number {
  const padded = new Uint8Array(KEY_BYTES);
  padded.set(key.subarray(0, KEY_BYTES));
  return Number(new DataView(padded.buffer).getBigUint64(0)) + (key.length > KEY_BYTES ? 1 : 0);
}

export interface LogReplicaOptions {
  /** For findings to say; not empty, and no other source's of the same scrubber. */
  readonly name: string;
  /** `log` by default; `archive` for what lies in an object store. Findings say it. */
  readonly kind?: "log" | "archive";
  /** The entries from this sequence on, ascending and verified: what cannot be read is an error, and then findings name the sequences around it. */
  readonly read: (from: number) => AsyncIterable<LogEntry> | Iterable<LogEntry>;
  /** The last sequence there is; one that is less than the position asked for makes the log `behind`. */
  readonly last: () => Promise<number> | number;
  /** The first sequence to compare, which every log under comparison must still have. 1 by default. */
  readonly first?: () => Promise<number> | number;
  /** As for `iterableReplica`: 8 MiB by default. */
  readonly windowBytes?: number;
  /** Makes the hash of digests, the same for all that are compared. SHA-256 by default. */
  readonly createHash?: CreateHash;
}

const optionNames: Record<keyof LogReplicaOptions, 0> = {
  name: 0,
  kind: 0,
  read: 0,
  last: 0,
  first: 0,
  windowBytes: 0,
  createHash: 0,
};

export interface LogEntry {
  readonly sequence: number;
  readonly data: Uint8Array;
}

/**
 * A log, or an archive of one, as a replica: each entry is a value under its sequence (`sequenceKey`). The logs of a group and its archive
 * are then compared like trees, and a finding's key is the sequence of a record.
 */
export function logReplica(options: LogReplicaOptions): ReplicaSource {
  const { name, read, last, first = () => 1, kind = "log", ...rest } = checkOptions("logReplica", options, optionNames);
  if (typeof read !== "function") throw badArgument("read", "a function", read);
  if (typeof last !== "function") throw badArgument("last", "a function", last);
  checkedFunction("first", first);
  const source = iterableReplica({
    name,
    ...rest,
    open: async (at: Position) => {
      const end = await last();
      if (end < at) throw behind(name, at, `it ends at ${end}`);
      const start = await first();
      return { from: (key) => entries(read(Math.max(start, keySequence(key))), at) };
    },
  });
  return { ...source, kind };
}

async function* entries(source: AsyncIterable<LogEntry> | Iterable<LogEntry>, at: Position): AsyncIterable<Entry> {
  for await (const { sequence, data } of source) {
    if (sequence > at) return;
    yield { key: sequenceKey(sequence), value: data };
  }
}
