import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Cluster } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import { RedisServer, until } from "../../../scripts/redis-server.js";
import { Admission } from "../src/index.js";
import { redisCoordinator } from "../src/redis/index.js";

const run = promisify(execFile);
const LIMIT = { ratePerSecond: 1000, burstSeconds: 1 };

describeWith(missingCommand("redis-cli", "redis-tools"), "a Redis Cluster of three nodes", () => {
  const nodes: RedisServer[] = [];
  const open: { close(): unknown }[] = [];
  let cluster: Cluster;

  beforeAll(async () => {
    for (let i = 0; i < 3; i += 1) {
      nodes.push(
        await RedisServer.start(
          "--cluster-enabled",
          "yes",
          "--cluster-node-timeout",
          "2000",
          "--cluster-require-full-coverage",
          "no",
        ),
      );
    }
    const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
    await run("redis-cli", ["--cluster", "create", ...addresses, "--cluster-replicas", "0", "--cluster-yes"]);
    cluster = new Cluster(
      nodes.map(({ port }) => ({ host: "127.0.0.1", port })),
      { clusterRetryStrategy: () => 100, redisOptions: { maxRetriesPerRequest: 0 } },
    );
    cluster.on("error", () => {});
    await until(async () => (await cluster.cluster("INFO")).includes("cluster_state:ok"));
  });
  afterAll(async () => {
    for (const one of open) await one.close();
    cluster?.disconnect();
    for (const node of nodes) await node.stop();
  });

  function join(): Admission {
    const admission = new Admission({
      coordinator: redisCoordinator(cluster, { leaseMs: 3000, learnForMs: 0 }),
      member: "m",
      settleEveryMs: 250,
      settleTimeoutMs: 2000,
    });
    open.push(admission);
    return admission;
  }

  // redis-cli moves slots one by one: on a busy machine that takes a while.
  it("spreads limits over its nodes, follows slots that move, and loses only a dead node's limits", {
    timeout: 300_000,
  }, async () => {
    const [one, two] = [join(), join()];
    const names = Array.from({ length: 60 }, (_, i) => `limit-${i}`);
    const limits = names.map((name) => [one.limit(name, LIMIT), two.limit(name, LIMIT)] as const);
    const leased = () => limits.filter((pair) => pair.every((limit) => limit.stats().mode === "lease")).length;
    const sums = () => limits.map((pair) => pair.reduce((sum, limit) => sum + limit.stats().sharePerSecond, 0));
    await until(() => leased() === 60 && sums().every((sum) => sum > 600));
    for (const sum of sums()) expect(sum).toBeLessThanOrEqual(1000 + 1e-6);
    const clients = nodes.map((node) => node.client());
    open.push(...clients.map((client) => ({ close: () => client.disconnect() })));
    const keysPerNode = await Promise.all(clients.map((client) => client.dbsize()));
    expect(keysPerNode.reduce((sum, keys) => sum + keys, 0)).toBe(60);
    expect(Math.min(...keysPerNode)).toBeGreaterThan(0);

    // MOVED and ASK, as slots wander while settlements go on.
    const ids = await Promise.all(clients.map((client) => client.cluster("MYID")));
    await run("redis-cli", [
      ...["--cluster", "reshard", `127.0.0.1:${nodes[0]?.port}`],
      ...[
        "--cluster-from",
        ids[0] as string,
        "--cluster-to",
        ids[1] as string,
        "--cluster-slots",
        "1500",
        "--cluster-yes",
      ],
    ]);
    expect(await clients[1]?.dbsize()).toBeGreaterThan(keysPerNode[1] as number);
    const before = one.stats().settlements;
    await until(() => one.stats().settlements > before + 5 && leased() === 60 && sums().every((sum) => sum > 600));
    for (const sum of sums()) expect(sum).toBeLessThanOrEqual(1000 + 1e-6);

    const lost = Number(await clients[2]?.dbsize());
    await nodes[2]?.kill();
    await until(() => leased() <= 60 - lost);
    await until(() => leased() === 60 - lost && one.stats().degraded);
    await until(() => sums().filter((sum) => sum > 600).length === 60 - lost);
  });
});
