import { checkInteger, PaxosError } from "../core/errors.js";
import { entryBytes } from "../core/log.js";
import type { Entry } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";

const chunkBytes = 1024 * 1024;

/** As `GroupStorage.read`, which counts commands alone: no more than would weigh that much without them, or a log of very small ones would be read as a whole. */
export function readSome(
  storage: Pick<GroupStorage, "read">,
  from: number,
  through: number,
  bytesMax: number,
): Promise<Entry[]> {
  return storage.read(from, Math.min(through, from + Math.floor(bytesMax / entryBytes)), bytesMax);
}

/** Entries `from` through `through` out of the log, holding about 1 MiB of them in memory at a time. */
export async function* storedEntries(
  storage: Pick<GroupStorage, "read">,
  from: number,
  through: number,
): AsyncGenerator<Entry> {
  for (let next = from; next <= through; ) {
    const chunk = await readSome(storage, next, through, chunkBytes);
    if (chunk.length === 0)
      throw new PaxosError("ERR_PAXOS_CORRUPT", `slots ${next} to ${through} are missing from the log`);
    yield* chunk;
    next += chunk.length;
  }
}

/** What is asked for of the applied entries, all that are kept unless told. */
export function appliedEntries(
  storage: Pick<GroupStorage, "read">,
  { trimmedThrough, appliedThrough }: { readonly trimmedThrough: number; readonly appliedThrough: number },
  range: { readonly from?: number; readonly through?: number },
): AsyncIterable<Entry> {
  const from = checkInteger("from", range.from ?? trimmedThrough + 1, 1, Number.MAX_SAFE_INTEGER);
  const through = checkInteger("through", range.through ?? appliedThrough, 0, appliedThrough);
  return storedEntries(storage, from, through);
}
