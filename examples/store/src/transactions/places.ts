import type { TableRecord } from "../api/model.js";
import { holds, type PartitionRecord } from "../metadata/records.js";
import type { Reach } from "./coordinator.js";

/** One of several keys of a table that are asked about together, wherever they lie. */
export interface Place {
  readonly hash: number;
  /** Position in what was asked. */
  readonly at: number;
}

/**
 * Runs `use` for all keys of a table, once for each partition that has some of them. Usually that is one; a partition that was split since its keys were put together
 * is met as its parts.
 */
export async function atPartitions<T>(
  reach: Pick<Reach, "atPartition">,
  table: TableRecord,
  places: readonly Place[],
  use: (record: PartitionRecord, at: readonly number[]) => Promise<T>,
): Promise<{ readonly at: readonly number[]; readonly result: T }[]> {
  const found: { readonly at: readonly number[]; readonly result: T }[] = [];
  let left = places;
  for (let first = left[0]; first !== undefined; first = left[0]) {
    const one = await reach.atPartition(table, first.hash, async (record) => {
      const isHere = ({ hash }: Place): boolean => holds(record, hash);
      const at = left.filter(isHere).map((place) => place.at);
      return { at, result: await use(record, at), rest: left.filter((place) => !isHere(place)) };
    });
    left = one.rest;
    found.push(one);
  }
  return found;
}
