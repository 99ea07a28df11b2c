import { PaxosError } from "../core/errors.js";
import type { Entry } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";

const chunkBytes = 1024 * 1024;

/** Entries `from` through `through` out of the log, holding about 1 MiB of them in memory at a time. */
export async function* storedEntries(
  storage: Pick<GroupStorage, "read">,
  from: number,
  through: number,
): AsyncGenerator<Entry> {
  for (let next = from; next <= through; ) {
    const chunk = await storage.read(next, through, chunkBytes);
    if (chunk.length === 0)
      throw new PaxosError("ERR_PAXOS_CORRUPT", `slots ${next} to ${through} are missing from the log`);
    yield* chunk;
    next += chunk.length;
  }
}
