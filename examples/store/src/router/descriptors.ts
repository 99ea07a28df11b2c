import { readFileSync } from "node:fs";

const CONNECTIONS_MAX = 10_000;
/** Kept for logs, B-trees, the archive and the nodes' processes, which a node that ended cannot be started again without. */
const OTHERS = 256;

/**
 * How many clients may be connected so that this process can still open files: all its other work fails as well once a client has the last descriptor.
 * @param limits as Linux says them of this process; empty where no such file is
 */
export function connectionsWithin(limits = limitsOfThis()): number {
  const files = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  return Math.min(CONNECTIONS_MAX, Math.max(Math.floor(files / 2), files - OTHERS));
}

function limitsOfThis(): string {
  try {
    return readFileSync("/proc/self/limits", "utf8");
  } catch {
    return "";
  }
}
