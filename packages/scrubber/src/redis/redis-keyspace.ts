import { badArgument, checkOptions, ScrubberError } from "../core/errors.js";
import type { ReplicaSource } from "../core/source.js";
import { iterableReplica } from "../iterable-replica.js";

/** What is needed of a client; ioredis fits. */
export interface RedisLike {
  callBuffer(command: string, ...args: (string | Buffer)[]): Promise<unknown>;
}

export interface RedisKeyspaceOptions {
  /** For findings to say; not empty, and no other source's of the same scrubber. */
  readonly name: string;
  /** A client of ioredis; it stays yours to close. */
  readonly redis: RedisLike;
  /** A pattern as SCAN takes it; `*` by default: everything. */
  readonly match?: string;
}

const optionNames: Record<keyof RedisKeyspaceOptions, 0> = { name: 0, redis: 0, match: 0 };

const SCAN_COUNT = "1000";
const BATCH_KEYS = 500;
const EMPTY = Buffer.alloc(0);

/**
 * The keys of a Redis database with their values: strings as they are; hashes, sets, sorted sets, lists and streams with their parts in an order that is the same on every server. SCAN gives keys in no order and may give one twice, so they are sorted here: keys alone are in memory, values come in batches, each value whole. Redis has no snapshots: compare while
 * nobody writes, or look again at what differs with a `PairScrubber`. Times to live are not compared.
 */
export function redisKeyspace(options: RedisKeyspaceOptions): ReplicaSource {
  const { name, redis, match = "*" } = checkOptions("redisKeyspace", options, optionNames);
  if (typeof redis?.callBuffer !== "function") throw badArgument("redis", "a client with callBuffer (ioredis)", redis);
  return iterableReplica({
    name,
    open: async () => {
      const keys = await sortedKeys(redis, match);
      return {
        from: async function* (from) {
          const wanted = keys.filter((key) => Buffer.compare(key, from) >= 0);
          for (let at = 0; at < wanted.length; at += BATCH_KEYS) {
            const batch = wanted.slice(at, at + BATCH_KEYS);
            const values = await valuesOf(redis, batch);
            for (const [index, key] of batch.entries()) {
              const value = values[index];
              // Gone since it was listed.
              if (value) yield { key, value };
            }
          }
        },
      };
    },
  });
}

async function sortedKeys(redis: RedisLike, match: string): Promise<Buffer[]> {
  const found = new Map<string, Buffer>();
  let cursor: string | Buffer = "0";
  do {
    const [next, keys] = (await redis.callBuffer("SCAN", cursor, "MATCH", match, "COUNT", SCAN_COUNT)) as [
      Buffer,
      Buffer[],
    ];
    for (const key of keys) found.set(key.toString("latin1"), key);
    cursor = next;
  } while (cursor.toString() !== "0");
  return [...found.values()].sort(Buffer.compare);
}

/** MGET says nothing of what is no string. */
async function valuesOf(redis: RedisLike, keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
  const strings = (await redis.callBuffer("MGET", ...keys)) as (Buffer | null)[];
  return await Promise.all(keys.map(async (key, index) => strings[index] ?? (await partsOf(redis, key))));
}

/** Pairs of what a client gives as one flat list. */
function* pairsOf(items: readonly Buffer[]): Iterable<readonly Buffer[]> {
  for (let at = 0; at < items.length; at += 2) yield items.slice(at, at + 2);
}

const inOrder = (items: Iterable<readonly Buffer[]>): Buffer[] =>
  [...items].sort(([a = EMPTY], [b = EMPTY]) => Buffer.compare(a, b)).flat();

type Nested = Buffer | readonly Nested[];

const flat = (nested: Nested): Buffer[] => (Buffer.isBuffer(nested) ? [nested] : nested.flatMap(flat));

/** By type: how it is asked for, and how what comes is put in an order that does not depend on the server's own tables. */
const READERS: Readonly<
  Record<string, { ask: readonly string[]; rest?: readonly string[]; order(items: Buffer[]): Buffer[] }>
> = {
  hash: { ask: ["HGETALL"], order: (items) => inOrder(pairsOf(items)) },
  set: { ask: ["SMEMBERS"], order: (items) => items.sort(Buffer.compare) },
  zset: { ask: ["ZRANGE"], rest: ["0", "-1", "WITHSCORES"], order: (items) => items },
  list: { ask: ["LRANGE"], rest: ["0", "-1"], order: (items) => items },
  stream: { ask: ["XRANGE"], rest: ["-", "+"], order: (items) => items },
};

/** Of what is no string: its type, then each of its parts with its length. Undefined: it is gone. */
async function partsOf(redis: RedisLike, key: Buffer): Promise<Buffer | undefined> {
  const type = String(await redis.callBuffer("TYPE", key));
  if (type === "none" || type === "string") return undefined;
  const reader = READERS[type];
  if (reader === undefined)
    throw new ScrubberError(
      "ERR_SCRUBBER_ARGUMENT",
      `match: ${JSON.stringify(key.toString())} is of type ${type}, which cannot be compared`,
    );
  const [command = "", ...args] = [...reader.ask, key, ...(reader.rest ?? [])];
  const parts = reader.order(flat((await redis.callBuffer(command as string, ...args)) as Nested));
  return Buffer.concat([
    Buffer.from(`\0${type}`),
    ...parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(part.length);
      return [length, part];
    }),
  ]);
}
