import { expect, it } from "vitest";
import {
  iterableReplica,
  jsonLinesAudit,
  logReplica,
  MerkleIndex,
  memoryReplica,
  PairScrubber,
  Reference,
  referenceFrom,
  ScratchStore,
  Scrubber,
  ScrubSchedule,
  sequenceKey,
  sha256,
  sortedReplica,
  streamingSnapshot,
} from "../src/index.js";
import { LmdbReplica } from "../src/lmdb/index.js";
import { postgresTable } from "../src/postgres/index.js";
import { redisKeyspace } from "../src/redis/index.js";

/** As it comes from a program without types, such as a module of `evenkeel-scrub --config`. */
type Make = (option: Readonly<Record<string, unknown>>) => unknown;

function refuses(make: Make, argument: string, seen: readonly unknown[], option = argument): void {
  for (const value of seen) {
    expect(() => make({ [option]: value }), `${argument} = ${String(value)}`).toThrow(
      expect.objectContaining({
        code: "ERR_SCRUBBER_ARGUMENT",
        message: expect.stringMatching(new RegExp(`^${argument}[ .:]`)),
      }),
    );
  }
}

const noFunctions = [null, 5, "f", {}];
const noNames = [undefined, null, 5, ""];
const [a, b] = [memoryReplica("a"), memoryReplica("b")];

it("names what sources cannot be made with", () => {
  const open = () => ({ entries: () => [], from: async function* () {} });
  refuses((option) => sortedReplica({ name: "a", open, ...option }), "name", noNames);
  refuses((option) => iterableReplica({ name: "a", open, ...option }), "name", noNames);
  refuses((option) => memoryReplica(option.name as string), "name", noNames);
  refuses((option) => memoryReplica("a", option), "position", [-1, 1.5, Number.NaN, "3"]);
  const log: Make = (option) => logReplica({ name: "a", last: () => 1, read: () => [], ...option });
  refuses(log, "name", noNames);
  refuses(log, "last", [undefined, ...noFunctions]);
  refuses(log, "first", noFunctions);
  refuses((option) => new MerkleIndex(option.createHash as never), "createHash", [undefined, ...noFunctions]);
  refuses((option) => jsonLinesAudit(option.path as string), "path", noNames);
});

it("does not ask a PostgreSQL table for a column called undefined", () => {
  const table: Make = (option) =>
    postgresTable({ name: "a", connect: () => Promise.reject(), table: "users", key: "id", ...option });
  for (const argument of ["table", "key"]) refuses(table, argument, noNames);
  refuses(table, "value", [null, 5, ""]);
});

it("names what a scrubber cannot be made with", () => {
  const make: Make = (option) => new Scrubber({ replicas: [a, b], position: () => 1, ...option });
  refuses(make, "replicas", [null, 5, [null, a], [a, {}], [a, { name: 7, snapshot: a.snapshot }], [a, a], [a]]);
  refuses(make, "reference", [null, 5, {}]);
  refuses(make, "take", noFunctions);
  refuses(make, "isStale", noFunctions);
  refuses(make, "state", [null, 5, {}, { load: () => "" }]);
  refuses(() => new Scrubber(undefined as never), "replicas", [undefined]);

  const side = (source: typeof a) => ({ source, position: () => 1, appliedOfOther: () => 1 });
  const pair: Make = (option) => new PairScrubber({ left: side(a), right: side(b), ...option });
  refuses(pair, "take", noFunctions);
  refuses(pair, "waitMs", [-1, Number.NaN, "3"]);
  refuses(() => new PairScrubber(undefined as never), "left", [undefined]);
});

it("does not begin a schedule whose scrubbing would end in the middle of a round", () => {
  const make: Make = (option) => new ScrubSchedule({ units: () => [], fullPassEveryMs: 1_000, ...option });
  for (const argument of ["onReport", "onError", "busy"]) refuses(make, argument, noFunctions);
  refuses(make, "bucket", [null, 5, {}]);
  refuses(make, "state", [null, 5, {}]);
  refuses(make, "clock", [null, 5, {}]);
  for (const argument of ["dutyMax", "yieldMsMax", "firstBytesPerSecond"]) refuses(make, argument, ["1", true, -1]);
  refuses(() => new ScrubSchedule(undefined as never), "units", [undefined]);
});

it("names an option that there is not, and what is no options object", async () => {
  const refusal = (argument: string): Error =>
    expect.objectContaining({
      code: "ERR_SCRUBBER_ARGUMENT",
      message: expect.stringMatching(new RegExp(`^${argument} must be`)),
    }) as Error;
  const made: Readonly<Record<string, (options: unknown) => unknown>> = {
    Scrubber: (options) => new Scrubber(options as never),
    ScrubSchedule: (options) => new ScrubSchedule(options as never),
    PairScrubber: (options) => new PairScrubber(options as never),
    sortedReplica: (options) => sortedReplica(options as never),
    iterableReplica: (options) => iterableReplica(options as never),
    logReplica: (options) => logReplica(options as never),
    memoryReplica: (options) => memoryReplica("a", options as never),
    postgresTable: (options) => postgresTable(options as never),
    redisKeyspace: (options) => redisKeyspace(options as never),
    LmdbReplica: (options) => new LmdbReplica(options as never),
  };
  for (const [name, make] of Object.entries(made)) {
    expect(() => make({ verbose: true }), name).toThrow(refusal(`an option of ${name}`));
    expect(() => make("a"), name).toThrow(refusal("options"));
    if (name !== "memoryReplica") expect(() => make(undefined), name).toThrow(refusal("\\S+"));
  }
  expect(() => made.Scrubber?.({ replicas: [a, b], position: () => 0, findingMax: 5 })).toThrow(
    'an option of Scrubber must be findingsMax, got "findingMax"',
  );
  await expect(referenceFrom([], { apply: () => {}, from: 5 } as never)).rejects.toEqual(
    refusal("an option of referenceFrom"),
  );
  await expect(ScratchStore.open(undefined as never)).rejects.toEqual(refusal("dir"));
  expect(() => new Reference(undefined as never, sha256)).toThrow(refusal("apply"));
  expect(() => streamingSnapshot(undefined as never)).toThrow(refusal("entries"));
  expect(() => sequenceKey(undefined as never)).toThrow(refusal("sequence"));
  const scrubber = new Scrubber({ replicas: [a, b], position: () => 0 });
  await expect(scrubber.pass({ keep: true } as never)).rejects.toEqual(refusal("an option of pass"));
  await expect(scrubber.repair([], async () => {}, { log: [] } as never)).rejects.toEqual(
    refusal("an option of repair"),
  );
  const schedule = { units: () => [], fullPassEveryMs: 5, saveEveryMs: "now" };
  expect(() => made.ScrubSchedule?.(schedule)).toThrow(refusal("saveEveryMs"));
});

it("an option of a call that there is not is named", async () => {
  const reference = new Reference({ apply: () => {} }, sha256);
  const pair = new PairScrubber({
    left: { source: a, position: () => 0, appliedOfOther: () => 0 },
    right: { source: b, position: () => 0 },
  });
  for (const [call, made] of [
    ["advance", () => reference.advance([], { thru: 5 } as never)],
    ["pass", () => pair.pass(new AbortController().signal as never)],
    ["pass", () => new Scrubber({ replicas: [a, b], position: () => 0 }).pass({ keep: true } as never)],
  ] as const)
    await expect(made()).rejects.toMatchObject({
      code: "ERR_SCRUBBER_ARGUMENT",
      message: expect.stringContaining(`an option of ${call} `),
    });
});
