import type { Bench, Goal, Subject } from "./bench-types.js";

/** One measured figure, as `--json` writes it. `value` is the median of `runs` turns. */
export interface FigureRow {
  readonly package: string;
  /** The bench's name and the metric's: "durable appends, 256 B: throughput". */
  readonly bench: string;
  readonly subject: string;
  readonly value: number;
  readonly unit: string;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
}

/** A stated target, and what was reached: a ratio of medians, or the plain median where the goal names nobody to compare with. */
export interface GoalRow {
  readonly package: string;
  readonly bench: string;
  readonly goal: string;
  readonly value: number;
  readonly met: boolean;
}

export type Row = FigureRow | GoalRow;

export interface BenchResult {
  readonly name: string;
  readonly rows: readonly Row[];
  /** What keeps the comparison fair, one sentence a subject. */
  readonly notes: readonly string[];
  /** Who could not run here, and why. */
  readonly skips: readonly string[];
}

const runsMin = 3;

/** What is wrong with a bench before it runs; nothing where it is sound. */
export function faultsOf(bench: Bench): string[] {
  const faults: string[] = [];
  if (Object.keys(bench.metrics).length === 0) faults.push("it has no metric");
  if (Object.keys(bench.subjects).length === 0) faults.push("it has no subject");
  if (bench.runs !== undefined && !(Number.isInteger(bench.runs) && bench.runs >= runsMin)) {
    faults.push(`runs is a whole number of at least ${runsMin}, seen: ${bench.runs}`);
  }
  for (const goal of bench.goals ?? []) {
    if (!(goal.metric in bench.metrics))
      faults.push(`a goal names the metric "${goal.metric}", which the bench does not have`);
    if (!("evenkeel" in bench.subjects))
      faults.push('a goal is for the subject "evenkeel", which the bench does not have');
    if (goal.against !== undefined && !(goal.against in bench.subjects)) {
      faults.push(`a goal names "${goal.against}", which is not among the subjects`);
    }
    if (goal.atLeast === undefined && goal.atMost === undefined)
      faults.push("a goal states neither atLeast nor atMost");
  }
  return faults;
}

/**
 * Lets the subjects of a bench take turns. Everybody runs once before anybody runs again, and each round begins with another subject, so that
 * whatever the machine does meanwhile (a warming disk, a noisy neighbour) falls on all of them alike.
 */
export async function runBench(
  packageName: string,
  bench: Bench,
  beforeTurn: (turn: string) => void,
): Promise<BenchResult> {
  const faults = faultsOf(bench);
  if (faults.length > 0) throw new Error(`bench "${bench.name}": ${faults.join("; ")}`);
  const all = Object.entries(bench.subjects);
  const present = all.filter(([, subject]) => subject.skip === undefined);
  const runs = bench.runs ?? runsMin;
  const turns = new Map(present.map(([name]) => [name, [] as Readonly<Record<string, number>>[]]));
  const opened: Subject[] = [];
  try {
    for (const [, subject] of present) {
      opened.push(subject);
      await subject.open?.();
    }
    for (let round = 0; round < runs; round += 1) {
      for (let place = 0; place < present.length; place += 1) {
        const entry = present[(round + place) % present.length];
        if (!entry) continue;
        const [name, subject] = entry;
        beforeTurn(`${packageName}: ${bench.name}: ${name}, turn ${round + 1} of ${runs}`);
        turns.get(name)?.push(checkedTurn(bench, name, await subject.run()));
      }
    }
  } finally {
    for (const subject of opened.reverse()) await subject.close?.();
  }
  return {
    name: bench.name,
    rows: Object.keys(bench.metrics).flatMap((metric) => rowsOf(packageName, bench, metric, turns)),
    notes: all.flatMap(([name, { note }]) => (note ? [`${name}: ${note}`] : [])),
    skips: all.flatMap(([name, { skip }]) => (skip === undefined ? [] : [`${name}: ${skip}`])),
  };
}

function checkedTurn(
  bench: Bench,
  subject: string,
  turn: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  for (const metric of Object.keys(bench.metrics)) {
    if (!Number.isFinite(turn[metric])) {
      throw new Error(`bench "${bench.name}": a turn of ${subject} gave ${turn[metric]} for "${metric}"`);
    }
  }
  return turn;
}

function rowsOf(
  packageName: string,
  bench: Bench,
  metric: string,
  turns: ReadonlyMap<string, readonly Readonly<Record<string, number>>[]>,
): Row[] {
  const heading = { package: packageName, bench: `${bench.name}: ${metric}` };
  const unit = bench.metrics[metric]?.unit ?? "";
  const medians = new Map<string, number>();
  const rows: Row[] = [];
  for (const [subject, results] of turns) {
    const values = results.map((result) => result[metric] ?? Number.NaN).sort((a, b) => a - b);
    const value = median(values);
    medians.set(subject, value);
    rows.push({
      ...heading,
      subject,
      value,
      unit,
      min: values[0] ?? value,
      max: values.at(-1) ?? value,
      runs: values.length,
    });
  }
  for (const goal of bench.goals ?? []) {
    const ours = medians.get("evenkeel");
    const theirs = goal.against === undefined ? 1 : medians.get(goal.against);
    if (goal.metric !== metric || ours === undefined || theirs === undefined) continue;
    const value = ours / theirs;
    const met =
      value >= (goal.atLeast ?? Number.NEGATIVE_INFINITY) && value <= (goal.atMost ?? Number.POSITIVE_INFINITY);
    rows.push({ ...heading, goal: inWords(goal, unit), value, met });
  }
  return rows;
}

/** "at least 1.5 x lmdb", "at most 5 ms". */
function inWords({ against, atLeast, atMost }: Goal, unit: string): string {
  const of = against === undefined ? ` ${unit}` : ` x ${against}`;
  return [atLeast !== undefined && `at least ${atLeast}${of}`, atMost !== undefined && `at most ${atMost}${of}`]
    .filter(Boolean)
    .join(", ");
}

/** Of sorted values. */
function median(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
