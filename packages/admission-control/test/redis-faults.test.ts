import { randomBytes } from "node:crypto";
import { channel } from "node:diagnostics_channel";
import { type AddressInfo, createServer, connect as open, type Server, type Socket } from "node:net";
import type { Redis, RedisOptions } from "ioredis";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import { RedisServer, until } from "../../../scripts/redis-server.js";
import { Admission, type AdmissionOptions, type Limit } from "../src/index.js";
import { redisCoordinator } from "../src/redis/index.js";
import { expectSafeShare } from "./safe-share.js";

const LIMIT = { ratePerSecond: 1000, burstSeconds: 1 };
const LEASE_MS = 700;
/** Where no lease is to end: so long no machine stands still. */
const STEADY = { leaseMs: 60_000, learnForMs: 3000 };
const KEY = "evenkeel:admission:{l}";

/** What a service's address does: leads to one server, and after a failover to another. */
class Address {
  readonly port: number;
  target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number, target: number, server: Server) {
    this.port = port;
    this.target = target;
    this.#server = server;
  }

  static async of(target: number): Promise<Address> {
    const server = createServer((near) => {
      const far = open(address.target, "127.0.0.1");
      for (const socket of [near, far]) {
        address.#sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => {
          near.destroy();
          far.destroy();
          address.#sockets.delete(socket);
        });
      }
      near.pipe(far).pipe(near);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = new Address((server.address() as AddressInfo).port, target, server);
    return address;
  }

  pointTo(target: number, cut = true): void {
    this.target = target;
    if (cut) for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.pointTo(this.target);
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describeWith(missingCommand("redis-server", "redis-server"), "members of a coordinator in Redis", () => {
  const cleanUp: (() => Promise<unknown> | unknown)[] = [];
  const events: string[] = [];
  let server: RedisServer;

  const listen = (name: string) => {
    const topic = channel(`evenkeel:admission-control:${name}`);
    const listener = () => void events.push(name);
    topic.subscribe(listener);
    cleanUp.push(() => topic.unsubscribe(listener));
  };

  function join(
    from: { client(options?: RedisOptions): Redis },
    options: Partial<AdmissionOptions> & { redis?: RedisOptions; leaseMs?: number; learnForMs?: number } = {},
  ): { admission: Admission; limit: Limit; redis: Redis } {
    const { redis: redisOptions, leaseMs = LEASE_MS, learnForMs = 0, ...rest } = options;
    const redis = from.client(redisOptions);
    const admission = new Admission({
      coordinator: redisCoordinator(redis, { leaseMs, learnForMs }),
      member: "m",
      settleEveryMs: 100,
      settleTimeoutMs: 300,
      ...rest,
    });
    cleanUp.push(async () => {
      await admission.close();
      redis.disconnect();
    });
    return { admission, limit: admission.limit("l", LIMIT), redis };
  }

  /** Each trouble is told once, and its end. A machine that stands still for longer than a lease is a trouble of its own. */
  async function toldInTurn(): Promise<void> {
    await until(() => events.length > 0 && events.at(-1) === "recovered");
    expect(events).toEqual(events.map((_, i) => (i % 2 === 0 ? "degraded" : "recovered")));
  }

  const hasLease = (limit: Limit) => until(() => limit.stats().mode === "lease");
  /** Decides on and on, as requests do, until it holds: every answer is there at once, as a value. */
  async function decideUntil(limit: Limit, condition: () => boolean): Promise<void> {
    await until(() => {
      for (let i = 0; i < 100; i += 1) expect(typeof limit.tryTake(1)).toBe("boolean");
      return condition();
    });
  }

  beforeEach(async () => {
    events.length = 0;
    server = await RedisServer.start();
    cleanUp.push(() => server.stop());
    listen("degraded");
    listen("recovered");
  });
  afterEach(async () => {
    for (const clean of cleanUp.splice(0).reverse()) await clean();
  });

  it("live on the policy while it is down at their start, and on leases when it comes", async () => {
    await server.kill();
    const { limit, admission } = join(server);
    expectSafeShare(limit);
    await until(() => admission.stats().failures > 1);
    expect(limit.stats()).toMatchObject({ mode: "policy" });
    await server.start();
    await hasLease(limit);
    await until(() => limit.stats().sharePerSecond === 1000);
    await toldInTurn();
  });

  it("spend their last share while it is dead, then do as the policy says, then recover", async () => {
    const [safe, deny, allow] = (["safe-share", "deny", "allow"] as const).map((whenAway) =>
      join(server, { whenAway }),
    );
    for (const { limit } of [safe, deny, allow] as { limit: Limit }[]) await hasLease(limit);
    await server.kill();
    const limits = [safe, deny, allow].map((one) => (one as { limit: Limit }).limit);
    await until(() => limits.every((limit) => limit.stats().mode === "policy"));
    expect(limits[0]?.stats().sharePerSecond).toBe(0);
    expect(limits[1]?.tryTake(1)).toBe(false);
    for (let i = 0; i < 5000; i += 1) expect(limits[2]?.tryTake(1)).toBe(true);
    await until(() => limits[0]?.tryTake(1) === true);
    // Told at the next settlement that fails: where the server is back before that, there was no trouble.
    await until(() => [safe, deny, allow].every((one) => one?.admission.stats().degraded));
    await server.start();
    for (const limit of limits) await hasLease(limit);
    const count = (wanted: string) => events.filter((name) => name === wanted).length;
    await until(() => count("recovered") >= 3 && count("recovered") === count("degraded"));
    expect(safe?.admission.stats().degraded).toBe(false);
  });

  it("never wait for a server that stalls, and go on when it does", async () => {
    const { limit, admission } = join(server);
    await hasLease(limit);
    server.signal("SIGSTOP");
    // A lease may also end because this machine stood still: that the server does is told a while later then.
    const told = () => String((admission.stats().lastError as { code?: string } | undefined)?.code);
    await decideUntil(limit, () => limit.stats().mode === "policy" && /^ERR_ADMISSION_(TIMEOUT|AWAY)$/.test(told()));
    await until(() => admission.stats().degraded);
    server.signal("SIGCONT");
    await decideUntil(limit, () => limit.stats().mode === "lease");
    await until(() => !admission.stats().degraded);
    await toldInTurn();
  });

  it("do not notice that its scripts were flushed", async () => {
    const { limit, admission, redis } = join(server, { leaseMs: STEADY.leaseMs, settleTimeoutMs: 30_000 });
    await hasLease(limit);
    await redis.script("FLUSH");
    const before = admission.stats().settlements;
    await until(() => admission.stats().settlements > before + 2);
    expect(admission.stats()).toMatchObject({ failures: 0, degraded: false });
  });

  it("keep their shares when all books are flushed, and newcomers get a small part until these are learnt", async () => {
    const old = join(server, STEADY);
    await until(() => old.limit.stats().sharePerSecond === 1000);
    await old.redis.flushall();
    const newcomer = join(server, { ...STEADY, whenAway: "deny" });
    await hasLease(newcomer.limit);
    expect(newcomer.limit.stats().sharePerSecond).toBeLessThanOrEqual(50);
    expect(old.limit.stats().sharePerSecond).toBeGreaterThanOrEqual(900);
    await until(() => newcomer.limit.stats().sharePerSecond > 300);
    expect(newcomer.limit.stats().sharePerSecond + old.limit.stats().sharePerSecond).toBeLessThanOrEqual(1000 + 1e-6);
  });

  it.each([
    ["something else stands at the key", /WRONGTYPE/, (r: Redis) => r.set(KEY, "x"), (r: Redis) => r.del(KEY)],
    [
      "its memory is full",
      /OOM/,
      (r: Redis) => r.config("SET", "maxmemory", "1"),
      (r: Redis) => r.config("SET", "maxmemory", "0"),
    ],
    [
      "it was made a replica",
      /READONLY|MASTERDOWN/,
      (r: Redis) => r.replicaof("127.0.0.1", 1),
      (r: Redis) => r.replicaof("NO", "ONE"),
    ],
    [
      "its books are of a version to come",
      /version 99/,
      (r: Redis) =>
        r.eval(
          `redis.call('DEL', KEYS[1]) local p = cmsgpack.pack({ 99 }) redis.call('HSET', KEYS[1], 'books', string.sub(redis.sha1hex(p), 1, 8) .. p)`,
          1,
          KEY,
        ),
      (r: Redis) => r.del(KEY),
    ],
    [
      "a byte of its books is another",
      /damaged/,
      (r: Redis) => r.eval("redis.call('HSET', KEYS[1], 'books', redis.call('HGET', KEYS[1], 'books') .. 'x')", 1, KEY),
      (r: Redis) => r.del(KEY),
    ],
    [
      "they may not ask who the server is",
      /INFO/,
      (r: Redis) => r.call("ACL", "SETUSER", "default", "-info"),
      (r: Redis) => r.call("ACL", "SETUSER", "default", "+info"),
    ],
  ] as const)("say why while %s, and recover after it", async (_what, error, harm, heal) => {
    const { limit, admission } = join(server);
    await hasLease(limit);
    const other = server.client();
    cleanUp.push(() => other.disconnect());
    await harm(other);
    // A busy machine may miss an answer before it says so.
    await until(() => admission.stats().degraded && error.test(String(admission.stats().lastError)));
    expect(admission.stats().lastError).toMatchObject({ code: "ERR_ADMISSION_AWAY", cause: { name: "ReplyError" } });
    await heal(other);
    await until(() => !admission.stats().degraded && limit.stats().mode === "lease");
    await toldInTurn();
  });

  it("wait out a server that loads its data", async () => {
    const redis = server.client();
    for (let i = 0; i < 40; i += 1) await redis.set(`filler:${i}`, randomBytes(4096).toString("hex"));
    await redis.save();
    redis.disconnect();
    const { limit, admission } = join(server, { redis: { enableReadyCheck: false } });
    await hasLease(limit);
    await server.kill();
    await until(() => admission.stats().degraded);
    const started = server.start("--key-load-delay", "40000", "--loading-process-events-interval-bytes", "1024");
    await until(() => /LOADING/.test(String(admission.stats().lastError)));
    await started;
    await until(() => !admission.stats().degraded);
  });

  it("keep to the limit through a failover to a replica that missed the last writes", async () => {
    const replica = await RedisServer.start("--replicaof", `127.0.0.1 ${server.port}`);
    cleanUp.push(() => replica.stop());
    const address = await Address.of(server.port);
    cleanUp.push(() => address.close());
    const service = {
      client: (options: RedisOptions = {}) =>
        server.client({
          ...options,
          port: address.port,
          // What ioredis needs to leave a primary that was made a replica.
          reconnectOnError: (error) => error.message.startsWith("READONLY"),
        }),
    };
    const early = join(service, STEADY);
    await until(() => early.limit.stats().sharePerSecond === 1000);
    const control = replica.client();
    cleanUp.push(() => control.disconnect());
    await until(async () => (await control.exists(KEY)) === 1);
    // From here on the replica hears nothing any more: the second member's lease is known to the old primary alone.
    await control.replicaof("NO", "ONE");
    const late = join(service, STEADY);
    await until(() => {
      early.limit.tryTake(1);
      late.limit.tryTake(20);
      return late.limit.stats().sharePerSecond > 300;
    });
    const held = late.limit.stats().sharePerSecond;
    await server.kill();
    address.pointTo(replica.port);
    const newcomer = join(service, { ...STEADY, whenAway: "deny" });
    await hasLease(newcomer.limit);
    const shares = () => [early, late, newcomer].map(({ limit }) => limit.stats().sharePerSecond);
    expect(shares()[2]).toBeLessThanOrEqual(50 + 1e-6);
    let most = 0;
    await until(() => {
      most = Math.max(
        most,
        shares().reduce((sum, share) => sum + share, 0),
      );
      return (shares()[2] as number) > 100;
    });
    expect(held).toBeGreaterThan(300);
    // The newcomer's small part is all that the lost writes can cost.
    expect(most).toBeLessThanOrEqual(1050 + 1e-6);
    expect([early, late].map(({ limit }) => limit.stats().mode)).toEqual(["lease", "lease"]);
  });

  it("leave a primary that was made a replica for the one that is now", async () => {
    const second = await RedisServer.start("--replicaof", `127.0.0.1 ${server.port}`);
    cleanUp.push(() => second.stop());
    const address = await Address.of(server.port);
    cleanUp.push(() => address.close());
    const { limit, admission } = join({
      client: () =>
        server.client({ port: address.port, reconnectOnError: (error) => error.message.startsWith("READONLY") }),
    });
    await hasLease(limit);
    const [first, other] = [server.client(), second.client()];
    cleanUp.push(() => {
      for (const redis of [first, other]) redis.disconnect();
    });
    await until(async () => (await other.exists(KEY)) === 1);
    await other.replicaof("NO", "ONE");
    // The old connections stay open, as they do behind a name that was moved.
    address.pointTo(second.port, false);
    await first.replicaof("127.0.0.1", second.port);
    await until(
      async () => Number((await other.info("commandstats")).match(/cmdstat_evalsha:calls=(\d+)/)?.[1] ?? 0) > 2,
    );
    await until(() => admission.stats().lastError === undefined && limit.stats().mode === "lease");
  });
});
