import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";

/**
 * What is young is collected by the main thread alone. What is left of it is about a megabyte, the work of one or two milliseconds; with a helper V8 is no sooner done, but waits for a thread that needs a processor
 * of its own, and where five processes share two that is what a pause takes: 9 ms in place of 2 in the middle of a busy machine's, and no less processor time.
 */
const NO_HELPERS = "--no-parallel-scavenge";

/**
 * Of what V8 allows a heap to grow until it is marked as a whole it waits for most, and it allows five times what is alive instead of half as much again.
 *
 * What passes through a node lies in buffers, outside the heap, but counts towards its limit; and the heap itself is small, some 14 MB. Left to itself V8 begins to mark
 * whenever about 7 MB have passed by: three times a second at a busy leader, with a pause each time, for an eighth of all the processor time that a node has. So it is
 * once in ten seconds where much is written, since what waits for the B-tree lives long enough to become old, and hardly ever in a router; for 15 to 30 MB more memory in each process.
 */
const FLAGS = [
  "--heap-growing-percent=400",
  "--incremental-marking-soft-trigger=85",
  "--incremental-marking-hard-trigger=97",
  NO_HELPERS,
];

/**
 * The same of marking the whole heap, which V8 has several threads do beside the main one. With a processor for each process that is as well; where five share fewer, the
 * threads of one take all of them for ten milliseconds, in which no other process does anything. The main thread does it in steps of a millisecond, between requests.
 * On the command line only: V8 dies where a process that marks already is told so (so the router, which nobody starts for us, goes without).
 */
const NO_MARKERS = "--no-concurrent-marking";
const PROCESSES = 5;

/** With which a node is started. What somebody has set stands, since it comes later. */
export const NODE_FLAGS: readonly string[] = availableParallelism() < PROCESSES ? [NO_MARKERS] : [];

/** For programs of this store's own, whose process is all theirs, before they begin. What somebody has set on the command line stands. */
export function growHeapInLargeSteps(): void {
  for (const flag of FLAGS) {
    const name = flag.replace(/=.*/, "").replace("--no-", "--");
    const isGiven = (given: string) => given.startsWith(name) || given.startsWith(name.replace("--", "--no-"));
    if (!process.execArgv.some(isGiven)) setFlagsFromString(flag);
  }
}
