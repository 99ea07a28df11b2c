import { PaxosError } from "../core/errors.js";
import type { Snapshot } from "./state-machine.js";

/** What a table of clients may take in a snapshot: a million clients with their kept results, and room to spare. */
export const tableBytesMax = 128 << 20;

/** The snapshot with the table of clients in front of it, read as one. */
export function withTable(table: Uint8Array, snapshot: Snapshot): Snapshot {
  return {
    slot: snapshot.slot,
    sizeBytes: table.length + snapshot.sizeBytes,
    async read(offset, length) {
      const front = table.subarray(Math.min(offset, table.length), Math.min(offset + length, table.length));
      if (front.length === length) return front;
      const rest = length - front.length;
      const bytes = await snapshot.read(offset + front.length - table.length, rest);
      if (bytes.length !== rest) throw new RangeError(`read gave ${bytes.length} bytes, not ${rest}`);
      if (front.length === 0) return bytes;
      const both = new Uint8Array(length);
      both.set(front);
      both.set(bytes, front.length);
      return both;
    },
    close: () => snapshot.close?.(),
  };
}

/** Takes the first `tableBytes` off; the chunks that follow are the rest. */
export async function tableOf(chunks: AsyncGenerator<Uint8Array>, tableBytes: number) {
  if (tableBytes > tableBytesMax) {
    throw new PaxosError(
      "ERR_PAXOS_SNAPSHOT",
      `a table of clients of ${tableBytes} bytes, at most ${tableBytesMax} are taken`,
    );
  }
  const table = new Uint8Array(tableBytes);
  let filled = 0;
  let left: Uint8Array | undefined;
  while (filled < tableBytes) {
    const { done, value } = await chunks.next();
    if (done) throw new PaxosError("ERR_PAXOS_SNAPSHOT", "a snapshot ended within its table of clients");
    const part = value.subarray(0, tableBytes - filled);
    table.set(part, filled);
    filled += part.length;
    if (part.length < value.length) left = value.subarray(part.length);
  }
  async function* rest(): AsyncGenerator<Uint8Array> {
    if (left !== undefined) yield left;
    yield* chunks;
  }
  return { table, chunks: rest() };
}
