import { behind, type Entry, type KeyRange, type ReplicaSnapshot, type ReplicaSource } from "@evenkeel/scrubber";
import type { Caller } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";

const ENTRIES_BYTES_MAX = 1024 * 1024;
const TIMEOUT_MS = 30_000;

/** One node's replica of a partition, as the scrubber sees it. A position is a slot that was marked in the group's log. */
export function replicaSource(nodeId: string, caller: () => Caller, partition: number): ReplicaSource {
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
      // Waits until the node has the snapshot.
      await ask(slot, () => caller().call("digests", { ...target, ranges: [] }, { timeoutMs: TIMEOUT_MS }));
      return {
        digests: async (ranges) =>
          (await ask(slot, () => caller().call("digests", { ...target, ranges }, { timeoutMs: TIMEOUT_MS }))).digests,
        splits: async (range, options) =>
          (await ask(slot, () => caller().call("splits", { ...target, range, options }, { timeoutMs: TIMEOUT_MS })))
            .keys,
        async *entries(range: KeyRange): AsyncIterable<Entry> {
          let { from } = range;
          for (;;) {
            const params = { ...target, range: { from, to: range.to }, bytesMax: ENTRIES_BYTES_MAX };
            const { entries, more } = await ask(slot, () =>
              caller().call("entries", params, { timeoutMs: TIMEOUT_MS }),
            );
            yield* entries;
            const last = entries.at(-1);
            if (!more || last === undefined) return;
            from = Buffer.concat([last.key, Buffer.alloc(1)]);
          }
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
