import { setFlagsFromString } from "node:v8";

/**
 * Of what V8 allows a heap to grow until it is marked as a whole it waits for most, and it allows three times what is alive instead of half as much again.
 *
 * What passes through a node lies in buffers, outside the heap, but counts towards its limit; and the heap itself is small, some 14 MB. Left to itself V8 begins to mark
 * whenever about 7 MB have passed by: three times a second at a busy leader, with a pause each time, for an eighth of all the processor time that a node has. So it is
 * once in several seconds, for 15 to 30 MB more memory in each process.
 */
const FLAGS = {
  "--heap-growing-percent": 200,
  "--incremental-marking-soft-trigger": 85,
  "--incremental-marking-hard-trigger": 97,
} as const;

/** For programs of this store's own, whose process is all theirs, before they begin. What somebody has set on the command line stands. */
export function growHeapInLargeSteps(): void {
  for (const [flag, value] of Object.entries(FLAGS))
    if (!process.execArgv.some((given) => given.startsWith(flag))) setFlagsFromString(`${flag}=${value}`);
}
