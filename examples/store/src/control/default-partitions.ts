import { availableParallelism } from "node:os";

const PROCESSORS_FOR_SPREAD = 4;
const SPREAD = 4;

/**
 * Partitions of a new table where nobody says how many. Several let its leaders work on processors of their own. Where router and nodes share fewer processors
 * than there are processes nothing is gained by that, and each turn of the router costs a frame for each leader, each write more often an entry for itself.
 */
export const defaultPartitions = (processors = availableParallelism()): number => (spreadPays(processors) ? SPREAD : 1);

/** Whether several leaders do more than one does. */
export const spreadPays = (processors = availableParallelism()): boolean => processors >= PROCESSORS_FOR_SPREAD;
