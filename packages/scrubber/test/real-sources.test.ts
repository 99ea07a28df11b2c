import { expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import { RedisServer } from "../../../scripts/redis-server.js";
import { Scrubber } from "../src/index.js";
import { postgresTable } from "./examples/postgres-table.js";
import { redisKeyspace } from "./examples/redis-keyspace.js";
import { missingPostgres, PostgresServer } from "./support/postgres-server.js";
import { text } from "./support/sources.js";

const COUNT = 3_000;
const keyOf = (i: number) => `user:${i}`;
const profileOf = (i: number) => `the profile of user ${i}, `.repeat(1 + (i % 9));

const found = (divergences: readonly { key: Uint8Array; replica: string; kind: string }[]) =>
  divergences.map(({ key, replica, kind }) => `${text(key)} ${kind} on ${replica}`);

describeWith(missingCommand("redis-server", "redis-server"), "two Redis keyspaces", () => {
  it("agree while one replicates the other, and what was damaged in the copy is named", {
    timeout: 120_000,
  }, async () => {
    const [one, two] = [await RedisServer.start(), await RedisServer.start()];
    const [primary, replica] = [one.client(), two.client()];
    try {
      const pairs = Array.from({ length: COUNT }, (_, i) => [keyOf(i), profileOf(i)]).flat();
      await primary.callBuffer("MSET", ...pairs);
      await primary.callBuffer("SET", "session:1", "not compared");
      await replica.callBuffer("REPLICAOF", "127.0.0.1", `${one.port}`);
      await expect
        .poll(async () => String(await replica.callBuffer("GET", "session:1")), { timeout: 30_000 })
        .toBe("not compared");
      const sources = [redisKeyspace("primary", primary, "user:*"), redisKeyspace("replica", replica, "user:*")];
      const scrubber = new Scrubber({ replicas: sources, position: () => 0, stepBytes: 64 * 1024 });
      expect(await scrubber.pass()).toMatchObject({ complete: true, keys: COUNT, divergences: [] });

      await replica.callBuffer("CONFIG", "SET", "replica-read-only", "no");
      await replica.callBuffer("SETRANGE", keyOf(2_718), "4", "P");
      await replica.callBuffer("DEL", keyOf(31));
      await replica.callBuffer("SET", "user:31x", "nobody");
      const { divergences } = await scrubber.pass();
      expect([...new Set(divergences.map(({ key }) => text(key)))]).toEqual(["user:2718", "user:31", "user:31x"]);
    } finally {
      for (const client of [primary, replica]) client.disconnect();
      await Promise.all([one.stop(), two.stop()]);
    }
  });
});

describeWith(
  missingPostgres ?? missingCommand("redis-server", "redis-server"),
  "a PostgreSQL table and two caches of it",
  () => {
    it("agree while the table is written to, and the cache that is wrong is convicted", {
      timeout: 120_000,
    }, async () => {
      const [postgres, one, two] = await Promise.all([
        PostgresServer.start(),
        RedisServer.start(),
        RedisServer.start(),
      ]);
      const caches = [one.client(), two.client()];
      try {
        const pairs = Array.from({ length: COUNT }, (_, i) => [keyOf(i), profileOf(i)]).flat();
        for (const cache of caches) await cache.callBuffer("MSET", ...pairs);
        await postgres.run(
          `CREATE TABLE users (id text PRIMARY KEY, profile text NOT NULL);
           INSERT INTO users SELECT 'user:' || i, repeat('the profile of user ' || i || ', ', 1 + i % 9)
           FROM generate_series(0, ${COUNT - 1}) AS i;`,
        );
        const table = postgresTable("table", postgres, "users", { key: "id", value: "profile" });
        const [left, right] = caches.map((cache, index) => redisKeyspace(`cache-${index + 1}`, cache, "user:*"));
        if (left === undefined || right === undefined) throw new Error("two caches");
        let steps = 0;
        const scrubber = new Scrubber({
          replicas: [left, right],
          reference: table,
          position: () => 0,
          stepBytes: 64 * 1024,
          // The table moves on under its snapshot.
          take: async () => {
            if (steps++ === 1)
              await postgres.run(
                "INSERT INTO users VALUES ('user:9000', 'new'); DELETE FROM users WHERE id = 'user:77'",
              );
          },
        });
        expect(await scrubber.pass()).toMatchObject({ complete: true, keys: COUNT, divergences: [], unreadable: [] });
        expect(steps).toBeGreaterThan(2);

        await caches[0]?.callBuffer("SET", "user:9000", "new");
        for (const cache of caches) await cache.callBuffer("DEL", "user:77");
        await caches[1]?.callBuffer("SETRANGE", keyOf(1_234), "0", "T");
        expect(found((await scrubber.pass()).divergences)).toEqual([
          "user:1234 different on cache-2",
          "user:9000 missing on cache-2",
        ]);
      } finally {
        for (const cache of caches) cache.disconnect();
        await Promise.all([postgres.close(), one.stop(), two.stop()]);
      }
    });
  },
);
