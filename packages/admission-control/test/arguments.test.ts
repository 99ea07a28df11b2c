import { expect, it } from "vitest";
import { rateLimit } from "../src/http/express.js";
import { CoordinatorServer, httpCoordinator } from "../src/http-coordinator/index.js";
import { Admission, memoryCoordinator } from "../src/index.js";

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
});
