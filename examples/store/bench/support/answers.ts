import type { Answer } from "./loader.js";

/** The value below which `share` of them lie; 0 of none. */
export function quantile(values: Iterable<number>, share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

const tookOf = (answers: readonly Answer[], isRead: boolean): number[] =>
  answers.filter((answer) => answer.isRead === isRead).map(({ tookMs }) => tookMs);

/** Milliseconds of what was asked for in one or many turns. */
export function timesOf(answers: readonly Answer[]) {
  const reads = tookOf(answers, true);
  const writes = tookOf(answers, false);
  return {
    p50: quantile([...reads, ...writes], 0.5),
    p99: quantile([...reads, ...writes], 0.99),
    "p99 of reads": quantile(reads, 0.99),
    "p99 of writes": quantile(writes, 0.99),
    "longest wait of a write": Math.max(0, ...writes),
  };
}
