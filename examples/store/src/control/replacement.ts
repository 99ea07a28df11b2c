import type { PartitionRecord } from "../metadata/records.js";

/** What is to be done next for a partition: first by its group, then written down. */
export interface Step {
  readonly change?:
    | { readonly kind: "replace"; readonly failed: string; readonly by: string }
    | { readonly kind: "promote"; readonly node: string };
  readonly record: PartitionRecord;
}

export interface Circumstances {
  /** Away for too long, or replaced already. */
  readonly isGone: (node: string) => boolean;
  /** Nodes that may take something on, and how much each of them has. */
  readonly load: ReadonlyMap<string, number>;
}

/**
 * A member that is gone is replaced in four steps, each of which leaves the partition as safe as it was:
 *
 * 1. it is written down which node takes its place; that node joins the group with a log replica
 * 2. the group makes the log replica a member and takes the one that is gone out: as many copies of the log again, a quorum may be lost again
 * 3. it is written down that the replica itself is to be built there; the node leaves the group and joins again with its log
 * 4. the group gives it the state and makes it a full member; it is written down as one that may be asked
 *
 * Where the node that was to take the place is gone as well, another one takes its place, from the first step on.
 */
export function nextStep(record: PartitionRecord, { isGone, load }: Circumstances): Step | undefined {
  const { members, log = [], building = [], replacing, gone = [] } = record;
  const [keeper] = log;
  const [builder] = building;
  const stranded = [keeper, builder].find((node) => node !== undefined && isGone(node));
  const failed = stranded ?? (log.length + building.length === 0 ? members.find(isGone) : undefined);
  if (failed !== undefined) {
    const by = leastLoaded(load, [...members, ...log, ...building, ...gone]);
    if (by === undefined) return undefined;
    // Whether the one that is stranded ever became a member is not known: it is taken out at the end.
    const instead = stranded !== undefined && replacing !== undefined ? replacing : failed;
    return {
      record: {
        ...strip(record),
        log: [by],
        replacing: instead,
        gone: stranded === undefined || instead === stranded ? gone : [...gone, stranded],
      },
    };
  }
  if (keeper !== undefined && replacing !== undefined) {
    return {
      change: { kind: "replace", failed: replacing, by: keeper },
      record: {
        ...strip(record),
        members: members.filter((node) => node !== replacing),
        log,
        gone: [...gone, replacing],
      },
    };
  }
  if (keeper !== undefined) return { record: { ...strip(record), building: [keeper], gone } };
  if (builder !== undefined) {
    return {
      change: { kind: "promote", node: builder },
      record: { ...strip(record), members: [...members, builder], gone },
    };
  }
  return undefined;
}

/** Without what is on its way. */
function strip({ log: _l, building: _b, replacing: _r, gone: _g, ...record }: PartitionRecord): PartitionRecord {
  return { ...record, founders: record.founders ?? record.members };
}

function leastLoaded(load: ReadonlyMap<string, number>, taken: readonly string[]): string | undefined {
  let found: [string, number] | undefined;
  for (const [node, count] of load) {
    if (!taken.includes(node) && count < (found?.[1] ?? Number.POSITIVE_INFINITY)) found = [node, count];
  }
  return found?.[0];
}
