import { iterableReplica, type ReplicaSource } from "@evenkeel/scrubber";

/** What is needed of a client; ioredis fits. */
export interface RedisLike {
  callBuffer(command: string, ...args: (string | Buffer)[]): Promise<unknown>;
}

const BATCH = 500;

/**
 * The strings of a Redis keyspace. SCAN gives keys in no order and may give one twice, so they are sorted here (keys alone are in memory, values
 * come in batches). Redis has no snapshots: compare while nobody writes, or look again at what differs with a `PairScrubber`.
 */
export function redisKeyspace(name: string, redis: RedisLike, match: string): ReplicaSource {
  return iterableReplica({
    name,
    open: async () => {
      const found = new Map<string, Buffer>();
      let cursor: string | Buffer = "0";
      do {
        const [next, keys] = (await redis.callBuffer("SCAN", cursor, "MATCH", match, "COUNT", "1000")) as [
          Buffer,
          Buffer[],
        ];
        for (const key of keys) found.set(key.toString("latin1"), key);
        cursor = next;
      } while (cursor.toString() !== "0");
      const keys = [...found.values()].sort(Buffer.compare);
      return {
        from: async function* (from) {
          const wanted = keys.filter((key) => Buffer.compare(key, from) >= 0);
          for (let at = 0; at < wanted.length; at += BATCH) {
            const batch = wanted.slice(at, at + BATCH);
            const values = (await redis.callBuffer("MGET", ...batch)) as (Buffer | null)[];
            for (const [index, key] of batch.entries()) {
              const value = values[index];
              if (value) yield { key, value };
            }
          }
        },
      };
    },
  });
}
