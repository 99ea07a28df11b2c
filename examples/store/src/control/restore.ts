import { channel } from "node:diagnostics_channel";
import { type ObjectStore, type Restoration, restoreState } from "@evenkeel/wal/archive";
import { groupId, type PartitionRecord } from "../metadata/records.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import { decodeCommand, type Write } from "../storage-node/command.js";
import { codeOf, isArchiveDamage } from "../storage-node/errors.js";
import { keyText } from "../storage-node/key-text.js";
import { isOwnKey } from "../storage-node/own-keys.js";
import { StateDecoder } from "../storage-node/partition-state.js";
import { decodeStored } from "../storage-node/stored-value.js";
import { Unfinished } from "./unfinished.js";

const WRITES_PER_ENTRY_MAX = 100;
const BYTES_PER_ENTRY_MAX = 512 * 1024;
/** Gathered before it is written: an item that is written again and again is written once. */
const BYTES_GATHERED_MAX = 8 * 1024 * 1024;
const WRITES_GATHERED_MAX = 20_000;

const snapshotUnusable = channel("evenkeel:store:snapshot-unusable");

export interface RestoreRequest {
  readonly archive: ObjectStore;
  readonly calls: Pick<LeaderCalls, "call">;
  readonly sources: readonly PartitionRecord[];
  /** One for each source, with the same hash range. */
  readonly targets: readonly PartitionRecord[];
  /** Unix time; entries up to and with this moment are taken. */
  readonly untilMs: number;
  readonly signal: AbortSignal;
}

/**
 * Fills new partitions with what others held at a moment in the past, from the archive alone: the newest snapshot that is not later, then the
 * writes behind it, in their order, a few megabytes in memory. Doing it again from the beginning comes to the same, and so does beginning with an older
 * snapshot when one turns out to be damaged half-way: whatever it left behind is in the older one, or is written or deleted by the log between the
 * two.
 */
export async function restorePartitions(request: RestoreRequest): Promise<void> {
  for (const [i, source] of request.sources.entries()) {
    const target = request.targets[i];
    if (target === undefined || target.hashFrom !== source.hashFrom)
      throw new Error(`no target for partition ${source.partition}`);
    await restorePartition(request, source, target);
  }
}

/** From the newest snapshot that can be used. Rejects with what is wrong with the last one where none can. */
async function restorePartition(
  request: RestoreRequest,
  source: PartitionRecord,
  target: PartitionRecord,
): Promise<void> {
  const { archive, untilMs, signal } = request;
  const stream = groupId(source.partition);
  let snapshotBefore = Number.POSITIVE_INFINITY;
  let damage: unknown;
  for (;;) {
    const until = { timeMs: untilMs };
    const found = await restoreState({ store: archive, stream, until, snapshotBefore, signal }).catch((error) => {
      // That there is nothing before the damaged snapshot is not what went wrong.
      throw damage ?? error;
    });
    const writes = new Gathered(request, target);
    try {
      await loadSnapshot(found, writes);
    } catch (error) {
      if (found.snapshot === undefined || !isArchiveDamage(error)) throw error;
      damage ??= error;
      snapshotBefore = found.snapshot.sequence;
      if (snapshotUnusable.hasSubscribers) snapshotUnusable.publish({ stream, slot: snapshotBefore, error });
      continue;
    }
    let through = found.snapshot?.sequence ?? 0;
    for await (const { sequence, data } of found.entries()) {
      const command = data.length === 0 ? undefined : decodeCommand(data);
      if (command?.kind === "writes") for (const write of command.writes) await writes.add(write);
      through = sequence;
    }
    const { unfinished } = writes;
    for await (const write of unfinished.committed({ ...request, source }, stream, through + 1))
      await writes.add(write);
    await writes.flush();
    return;
  }
}

async function loadSnapshot({ snapshot }: Restoration, writes: Gathered): Promise<void> {
  if (snapshot === undefined) return;
  const decoder = new StateDecoder();
  for await (const chunk of snapshot.chunks()) {
    for (const { key, bytes } of decoder.push(chunk)) {
      const { json, itemSizeBytes } = decodeStored(key, bytes);
      await writes.add({ op: "put", key, bytes: json, itemSizeBytes });
    }
  }
  decoder.finish();
}

/** Neither time nor another try mends it: what is archived is damaged, or was let go of. */
export const isFinalForRestore = (error: unknown): boolean =>
  isArchiveDamage(error) || codeOf(error) === "ERR_ARCHIVE_RANGE";

/** Writes on their way, the last one to each key, in entries of bounded size. */
class Gathered {
  readonly #request: RestoreRequest;
  readonly #target: PartitionRecord;
  readonly #writes = new Map<string, Write>();
  readonly unfinished = new Unfinished();
  #bytes = 0;

  constructor(request: RestoreRequest, target: PartitionRecord) {
    this.#request = request;
    this.#target = target;
  }

  async add(given: Write): Promise<void> {
    // What the source said of itself, and what its writes replaced, were its own; indexes are made anew from the items.
    this.unfinished.take(given);
    if (isOwnKey(given.key)) return;
    const { change: _, ...write } = given;
    this.#writes.set(keyText(write.key), write);
    this.#bytes += write.key.length + (write.op === "put" ? write.bytes.length : 0);
    if (this.#bytes >= BYTES_GATHERED_MAX || this.#writes.size >= WRITES_GATHERED_MAX) await this.flush();
  }

  async flush(): Promise<void> {
    const { calls, signal } = this.#request;
    const { partition, members } = this.#target;
    for (const writes of entriesOf(this.#writes.values())) {
      signal.throwIfAborted();
      await calls.call(partition, members, "submit", { partition, writes });
    }
    this.#writes.clear();
    this.#bytes = 0;
  }
}

function* entriesOf(all: Iterable<Write>): IterableIterator<Write[]> {
  let writes: Write[] = [];
  let bytes = 0;
  for (const write of all) {
    writes.push(write);
    bytes += write.op === "put" ? write.bytes.length : 0;
    if (writes.length >= WRITES_PER_ENTRY_MAX || bytes >= BYTES_PER_ENTRY_MAX) {
      yield writes;
      writes = [];
      bytes = 0;
    }
  }
  if (writes.length > 0) yield writes;
}
