import { type ObjectStore, restore } from "@evenkeel/wal/archive";
import { groupId, type PartitionRecord } from "../metadata/records.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import { decodeCommand, type PutWrite, type Write } from "../storage-node/command.js";
import { keyText } from "../storage-node/key-text.js";

const WRITES_PER_ENTRY_MAX = 100;
const BYTES_PER_ENTRY_MAX = 512 * 1024;

export interface RestoreRequest {
  readonly archive: ObjectStore;
  readonly calls: LeaderCalls;
  readonly sources: readonly PartitionRecord[];
  /** One for each source, with the same hash range. */
  readonly targets: readonly PartitionRecord[];
  /** Unix time; entries up to and with this moment are taken. */
  readonly untilMs: number;
  readonly signal: AbortSignal;
}

/**
 * Fills new partitions with what others held at a moment in the past, from the archive alone. A partition's items are held in memory
 * meanwhile. Doing it again writes the same items again.
 */
export async function restorePartitions(request: RestoreRequest): Promise<void> {
  const { calls, sources, targets, signal } = request;
  for (const [i, source] of sources.entries()) {
    const target = targets[i];
    if (target === undefined || target.hashFrom !== source.hashFrom)
      throw new Error(`no target for partition ${source.partition}`);
    const items = await itemsAt(request, source.partition);
    for (const writes of entriesOf(items)) {
      signal.throwIfAborted();
      await calls.call(target.partition, target.members, "submit", { partition: target.partition, writes });
    }
  }
}

async function itemsAt(
  { archive, untilMs, signal }: RestoreRequest,
  partition: number,
): Promise<Map<string, PutWrite>> {
  const items = new Map<string, PutWrite>();
  const stream = groupId(partition);
  for await (const entry of restore({ store: archive, stream, until: { timeMs: untilMs }, signal })) {
    if (entry.data.length === 0 || entry.timeMs > untilMs) continue;
    const command = decodeCommand(entry.data);
    if (command.kind !== "writes") continue;
    for (const write of command.writes) {
      const name = keyText(write.key);
      if (write.op === "put") items.set(name, write);
      else items.delete(name);
    }
  }
  return items;
}

function* entriesOf(items: ReadonlyMap<string, PutWrite>): IterableIterator<Write[]> {
  let writes: Write[] = [];
  let bytes = 0;
  for (const write of items.values()) {
    writes.push(write);
    bytes += write.bytes.length;
    if (writes.length >= WRITES_PER_ENTRY_MAX || bytes >= BYTES_PER_ENTRY_MAX) {
      yield writes;
      writes = [];
      bytes = 0;
    }
  }
  if (writes.length > 0) yield writes;
}
