import { createHash } from "node:crypto";
import type { Handlers, RangeParams } from "../rpc/protocol.js";
import { StoreError } from "./errors.js";
import type { PartitionHost } from "./partition-host.js";
import type { MarkedSnapshot } from "./replica.js";

const MARK_TIMEOUT_MS = 5_000;
const BYTES_PER_TURN_MAX = 1024 * 1024;
const VALUES_BYTES_MAX = 4 * 1024 * 1024;

type ScrubMethods = Pick<Handlers, "mark" | "digest" | "boundaries" | "values" | "releaseMark" | "repair">;

/** What the scrubber asks of a replica: digests of key ranges at exactly one slot, and the values where digests differ. */
export function scrubMethods(partitionOf: (partition: number) => PartitionHost): ScrubMethods {
  async function marked(partition: number, markId: number): Promise<{ host: PartitionHost; marked: MarkedSnapshot }> {
    const host = partitionOf(partition);
    return { host, marked: await host.replica.marked(markId, MARK_TIMEOUT_MS) };
  }

  /** Visits raw values, giving way to other work after every megabyte. `visit` returns false to stop. */
  async function walk(at: { host: PartitionHost; marked: MarkedSnapshot }, range: RangeParams, visit: (key: Buffer, bytes: Buffer) => boolean): Promise<void> {
    let from = range.from;
    for (;;) {
      let bytesThisTurn = 0;
      let last: Buffer | undefined;
      for (const { key, bytes } of at.host.replica.rawRange({ from, to: range.to }, at.marked)) {
        if (!visit(key, bytes)) return;
        bytesThisTurn += key.length + bytes.length;
        if (bytesThisTurn >= BYTES_PER_TURN_MAX) {
          last = key;
          break;
        }
      }
      if (last === undefined) return;
      from = Buffer.concat([last, Buffer.alloc(1)]);
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  return {
    async mark({ partition, markId }) {
      return { slot: await partitionOf(partition).writer.mark(markId) };
    },

    async digest({ partition, markId, range }) {
      const hash = createHash("sha256");
      const lengths = Buffer.alloc(8);
      let count = 0;
      let size = 0;
      await walk(await marked(partition, markId), range, (key, bytes) => {
        lengths.writeUInt32BE(key.length, 0);
        lengths.writeUInt32BE(bytes.length, 4);
        hash.update(lengths).update(key).update(bytes);
        count++;
        size += key.length + bytes.length;
        return true;
      });
      return { digest: hash.digest(), count, bytes: size };
    },

    async boundaries({ partition, markId, range, parts }) {
      if (!Number.isInteger(parts) || parts < 2) throw new StoreError("ERR_STORE_ARGUMENT", `parts must be a whole number of 2 or more; got ${parts}`);
      const at = await marked(partition, markId);
      let count = 0;
      await walk(at, range, () => ++count > 0);
      const keys: Uint8Array[] = [];
      let seen = 0;
      await walk(at, range, (key) => {
        if (seen > 0 && Math.floor((seen * parts) / count) > Math.floor(((seen - 1) * parts) / count)) keys.push(Uint8Array.from(key));
        seen++;
        return true;
      });
      return { keys };
    },

    async values({ partition, markId, range, limitMax }) {
      const values: { key: Uint8Array; bytes: Uint8Array }[] = [];
      let size = 0;
      let more = false;
      await walk(await marked(partition, markId), range, (key, bytes) => {
        if (values.length >= limitMax || size >= VALUES_BYTES_MAX) {
          more = true;
          return false;
        }
        values.push({ key: Uint8Array.from(key), bytes: Uint8Array.from(bytes) });
        size += key.length + bytes.length;
        return true;
      });
      return { values, more };
    },

    releaseMark({ partition, markId }) {
      partitionOf(partition).replica.releaseMark(markId);
      return null;
    },

    async repair({ partition, key, asOfSlot, expected }) {
      return { rewritten: await partitionOf(partition).writer.repair(key, asOfSlot, expected) };
    },
  };
}
