/**
 * What a `bench/*.bench.ts` file exports. `npm run bench` lets the subjects of a bench take turns, `runs` times, and reports the median of
 * each metric with its spread. Subjects: `evenkeel`, a peer's name, or `limit` (the bare loop that nothing can beat).
 */
export interface Bench {
  /** What is measured, in a few words: "durable appends, 256 B, 64 appenders". */
  readonly name: string;
  /** Metric name to its unit ("ops/s", "ms", "B/key") and the better direction. */
  readonly metrics: Readonly<Record<string, { readonly unit: string; readonly better: "higher" | "lower" }>>;
  readonly subjects: Readonly<Record<string, Subject>>;
  readonly goals?: readonly Goal[];
  /** Turns for each subject; at least 3, which is the default. */
  readonly runs?: number;
}

export interface Subject {
  /** Said beside the figures: durability, configuration, anything that keeps the comparison fair. */
  readonly note?: string;
  /** Why this subject cannot run on this machine; it is then named and left out. Decided when the file is loaded. */
  readonly skip?: string;
  /** Called once before the first turn. */
  open?(): Promise<void> | void;
  /** One turn of about a second; returns a value for every metric of the bench. */
  run(): Promise<Readonly<Record<string, number>>> | Readonly<Record<string, number>>;
  /** Called once after the last turn, also when a turn failed. */
  close?(): Promise<void> | void;
}

/** `evenkeel`'s median over `against`'s median (or the plain value where `against` is absent), and what it should reach. */
export interface Goal {
  readonly metric: string;
  readonly against?: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}
