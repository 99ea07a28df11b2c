import {
  keySequence,
  logReplica,
  type PassReport,
  type Reference,
  type ReferenceState,
  referenceFrom,
  Scrubber,
  type ScrubberOptions,
} from "../../src/index.js";
import { bytes, text } from "../support/sources.js";
import { Disk } from "./disk.js";
import { type Expected, FAULTS } from "./faults.js";
import { applyCommand, type Command, ModelGroup } from "./model-group.js";
import { Random } from "./random.js";

export interface Finding {
  readonly where: string;
  readonly replica: string;
  /** Keys of a tree, sequences of a log; what a range that cannot be read surrounds is listed too. */
  readonly keys: readonly string[];
  readonly cause: string;
}

/** How a group is inspected, so that mutants can do it badly. */
export interface Method {
  scrubber(options: ScrubberOptions, what: "tree" | "log"): Pick<Scrubber, "pass">;
  findings(report: PassReport, what: "tree" | "log"): Finding[];
}

export const METHOD: Method = {
  scrubber: (options) => new Scrubber(options),
  findings: (report, what) => [
    ...report.divergences.map(({ key, replica, where, cause }) => ({
      where,
      replica,
      cause,
      keys: [what === "log" ? `${keySequence(key)}` : (text(key) as string)],
    })),
    ...report.unreadable.map(({ replica, where, range }) => {
      const from = keySequence(range.from);
      const to = range.to === undefined ? report.at + 1 : keySequence(range.to);
      const keys = Array.from({ length: Math.max(0, to - from) }, (_, i) => `${from + i}`);
      return { where, replica, cause: "unreadable", keys };
    }),
  ],
};

export interface Tally {
  /** By kind of fault. */
  readonly kinds: Map<string, { injected: number; found: number; exact: number; toldApart: number }>;
  cleanPasses: number;
  falseAlarms: number;
  /** What went wrong first, with the seed. */
  failures: string[];
}

const SURROUNDING_MAX = 2 * 16;

/** One seed: a fault of every kind, each in a group of its own, after clean passes with writes going on. */
export async function runSeed(
  seed: number,
  tally: Tally,
  method: Method = METHOD,
  kinds = Object.keys(FAULTS),
): Promise<void> {
  for (const kind of kinds) {
    const at = Object.keys(FAULTS).indexOf(kind);
    await runFault(kind, new Random(Math.imul(seed, 1_000_003) + at * 7919), tally, method, `seed ${seed}, ${kind}`);
  }
}

async function runFault(kind: string, random: Random, tally: Tally, method: Method, label: string): Promise<void> {
  const group = new ModelGroup(random);
  const world = await Inspection.open(group, random, method);
  group.write(200 + random.int(400));
  const passes = 2 + random.int(3);
  for (let i = 0; i < passes; i++) {
    disturb(group, random, i);
    const findings = await world.inspect(() => group.write(random.int(4)));
    tally.cleanPasses += 2;
    if (findings.length === 0) continue;
    tally.falseAlarms++;
    tally.failures.push(`${label}: false alarm ${JSON.stringify(findings[0])}`);
    return;
  }
  group.lagging.clear();
  group.write(1);
  // What is kept along with the writes has to have been looked at since they were made, to vouch for it.
  await world.inspect(() => {});

  const expected = (FAULTS[kind] as NonNullable<(typeof FAULTS)[string]>)(group, random);
  for (const key of expected.keys) group.avoided.add(key);
  if (expected.where === "reference") world.spoilReference(expected.keys[0] as string);
  const found = await world.inspect(() => group.write(random.int(4)));
  const score = tally.kinds.get(kind) ?? { injected: 0, found: 0, exact: 0, toldApart: 0 };
  tally.kinds.set(kind, score);
  score.injected++;
  const verdict = judge(expected, found);
  if (verdict.found) score.found++;
  if (verdict.exact) score.exact++;
  if (verdict.toldApart) score.toldApart++;
  if (!verdict.found || !verdict.exact || !verdict.toldApart)
    tally.failures.push(`${label}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found).slice(0, 600)}`);
}

/** Nothing here is damage: a replica that lags, one that restarted, a leader's change of mind about nothing. */
function disturb(group: ModelGroup, random: Random, pass: number): void {
  group.lagging.clear();
  group.write(1 + random.int(20));
  if (pass === 0) return;
  const replica = random.pick(group.replicas);
  if (random.chance(0.3)) group.lagging.add(replica.name);
  else if (random.chance(0.4)) replica.restart();
  group.write(random.int(20));
}

function judge(expected: Expected, found: readonly Finding[]) {
  const right = found.filter(
    ({ where, replica }) =>
      expected.replicas.includes(replica) && (where === expected.where || replica === "reference"),
  );
  const named = (replica: string) =>
    new Set(right.filter((one) => one.replica === replica).flatMap(({ keys }) => keys));
  const all = expected.replicas.every((replica) => expected.keys.every((key) => named(replica).has(key)));
  const unreadable = expected.causes.includes("unreadable");
  const beyond = expected.replicas.some((replica) => {
    const extra = [...named(replica)].filter((key) => !expected.keys.includes(key));
    if (!unreadable) return extra.length > 0;
    // What cannot be read is narrowed to a few records around it.
    return extra.some((key) => !expected.keys.some((one) => Math.abs(Number(one) - Number(key)) <= SURROUNDING_MAX));
  });
  return {
    found: right.length > 0,
    exact: all && !beyond && right.length === found.length,
    toldApart: right.length > 0 && right.every(({ cause }) => expected.causes.some((one) => one === cause)),
  };
}

/** The scrubbers of one group: over its trees with the reference, and over its logs with the archive. */
class Inspection {
  readonly #group: ModelGroup;
  readonly #method: Method;
  readonly #trees: Pick<Scrubber, "pass">;
  readonly #logs: Pick<Scrubber, "pass">;
  readonly #spoilt = new Set<string>();
  #reference: Reference;
  #during: () => void = () => {};

  private constructor(group: ModelGroup, random: Random, method: Method, reference: Reference) {
    this.#group = group;
    this.#method = method;
    this.#reference = reference;
    const take = () => this.#during();
    const narrowing = {
      stepBytes: 2_000 + random.int(20_000),
      fanout: 2 + random.int(15),
      leafKeysMax: 1 + random.int(16),
      take,
    };
    this.#trees = method.scrubber(
      {
        replicas: group.replicas.map((replica) => replica.source()),
        reference: { name: "reference", kind: "reference", snapshot: (at) => this.#reference.snapshot(at) },
        position: async () => {
          const slot = group.settle();
          // One that cannot be built convicts nobody; the archive's own pass says why.
          await this.#reference.advance(group.archive.read(this.#reference.position + 1)).catch(() => {});
          return slot;
        },
        ...narrowing,
      },
      "tree",
    );
    this.#logs = method.scrubber(
      {
        replicas: group.replicas.map((replica) => replica.logSource()),
        reference: logReplica({
          name: "archive",
          kind: "archive",
          last: () => group.archive.through,
          read: (from) => group.archive.read(from),
        }),
        position: () => group.settle(),
        ...narrowing,
      },
      "log",
    );
  }

  static async open(group: ModelGroup, random: Random, method: Method): Promise<Inspection> {
    const holder: { inspection?: Inspection } = {};
    const reference = await referenceFrom([], {
      apply: (state, { data }) => {
        const command = JSON.parse(text(data) as string) as Command;
        // The live trees hold records with a header, so the reference's values have one too.
        const framed: ReferenceState = {
          get: (key) => {
            const raw = state.get(key);
            return raw === undefined ? undefined : Disk.dataOf(raw);
          },
          put: (key, value) => {
            const spoilt = holder.inspection?.isSpoilt(text(key) as string) === true;
            state.put(key, recordOf(spoilt ? bytes("wrong") : value));
          },
          delete: (key) => state.delete(key),
        };
        applyCommand(framed, command);
      },
    });
    const inspection = new Inspection(group, random, method, reference);
    holder.inspection = inspection;
    return inspection;
  }

  isSpoilt(key: string): boolean {
    return this.#spoilt.has(key);
  }

  /** From its next write on, the reference comes to something else under this key. */
  spoilReference(key: string): void {
    this.#spoilt.add(key);
    const group = this.#group;
    group.writeWith({ op: "put", key, value: "right" }, group.replicas[0] as never, (apply) => apply());
  }

  async inspect(during: () => void): Promise<Finding[]> {
    this.#during = during;
    const findings: Finding[] = [];
    findings.push(...this.#method.findings(await this.#trees.pass(), "tree"));
    findings.push(...this.#method.findings(await this.#logs.pass(), "log"));
    return findings;
  }
}

function recordOf(value: Uint8Array): Buffer {
  const disk = new Disk();
  disk.bytes = Buffer.alloc(value.length + 8);
  disk.append(value);
  return disk.bytes;
}
