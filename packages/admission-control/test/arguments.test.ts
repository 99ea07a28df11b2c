import { expect, it } from "vitest";
import { rateLimit } from "../src/http/express.js";
import { rateLimitFields, retryAfterSeconds } from "../src/http/index.js";
import { CoordinatorServer, httpCoordinator } from "../src/http-coordinator/index.js";
import { Admission, memoryCoordinator } from "../src/index.js";
import { redisCoordinator } from "../src/redis/index.js";

/** As it comes from a program without types, or from its configuration. */
type Unlikely = Readonly<Record<string, unknown>>;

function refusal(argument: string): unknown {
  return expect.objectContaining({
    code: "ERR_ADMISSION_ARGUMENT",
    message: expect.stringMatching(new RegExp(`^${argument} must be`)),
  });
}

it("names what an admission, a limit or a middleware cannot be made with", async () => {
  const options = { coordinator: memoryCoordinator(), member: "m" };
  const wrong: readonly (readonly [string, Unlikely])[] = [
    ["coordinator", { coordinator: {} }],
    ["timer", { timer: 5 }],
    ["random", { random: "chance" }],
    ["now", { now: 0 }],
  ];
  for (const [argument, option] of wrong) {
    expect(() => new Admission({ ...options, ...option } as never)).toThrow(refusal(argument) as Error);
  }
  expect(() => new Admission(undefined as never)).toThrow(refusal("coordinator") as Error);

  const admission = new Admission(options);
  for (const limit of [undefined, null, 5, "100/s"]) {
    expect(() => admission.limit("a", limit as never)).toThrow(refusal("limit") as Error);
    expect(() => rateLimit({ admission, name: "api", limit: limit as never })).toThrow(refusal("limit") as Error);
  }
  const typo = { ratePerSecond: 1, burstSeconds: 1, wieght: 2 };
  expect(() => admission.limit("a", typo as never)).toThrow(refusal("an option of limit") as Error);
  expect(() => rateLimit({ admission, name: "api", limit: typo })).toThrow(refusal("an option of limit") as Error);
  const known = admission.limit("a", { ratePerSecond: 1, burstSeconds: 1 });
  expect(() => known.reconfigure({ ratePerSec: 2 } as never)).toThrow(refusal("an option of reconfigure") as Error);
  expect(() => known.reconfigure(2 as never)).toThrow(refusal("options") as Error);
  expect(() => admission.limit("a".repeat(2000), typo)).toThrow(/but is "a{64}…"$/);
  expect(() => rateLimit(undefined as never)).toThrow(refusal("admission") as Error);
  await admission.close();
});

it("names what a coordinator cannot be made with, before it listens", async () => {
  const wrong: readonly (readonly [string, Unlikely])[] = [
    ["port", { port: "7070" }],
    ["port", { port: Number.NaN }],
    ["host", { host: 5 }],
    ["self", { self: 5 }],
    ["token", { token: "" }],
    ["token", { token: 5 }],
    ["leaseMs", { leaseMs: -1 }],
    ["learningShare", { learningShare: "a little" }],
    ["membersMax", { membersMax: 0 }],
    ["limitsMax", { limitsMax: Number.NaN }],
    ["ringEveryMs", { ringEveryMs: 1 }],
    ["ringTtlMs", { self: "http://one", ring: async () => ({ epoch: 1, nodes: ["http://one"] }), ringTtlMs: -1 }],
    ["now", { now: 5 }],
  ];
  const servers = () => process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap").length;
  const before = servers();
  for (const [argument, option] of wrong) {
    await expect(CoordinatorServer.listen(option as never), argument).rejects.toEqual(refusal(argument));
  }
  expect(servers(), "none of them listens").toBe(before);
  expect(() => httpCoordinator({ nodes: ["http://one"], token: 5 as never })).toThrow(refusal("token") as Error);
  expect(() => httpCoordinator({ nodes: ["http://one"], fetch: 5 as never })).toThrow(refusal("fetch") as Error);
});

it("names an option that there is not, what should be left out, and what is no options object", async () => {
  const coordinator = memoryCoordinator();
  const redis = { evalsha: () => {}, eval: () => {} };
  const made: Readonly<Record<string, (options: unknown) => unknown>> = {
    Admission: (options) => new Admission({ coordinator, member: "m", ...(options as object) } as never),
    memoryCoordinator: (options) => memoryCoordinator(options as never),
    redisCoordinator: (options) => redisCoordinator(redis as never, options as never),
    httpCoordinator: (options) => httpCoordinator({ nodes: ["http://one"], ...(options as object) } as never),
    rateLimit: (options) =>
      rateLimit({
        admission: new Admission({ coordinator, member: "m" }),
        name: "api",
        ...(options as object),
      } as never),
  };
  for (const [name, make] of Object.entries(made)) {
    expect(() => make({ leaseSeconds: 5 }), name).toThrow(refusal(`an option of ${name}`) as Error);
  }
  expect(() => made.memoryCoordinator?.({ leaseMs: null })).toThrow(refusal("leaseMs") as Error);
  expect(() => made.memoryCoordinator?.({ learnFor: 5 })).toThrow(
    "must be leaseMs or learnForMs or learningShare, but is",
  );
  expect(() => made.memoryCoordinator?.(5)).toThrow(refusal("options") as Error);
  expect(() => new Admission("router-1" as never)).toThrow(refusal("options") as Error);
  await expect(CoordinatorServer.listen({ leaseSeconds: 5 } as never)).rejects.toEqual(
    refusal("an option of CoordinatorServer"),
  );
  expect(() => rateLimitFields(undefined as never, {} as never)).toThrow(refusal("policy") as Error);
  expect(() => rateLimitFields("api", undefined as never)).toThrow(refusal("stats") as Error);
  expect(() => retryAfterSeconds(undefined as never, 1)).toThrow(refusal("limit") as Error);
});
