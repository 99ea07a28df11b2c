import { type ObjectStore, restore } from "@evenkeel/wal/archive";
import type { PartitionRecord } from "../metadata/records.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import { decodeCommand, type Write } from "../storage-node/command.js";
import { StoreError } from "../storage-node/errors.js";
import { keyText } from "../storage-node/key-text.js";
import { decodeLock, lockedItem, readCommitMark } from "../storage-node/lock.js";

/** A transaction that lost its coordinator is finished within seconds. */
const PAUSE_MS = 200;
const PAUSES_MAX = 100;

/**
 * What transactions had prepared at the moment to which a partition is restored, and not yet made so or cancelled. Its later log says what became of it. What
 * was committed with a time up to that moment belongs into it: other partitions may have made so their part before it. As all partitions hold to that, a
 * restored table has all of a transaction or nothing.
 */
export class Unfinished {
  /** Transactions by the text of the prepared item's own key. */
  readonly #open = new Map<string, string>();

  /** Must see all writes up to the moment. */
  take(write: Write): void {
    if (lockedItem(write.key) === undefined) return;
    if (write.op === "delete") this.#open.delete(keyText(write.key));
    else this.#open.set(keyText(write.key), decodeLock(write.bytes).transaction);
  }

  /**
   * The writes behind the moment that belong into it.
   * @param from the first entry behind the moment
   */
  async *committed(
    { archive, calls, source, untilMs, signal }: UnfinishedRequest,
    stream: string,
    from: number,
  ): AsyncGenerator<Write, void, undefined> {
    let next = from;
    let isGone = false;
    for (let pauses = 0; this.#open.size > 0; pauses++) {
      for await (const { sequence, data } of restore({ store: archive, stream, from: next, signal })) {
        next = sequence + 1;
        yield* this.#ofEntry(data, untilMs);
        if (this.#open.size === 0) return;
      }
      if (isGone) return;
      // Under way when the log was last archived. One that went by now was archived to its end before, and that is looked at once more.
      isGone = !(await isThere(calls, source));
      if (isGone) continue;
      if (pauses === PAUSES_MAX)
        throw new StoreError("ERR_STORE_BEHIND", `${stream}: what was prepared at the moment is not finished yet`);
      await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  *#ofEntry(data: Uint8Array, untilMs: number): Generator<Write, void, undefined> {
    const command = data.length === 0 ? undefined : decodeCommand(data);
    if (command?.kind !== "writes") return;
    let mark: ReturnType<typeof readCommitMark>;
    let since: Write[] = [];
    for (const write of command.writes) {
      const found = readCommitMark(write);
      if (found === undefined && lockedItem(write.key) === undefined) {
        since.push(write);
        continue;
      }
      const lock = keyText(write.key);
      const transaction = write.op === "delete" ? this.#open.get(lock) : undefined;
      if (transaction !== undefined) {
        this.#open.delete(lock);
        if (mark?.transaction === transaction && mark.timeMs <= untilMs) yield* since;
      }
      mark = found ?? mark;
      since = [];
    }
  }
}

export interface UnfinishedRequest {
  readonly archive: ObjectStore;
  readonly calls: Pick<LeaderCalls, "call">;
  readonly source: PartitionRecord;
  readonly untilMs: number;
  readonly signal: AbortSignal;
}

/** Has what there is of the log archived. False where the partition is gone: then nothing more comes into its archive. */
async function isThere(calls: UnfinishedRequest["calls"], { partition, members }: PartitionRecord): Promise<boolean> {
  try {
    await calls.call(partition, members, "archive", { partition });
    return true;
  } catch (error) {
    if (error instanceof StoreError && error.code === "ERR_STORE_UNKNOWN_PARTITION") return false;
    throw error;
  }
}
