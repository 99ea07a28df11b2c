import type { Snapshot } from "@evenkeel/paxos";
import type { Applier } from "./applier.js";
import { StoreError } from "./errors.js";
import { encodeState, stateBytes, stateEntryBytes } from "./partition-state.js";
import type { Replica } from "./replica.js";
import { turn } from "./turn.js";

const PAGE_BYTES = 256 * 1024;
/** The log in memory reaches back 4 MiB: the state handed out must not be older than that, or nobody can say what follows on it. */
const BACKLOG_BYTES_MAX = 1024 * 1024;
const PAUSE_MS = 10;
const PAUSES_MAX = 100;

/**
 * A replica's state for another one, read from the B-tree as it is asked for. How long it will be has to be said first: it is measured once, and what is
 * written meanwhile is known; where that was written over, zeros make up the difference.
 */
export async function outgoingState(replica: Replica, applier: Applier): Promise<Snapshot> {
  const measuredFrom = replica.movedBytes;
  let entriesBytes = 0;
  const before = replica.state();
  try {
    for (const page of before.pages(PAGE_BYTES)) {
      for (const { key, bytes } of page) entriesBytes += stateEntryBytes(key.length, bytes.length);
      await turn();
    }
  } finally {
    before.close();
  }
  for (let i = 0; i < PAUSES_MAX && replica.backlog.bytes > BACKLOG_BYTES_MAX; i++) {
    applier.hurry();
    await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  const state = replica.state();
  const sizeBytes = stateBytes(entriesBytes + replica.takenBytes - measuredFrom);
  const pieces = encodeState(state, state.pages(PAGE_BYTES));
  let rest: Uint8Array = new Uint8Array(0);
  let readBytes = 0;
  let ended = false;
  return {
    slot: state.slot,
    sizeBytes,
    read(offset, length) {
      if (offset !== readBytes) throw new RangeError(`read at ${offset} after ${readBytes}`);
      const out = new Uint8Array(length);
      let filled = 0;
      while (filled < length && !ended) {
        if (rest.length === 0) {
          const next = pieces.next();
          if (next.done === true) ended = true;
          else rest = next.value;
          continue;
        }
        const taken = Math.min(rest.length, length - filled);
        out.set(rest.subarray(0, taken), filled);
        rest = rest.subarray(taken);
        filled += taken;
      }
      readBytes += length;
      if (readBytes === sizeBytes && (rest.length > 0 || pieces.next().done !== true))
        throw new StoreError("ERR_STORE_CONFLICT", `partition ${replica.partition} was larger than it was measured`);
      return out;
    },
    close: () => state.close(),
  };
}
