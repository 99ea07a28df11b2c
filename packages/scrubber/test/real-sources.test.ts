import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import { RedisServer } from "../../../scripts/redis-server.js";
import { Scrubber } from "../src/index.js";
import { postgresTable } from "../src/postgres/index.js";
import { redisKeyspace } from "../src/redis/index.js";
import { missingPostgres, PostgresServer } from "./support/postgres-server.js";
import { text } from "./support/sources.js";
import { withDir } from "./support/temporary-dir.js";

const COUNT = 3_000;
const keyOf = (i: number) => `user:${i}`;
const profileOf = (i: number) => `the profile of user ${i}, `.repeat(1 + (i % 9));

const found = (divergences: readonly { key: Uint8Array; replica: string; kind: string }[]) =>
  divergences.map(({ key, replica, kind }) => `${text(key)} ${kind} on ${replica}`);

async function scrubFromShell(one: number, two: number): Promise<{ status: number | null; out: string }> {
  return await withDir(async (dir) => {
    const config = join(dir, "keyspaces.mjs");
    // The README's, as it is printed, but for where the servers are and the packages lie.
    const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
    const printed = /```js\n(import \{ redisKeyspace \}.*?)```/s.exec(readme)?.[1] as string;
    const changes = [
      ['"@evenkeel/scrubber/redis"', JSON.stringify(new URL("../src/redis/index.ts", import.meta.url).href)],
      ['"ioredis"', JSON.stringify(import.meta.resolve("ioredis"))],
      ["redis://one", `redis://127.0.0.1:${one}`],
      ["redis://two", `redis://127.0.0.1:${two}`],
    ] as const;
    for (const [from] of changes) expect(printed).toContain(from);
    await writeFile(
      config,
      changes.reduce((text, [from, to]) => text.replace(from, to), printed),
    );
    const program = fileURLToPath(new URL("../src/evenkeel-scrub.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), program, "--config", config]);
    let out = "";
    child.stdout.on("data", (chunk) => {
      out += chunk;
    });
    const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
    return { status, out };
  });
}

describeWith(missingCommand("redis-server", "redis-server"), "two Redis keyspaces", () => {
  it("agree while one replicates the other, and what was damaged in the copy is named", {
    timeout: 300_000,
  }, async () => {
    const [one, two] = [await RedisServer.start(), await RedisServer.start()];
    const [primary, replica] = [one.client(), two.client()];
    try {
      const pairs = Array.from({ length: COUNT }, (_, i) => [keyOf(i), profileOf(i)]).flat();
      await primary.callBuffer("MSET", ...pairs);
      await primary.callBuffer("SET", "session:1", "not compared");
      await replica.callBuffer("REPLICAOF", "127.0.0.1", `${one.port}`);
      await expect
        .poll(async () => String(await replica.callBuffer("GET", "session:1")), { timeout: 60_000 })
        .toBe("not compared");
      const sources = [
        redisKeyspace({ name: "primary", redis: primary, match: "user:*" }),
        redisKeyspace({ name: "replica", redis: replica, match: "user:*" }),
      ];
      const scrubber = new Scrubber({ replicas: sources, position: () => 0, stepBytes: 64 * 1024 });
      expect(await scrubber.pass()).toMatchObject({ complete: true, keys: COUNT, divergences: [] });

      await replica.callBuffer("CONFIG", "SET", "replica-read-only", "no");
      await replica.callBuffer("SETRANGE", keyOf(2_718), "4", "P");
      await replica.callBuffer("DEL", keyOf(31));
      await replica.callBuffer("SET", "user:31x", "nobody");
      const { divergences } = await scrubber.pass();
      expect([...new Set(divergences.map(({ key }) => text(key)))]).toEqual(["user:2718", "user:31", "user:31x"]);

      // From a shell it ends by itself, though the configuration's clients stay connected.
      const { status, out } = await scrubFromShell(one.port, two.port);
      expect(out).toBe(
        "user:2718: differs, and no two sources agree\nuser:31: is missing in copy, and no two sources agree\n" +
          `user:31x: is missing in primary, and no two sources agree\n\n${COUNT} keys in 2 sources compared: 3 differ\n`,
      );
      expect(status).toBe(1);
    } finally {
      for (const client of [primary, replica]) client.disconnect();
      await Promise.all([one.stop(), two.stop()]);
    }
  });
});

describeWith(missingCommand("redis-server", "redis-server"), "Redis values that are no strings", () => {
  it("agree whatever order they were written in, and what differs in one part of one of them is named", {
    timeout: 300_000,
  }, async () => {
    const [one, two] = [await RedisServer.start(), await RedisServer.start()];
    const clients = [one.client(), two.client()];
    try {
      const many = Array.from({ length: 700 }, (_, i) => `part ${i}`);
      for (const [index, client] of clients.entries()) {
        const parts = index === 0 ? many : many.toReversed();
        await client.callBuffer("SADD", "set", ...parts);
        await client.callBuffer("HSET", "hash", ...parts.flatMap((part) => [part, `of ${part}`]));
        await client.callBuffer("ZADD", "zset", ...parts.flatMap((part) => [`${part.length}`, part]));
        await client.callBuffer("RPUSH", "list", ...many);
        await client.callBuffer("XADD", "stream", "1-1", "field", "value");
        await client.callBuffer("SET", "string", "");
      }
      const replicas = clients.map((redis, index) => redisKeyspace({ name: `redis-${index + 1}`, redis }));
      const scrubber = new Scrubber({ replicas, position: () => 0 });
      expect(await scrubber.pass()).toMatchObject({ complete: true, keys: 6, divergences: [], unreadable: [] });

      await clients[1]?.callBuffer("HSET", "hash", "part 0", "something else");
      await clients[1]?.callBuffer("SREM", "set", "part 699");
      await clients[1]?.callBuffer("ZINCRBY", "zset", "1", "part 5");
      await clients[1]?.callBuffer("LSET", "list", "3", "part 4");
      await clients[1]?.callBuffer("XADD", "stream", "1-2", "field", "value");
      const { divergences } = await scrubber.pass();
      expect([...new Set(divergences.map(({ key }) => text(key)))]).toEqual(["hash", "list", "set", "stream", "zset"]);
    } finally {
      for (const client of clients) client.disconnect();
      await Promise.all([one.stop(), two.stop()]);
    }
  });
});

describeWith(missingPostgres, "two PostgreSQL tables", () => {
  it("agree whatever their collations, differ where a row does, and a key that is NULL is told", {
    timeout: 300_000,
  }, async () => {
    const postgres = await PostgresServer.start();
    try {
      await postgres.run(
        `CREATE TABLE one (id bigint PRIMARY KEY, name text, at timestamptz);
         INSERT INTO one SELECT i, nullif(repeat('ä', i % 7), ''), to_timestamp(i) FROM generate_series(1, 2500) AS i;
         CREATE TABLE two AS SELECT * FROM one;`,
      );
      const connect = () => postgres.connect();
      const replicas = ["one", "two"].map((table) => postgresTable({ name: table, connect, table, key: "id" }));
      const scrubber = new Scrubber({ replicas, position: () => 0, stepBytes: 16 * 1024 });
      expect(await scrubber.pass()).toMatchObject({ complete: true, keys: 2500, divergences: [], unreadable: [] });

      await postgres.run(
        `UPDATE two SET name = '' WHERE id = 7; UPDATE two SET at = at + interval '1 us' WHERE id = 1000;
         DELETE FROM two WHERE id = 2500;`,
      );
      const { divergences } = await scrubber.pass();
      expect([...new Set(divergences.map(({ key }) => text(key)))]).toEqual(["1000", "2500", "7"]);

      await postgres.run("INSERT INTO two VALUES (NULL, 'nobody')");
      const { absent, compared } = await scrubber.pass();
      expect(compared).toEqual([]);
      expect(absent.map(({ replica, cause }) => [replica, (cause as Error).message])).toContainEqual([
        "two",
        'key must be never NULL in two, got "id"',
      ]);
    } finally {
      await postgres.close();
    }
  });
});

describeWith(
  missingPostgres ?? missingCommand("redis-server", "redis-server"),
  "a PostgreSQL table and two caches of it",
  () => {
    it("agree while the table is written to, and the cache that is wrong is convicted", {
      timeout: 300_000,
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
        const table = postgresTable({
          name: "table",
          connect: () => postgres.connect(),
          table: "users",
          key: "id",
          value: "profile",
        });
        const [left, right] = caches.map((cache, index) =>
          redisKeyspace({ name: `cache-${index + 1}`, redis: cache, match: "user:*" }),
        );
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
