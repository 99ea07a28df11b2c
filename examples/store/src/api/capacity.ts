/** Capacity units, the service's currency. */
const READ_UNIT_BYTES = 4096;
const WRITE_UNIT_BYTES = 1024;

/** @param bytes of the item, or of all items that one Query or Scan evaluated; looking in vain costs as much as the smallest item */
export function readUnits(bytes: number, consistent: boolean): number {
  const units = Math.max(1, Math.ceil(bytes / READ_UNIT_BYTES));
  return consistent ? units : units / 2;
}

/** A write is charged by the larger of what was there and what is there now, and a write that changes nothing as one unit. */
export function writeUnits(bytesBefore: number, bytesAfter: number): number {
  return Math.max(1, Math.ceil(Math.max(bytesBefore, bytesAfter) / WRITE_UNIT_BYTES));
}
