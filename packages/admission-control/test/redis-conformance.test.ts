import { readFileSync } from "node:fs";
import { BucketLevel } from "@evenkeel/token-bucket";
import fc from "fast-check";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import { RedisServer } from "../../../scripts/redis-server.js";
import { type LedgerTerms, LimitLedger } from "../src/core/limit-ledger.js";
import type { Settlement } from "../src/index.js";
import { redisCoordinator } from "../src/redis/index.js";
import { SETTLE } from "../src/redis/script.js";
import { coordinatorCases } from "../src/testing/index.js";

interface Step {
  afterMs: number;
  who: number;
  wantedPerSecond: number;
  weight: number;
  guaranteedPerSecond: number;
  ratePerSecond: number;
  returned: number;
  holds: string;
  what: string;
}

describeWith(missingCommand("redis-server", "redis-server"), "the coordinator in Redis", () => {
  let server: RedisServer;
  let redis: Redis;
  beforeAll(async () => {
    server = await RedisServer.start();
    redis = server.client();
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });

  // The script on a clock that the test sets, because on a real one a lease may end while the machine does something else.
  const onStagedClock = SETTLE.replace("redis.call('TIME')", "{ ARGV[16], ARGV[17] }");
  const cases = coordinatorCases((terms) => {
    let nowMs = 1_000_000;
    const evalsha = (_script: string, keys: number, ...args: (string | number)[]) =>
      redis.eval(onStagedClock, keys, ...args, Math.floor(nowMs / 1000), (nowMs % 1000) * 1000);
    return {
      coordinator: redisCoordinator({ evalsha, eval: evalsha }, terms),
      pass: async (ms) => {
        nowMs += ms;
      },
      close() {},
    };
  });
  for (const { name, run } of cases) it(name, run);

  it("reads books of version 1 as they were written then, on another server", async () => {
    const fixture = readFileSync(new URL("./fixtures/redis-books-v1.json", import.meta.url), "utf8");
    const books = JSON.parse(fixture) as Record<string, string>;
    for (const [field, value] of Object.entries(books)) {
      await redis.hset("evenkeel:admission:{orders:write}", field, Buffer.from(value, "base64"));
    }
    const coordinator = redisCoordinator(redis);
    const settle = async (change: Partial<Settlement>) => {
      const said = {
        limit: "orders:write",
        member: "router",
        incarnation: "a",
        sequence: 8,
        ratePerSecond: 1000,
        burstSeconds: 2.5,
        wantedPerSecond: 400.5,
        weight: 1,
        guaranteedPerSecond: 0,
        holdsPerSecond: 1000,
        usedTotal: 0,
        returnedTotal: 12.25,
        closing: false,
        ...change,
      };
      return (await coordinator.settle([said], { signal: AbortSignal.timeout(10_000) }))[0];
    };
    // What was answered then is answered again.
    expect(await settle({})).toMatchObject({ sequence: 8, lease: "7", tokensTotal: 2500, evenPerSecond: 500 });
    // The books came from elsewhere: nobody gets more before a lease has passed, nobody loses what it holds.
    expect(await settle({ sequence: 9, holdsPerSecond: 600 })).toMatchObject({ ratePerSecond: 600 });
    const newcomer = await settle({ incarnation: "c", sequence: 1, holdsPerSecond: 0, wantedPerSecond: 1000 });
    expect(newcomer?.ratePerSecond).toBe(50);
  });

  it("goes on from where its books were when the server's clock is set back", async () => {
    const staged = SETTLE.replace("redis.call('TIME')", "{ ARGV[16], '0' }");
    const settleAt = (second: number, who: string, sequence: number, holds: number) =>
      redis.eval(
        staged,
        1,
        "clock",
        ...[who, sequence, 1000, 1, 1000, 1, 0, holds, 0, 0, 10_000, 0, 0.05, 100, 86_400_000, second],
      ) as Promise<string[]>;
    expect(Number((await settleAt(10_000, "a", 1, 0))[2])).toBe(1000);
    // An hour back: "a" has its lease for ten seconds more, not for an hour, and nothing of it is given to "b" before.
    expect(Number((await settleAt(6400, "b", 1, 0))[2])).toBe(0);
    expect(Number((await settleAt(6409, "b", 2, 0))[2])).toBe(0);
    expect(Number((await settleAt(6411, "b", 3, 0))[2])).toBe(1000);
  });

  it.each([
    ["redis", {}, {}],
    ["prefix", undefined, { prefix: "a{b}" }],
    ["leaseMs", undefined, { leaseMs: 1 }],
    ["learningShare", undefined, { learningShare: 2 }],
    ["keepMs", undefined, { keepMs: 5 }],
  ])("refuses a wrong %s", (name, client, options) => {
    expect(() => redisCoordinator((client ?? redis) as Redis, options)).toThrow(
      expect.objectContaining({ code: "ERR_ADMISSION_ARGUMENT", message: expect.stringContaining(name) }),
    );
  });

  const step = { wantedPerSecond: 0, weight: 1, guaranteedPerSecond: 0, ratePerSecond: 1000, returned: 0 } as const;
  const settles = (afterMs: number, who: number, more: { ratePerSecond?: 300; guaranteedPerSecond?: 50 | 700 } = {}) =>
    ({ ...step, afterMs, who, holds: "granted", what: "settle", ...more }) as const;
  // One way of adding up left 1e-14 of the flow, which was granted, and with it room for a whole token.
  const roundedToNothing: [Step[], number] = [
    [
      settles(0, 0),
      settles(639, 0),
      settles(933, 3, { guaranteedPerSecond: 50 }),
      settles(2009, 0, { guaranteedPerSecond: 700, ratePerSecond: 300 }),
      settles(188, 1, { guaranteedPerSecond: 700 }),
      settles(1231, 2),
      settles(1999, 0),
    ],
    5000,
  ];
  // Three leases end at one moment: what was saved depended on which of them was let go of first.
  const endTogether: [Step[], number] = [
    [
      settles(0, 2),
      settles(0, 0),
      settles(0, 2, { ratePerSecond: 300 }),
      settles(0, 4),
      { ...settles(363, 3, { ratePerSecond: 300 }), what: "close" },
      settles(4637, 0),
    ],
    0,
  ];

  it("keeps the same books as the ones in memory, whatever is settled and whenever", async () => {
    // The script, on a clock that the test sets: everything else is as it ships.
    const staged = SETTLE.replace("redis.call('TIME')", "{ ARGV[16], '0' }")
      .replace("tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000", "tonumber(time[1])")
      .replace("local run = string.match(info, 'run_id:(%w+)') or 'unknown'", "local run = ARGV[17]");
    expect(staged.match(/ARGV\[1[67]\]/g)).toHaveLength(2);
    const step = fc.record({
      afterMs: fc.oneof(fc.integer({ min: 0, max: 1500 }), fc.integer({ min: 0, max: 12_000 })),
      who: fc.nat(6),
      wantedPerSecond: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 3000, noNaN: true })),
      weight: fc.constantFrom(1, 1, 2, 0.3),
      guaranteedPerSecond: fc.constantFrom(0, 0, 50, 700),
      ratePerSecond: fc.constantFrom(1000, 1000, 1000, 300),
      returned: fc.constantFrom(0, 0, 5, 300, -20),
      holds: fc.constantFrom("granted", "granted", "granted", "nothing", "half"),
      what: fc.constantFrom("settle", "settle", "settle", "settle", "again", "close", "restored"),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 3, maxLength: 40 }),
        fc.constantFrom(0, 5000),
        async (steps, learnForMs) => {
          run += 1;
          let nowMs = 1_000_000;
          const terms: LedgerTerms = {
            leaseMs: 5000,
            learnForMs,
            learningShare: 0.05,
            membersMax: 5,
            newLevel: (level, atMs) => new BucketLevel(level, atMs),
          };
          let books: LimitLedger | undefined;
          const members = new Map<number, { sequence: number; granted: number; returned: number; said: Settlement }>();
          let server = "a";
          for (const [i, { afterMs, who, what, holds, returned, ...wish }] of steps.entries()) {
            nowMs += i === 0 ? 0 : afterMs;
            if (what === "restored") {
              server += "a";
              books?.restored(nowMs, terms);
            }
            const member = members.get(who) ?? { sequence: 0, granted: 0, returned: 0, said: undefined as never };
            members.set(who, member);
            if (what !== "again" || member.sequence === 0) {
              member.sequence += 1;
              member.returned += returned;
              member.said = {
                limit: "l",
                member: "m",
                incarnation: `${who}`,
                sequence: member.sequence,
                burstSeconds: 2,
                ...wish,
                holdsPerSecond: member.granted * (holds === "granted" ? 1 : holds === "half" ? 0.5 : 0),
                usedTotal: 0,
                returnedTotal: member.returned,
                closing: what === "close",
              };
            }
            const said = member.said;
            books ??= new LimitLedger(said, nowMs, terms, nowMs + learnForMs);
            const mine = books.settle(said, nowMs, terms);
            const reply = (await redis.eval(
              staged,
              1,
              `differential:${run}`,
              ...[`${said.member}\n${said.incarnation}`, said.sequence, said.ratePerSecond, said.burstSeconds],
              ...[said.wantedPerSecond, said.weight, said.guaranteedPerSecond, said.holdsPerSecond, said.returnedTotal],
              ...[said.closing ? 1 : 0, terms.leaseMs, learnForMs, terms.learningShare, terms.membersMax, 60_000],
              ...[nowMs, server],
            )) as string[] | null;
            if (mine === undefined) {
              expect(reply).toBeNull();
              continue;
            }
            expect(reply).not.toBeNull();
            const [sequence, lease, rate, tokens, leaseMs, even, short, count, out] = reply as string[];
            expect(Number(sequence)).toBe(mine.sequence);
            expect(lease).toBe(mine.lease);
            expect(Number(rate)).toBeCloseTo(mine.ratePerSecond, 6);
            expect(Number(tokens)).toBeCloseTo(mine.tokensTotal, 5);
            expect(Number(leaseMs)).toBe(mine.leaseMs);
            expect(Number(even)).toBeCloseTo(mine.evenPerSecond, 6);
            expect(short === "1").toBe(mine.short);
            expect(Number(count)).toBe(books.members);
            expect(Number(out)).toBeCloseTo(books.outstandingPerSecond(), 6);
            member.granted = mine.ratePerSecond;
          }
        },
      ),
      { numRuns: 150, examples: [roundedToNothing, endTogether] },
    );
  });
});
