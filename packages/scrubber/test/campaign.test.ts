import { expect, it } from "vitest";
import { Scrubber, type ScrubberOptions, sha256 } from "../src/index.js";
import { type Finding, METHOD, type Method, runSeed, type Tally } from "./campaign/campaign.js";
import { FAULTS } from "./campaign/faults.js";

const tallied = (): Tally => ({ kinds: new Map(), cleanPasses: 0, falseAlarms: 0, failures: [] });

it.each(Object.keys(FAULTS))(
  "%s is found, with exactly its keys, told apart from the others, and nothing else is",
  async (kind) => {
    const tally = tallied();
    await runSeed(1, tally, METHOD, [kind]);
    expect(tally).toMatchObject({ failures: [], falseAlarms: 0 });
    expect([...tally.kinds]).toEqual([[kind, { injected: 1, found: 1, exact: 1, toldApart: 1 }]]);
    expect(tally.cleanPasses).toBeGreaterThanOrEqual(4);
  },
);

const findings = (change: (found: Finding[]) => Finding[]): Method => ({
  ...METHOD,
  findings: (report, what) => change(METHOD.findings(report, what)),
});
const options = (change: (options: ScrubberOptions) => ScrubberOptions): Method => ({
  ...METHOD,
  scrubber: (given) => new Scrubber(change(given)),
});
const sources = (
  options: ScrubberOptions,
  change: (source: ScrubberOptions["replicas"][number]) => typeof source,
): ScrubberOptions => ({
  ...options,
  replicas: options.replicas.map(change),
  ...(options.reference === undefined ? {} : { reference: change(options.reference) }),
});

/** Scrubbers with one mistake each, and the kinds of fault over which each has to stumble. */
const mutants: Record<string, { readonly method: Method; readonly kinds: readonly string[] }> = {
  "takes the word of the digests that are kept": {
    method: { ...METHOD, scrubber: (given) => ({ pass: () => new Scrubber(given).pass({ kept: true }) }) },
    kinds: ["tree: a bit"],
  },
  "counts keys and bytes, and hashes nothing": {
    method: options((given) =>
      sources(given, (source) => ({
        ...source,
        snapshot: async (at) => {
          const snapshot = await source.snapshot(at);
          return {
            ...snapshot,
            digests: async (ranges) =>
              (await snapshot.digests(ranges)).map((one) => ({ ...one, hash: sha256().digest() })),
          };
        },
      })),
    ),
    kinds: ["tree: a byte"],
  },
  "compares whatever each replica holds, at whatever position": {
    method: options((given) =>
      sources(given, (source) => ({
        ...source,
        snapshot: async (at) => {
          for (let back = 0; ; back++) {
            try {
              return await source.snapshot(at - back);
            } catch (error) {
              if (back > 200) throw error;
            }
          }
        },
      })),
    ),
    kinds: Object.keys(FAULTS),
  },
  "passes over every second key": {
    method: findings((found) => found.filter(({ keys }) => keys.length !== 1 || Number(keys[0]?.slice(-1)) % 2 === 0)),
    kinds: ["apply: a wrong value", "apply: skipped", "tree: a bit", "tree: a byte"],
  },
  "passes over what cannot be read": {
    method: findings((found) => found.filter(({ cause }) => cause !== "unreadable")),
    kinds: ["log: a bit"],
  },
  "never looks at the logs": {
    method: { ...METHOD, findings: (report, what) => (what === "log" ? [] : METHOD.findings(report, what)) },
    kinds: ["log: another record in its place"],
  },
  "does without the reference": {
    method: {
      ...METHOD,
      scrubber: ({ reference, ...rest }, what) =>
        new Scrubber(what === "log" && reference !== undefined ? { ...rest, reference } : rest),
    },
    kinds: ["two replicas rot alike"],
  },
  "calls everything rot": {
    method: findings((found) =>
      found.map((one) => ({ ...one, cause: one.cause === "unreadable" ? one.cause : "rot" })),
    ),
    kinds: ["apply: skipped"],
  },
  "names the range and not the key": {
    method: findings((found) => found.map((one) => ({ ...one, keys: one.keys.flatMap((key) => [key, `${key}+`]) }))),
    kinds: ["apply: a wrong value"],
  },
  "blames the first replica": {
    method: findings((found) => found.map((one) => ({ ...one, replica: "a" }))),
    kinds: ["tree: a bit", "tree: a page", "apply: twice", "apply: a delete lost", "a wrong reference"],
  },
  "stops at the first finding": {
    method: findings((found) => found.slice(0, 1)),
    kinds: ["tree: a subtree lost"],
  },
};

it.each(Object.entries(mutants))("the campaign fails for a scrubber that %s", async (_, { method, kinds }) => {
  const tally = tallied();
  for (let seed = 1; seed <= 5 && tally.failures.length === 0; seed++) {
    for (const kind of kinds) {
      await runSeed(seed, tally, method, [kind]);
      if (tally.failures.length > 0) break;
    }
  }
  expect(tally.failures).not.toEqual([]);
});
