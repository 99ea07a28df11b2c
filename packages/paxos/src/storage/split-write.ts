import type { Entry, PersistWrite } from "../core/types.js";
import type { LogRecord } from "./record.js";

/** A write with more than this is laid down in several records of one atomic batch. */
const recordBytesMax = 1024 * 1024;

/** One write as the records that it is laid down in: nearly always one. */
export function splitWrite(write: PersistWrite): LogRecord[] {
  const { entries } = write;
  if (entries === undefined || entries.length <= 1) return [write];
  const records: LogRecord[] = [];
  let from = 0;
  let bytes = 0;
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index] as Entry;
    if (index > from && bytes + entry.command.length > recordBytesMax) {
      records.push({ entries: entries.slice(from, index) });
      from = index;
      bytes = 0;
    }
    bytes += entry.command.length;
  }
  if (records.length === 0) return [write];
  records.push({ entries: entries.slice(from) });
  const { entries: _, ...rest } = write;
  records[0] = { ...rest, ...records[0] };
  return records;
}
