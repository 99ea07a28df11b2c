import type { Operation } from "./history.js";
import type { BestOrder } from "./linearization-search.js";
import { textOf } from "./text.js";

const LINES_MAX = 40;

/** The failing operations as a page that a person can follow. `operations` is the shortest part of the history that fails. */
export function traceOf<I, O>(
  partition: string,
  operations: readonly Operation<I, O>[],
  best: BestOrder<I, O> | undefined,
): string {
  const returns = operations.filter((operation) => operation.outcome === "ok");
  const last = returns.reduce<Operation<I, O> | undefined>(
    (latest, operation) => (latest === undefined || operation.returned > latest.returned ? operation : latest),
    undefined,
  );
  const lines = [
    `not linearizable${partition === "" ? "" : `: partition ${partition}`}, ${operations.length} operations`,
  ];
  if (last !== undefined) lines.push(`no order explains it any more once #${last.id} has returned:`);
  const byCall = [...operations].sort((a, b) => a.invoked - b.invoked);
  const skipped = Math.max(0, byCall.length - LINES_MAX);
  if (skipped > 0) lines.push(`  ... ${skipped} operations before`);
  for (const operation of byCall.slice(skipped)) lines.push(`  ${lineOf(operation)}`);
  if (best !== undefined) {
    const order = best.order.slice(-10).map((operation) => `#${operation.id}`);
    const more = best.order.length > 10 ? "... " : "";
    lines.push(
      `the longest order that fits: ${more}${order.join(" ") || "(none)"}; the state after it: ${best.stateText}`,
    );
    for (const { operation, expected } of best.refused.slice(0, LINES_MAX)) {
      lines.push(
        `  next could be #${operation.id} ${textOf(operation.input)}, which would answer ${expected}, not ${textOf(operation.output)}`,
      );
    }
  }
  return lines.join("\n");
}

function lineOf<I, O>(operation: Operation<I, O>): string {
  const end = operation.returnedMs === undefined || operation.outcome === "unknown" ? "?" : shown(operation.returnedMs);
  const answer = operation.outcome === "ok" ? textOf(operation.output) : "outcome unknown";
  return `#${operation.id} ${operation.process} [${shown(operation.invokedMs)} .. ${end} ms] ${textOf(operation.input)} -> ${answer}`;
}

function shown(ms: number): string {
  return String(Math.round(ms * 1000) / 1000);
}
