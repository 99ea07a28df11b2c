import { behind, type Entry, type KeyRange, type ReplicaSnapshot, type ReplicaSource } from "@evenkeel/scrubber";
import type { Caller } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";
import { decodeStored } from "../storage-node/stored-value.js";

const ENTRIES_BYTES_MAX = 128 * 1024;
const TIMEOUT_MS = 30_000;

/**
 * One node's replica of a partition, as the scrubber sees it. A position is a slot that was marked in the group's log.
 *
 * @param gently nobody waits for what is asked for
 */
export function replicaSource(nodeId: string, caller: () => Caller, partition: number, gently: boolean): ReplicaSource {
  async function ask<T>(slot: number, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      // A node that restarted has lost its snapshot, one that is slow has none yet: neither says anything about its data.
      if (error instanceof StoreError && error.code !== "ERR_STORE_CORRUPT") throw behind(nodeId, slot, error.message);
      throw error;
    }
  }
  return {
    name: nodeId,
    async snapshot(slot): Promise<ReplicaSnapshot> {
      const target = { partition, slot };
      async function* entries(range: KeyRange): AsyncIterable<Entry> {
        let { from } = range;
        for (;;) {
          const params = { ...target, range: { from, to: range.to }, bytesMax: ENTRIES_BYTES_MAX };
          const { entries: page, more } = await ask(slot, () =>
            caller().call("entries", params, { timeoutMs: TIMEOUT_MS }),
          );
          yield* page;
          const last = page.at(-1);
          if (!more || last === undefined) return;
          from = Buffer.concat([last.key, Buffer.alloc(1)]);
        }
      }
      // Waits until the node has the snapshot.
      await ask(slot, () => caller().call("digests", { ...target, ranges: [] }, { timeoutMs: TIMEOUT_MS }));
      return {
        digests: async (ranges) =>
          (await ask(slot, () => caller().call("digests", { ...target, ranges, gently }, { timeoutMs: TIMEOUT_MS })))
            .digests,
        splits: async (range, options) =>
          (
            await ask(slot, () =>
              caller().call("splits", { ...target, range, options, gently }, { timeoutMs: TIMEOUT_MS }),
            )
          ).keys,
        entries,
        /** Each value carries a checksum, which says nothing about one that is gone. */
        async intact(range) {
          let checked = 0;
          for await (const { key, value } of entries(range)) {
            if (!isStored(key, value)) return false;
            checked++;
          }
          return checked > 0 ? true : undefined;
        },
        close: async () => {
          await caller()
            .call("releaseMark", target, { timeoutMs: TIMEOUT_MS })
            .catch(() => null);
        },
      };
    },
  };
}

function isStored(key: Uint8Array, value: Uint8Array): boolean {
  try {
    decodeStored(key, value);
    return true;
  } catch {
    return false;
  }
}
