import type { TableEntry } from "./records.js";

/** Whether the table's partitions record what each write replaces. */
export function wantsChanges({ latestStream, status }: TableEntry): boolean {
  return status !== "DELETING" && latestStream?.enabled === true;
}
