import { keySequence, type PassReport, type PassRunOptions, type ScrubUnit, sequenceKey } from "@evenkeel/scrubber";
import type { Caller } from "../rpc/protocol.js";
import type { LogDamage, LogPlace } from "../storage-node/log-scrub.js";

const STRETCH_BYTES = 256 * 1024;
const TIMEOUT_MS = 30_000;
const SEQUENCE_BYTES = 8;

/** That a stretch of a node's log cannot be believed. */
export class LogDamaged extends Error {
  constructor(readonly damage: LogDamage) {
    super(`the log of ${damage.stream} from record ${damage.sequence} on: ${damage.reason}`);
  }
}

/** One node's own log, read from its files by the node itself, a stretch at a time. */
export function logUnit(name: string, nodeId: string, caller: () => Caller): ScrubUnit {
  let passes = 0;
  return {
    name,
    async pass({ from, take = () => {}, onStep, signal }: PassRunOptions): Promise<PassReport> {
      const damages: LogDamage[] = [];
      let [bytes, records] = [0, 0];
      for (let after = from === undefined ? undefined : placeOf(from); ; ) {
        signal?.throwIfAborted();
        await take(STRETCH_BYTES);
        const params = { ...(after === undefined ? {} : { after }), bytesMax: STRETCH_BYTES };
        const stretch = await caller().call("scrubLog", params, { timeoutMs: TIMEOUT_MS });
        damages.push(...stretch.damages);
        bytes += stretch.bytes;
        records += stretch.records;
        after = stretch.next;
        const through = after === undefined ? undefined : keyOf(after);
        await onStep?.({ through, bytes: stretch.bytes, findings: damages.length });
        if (after === undefined) break;
      }
      const clean = passes;
      passes++;
      return {
        at: passes,
        compared: [nodeId],
        absent: [],
        complete: true,
        divergences: [],
        unreadable: damages.map((damage) => ({
          replica: nodeId,
          where: "log",
          since: { after: clean === 0 ? undefined : clean, by: passes },
          range: { from: keyOf(damage), to: undefined },
          cause: new LogDamaged(damage),
        })),
        unexamined: [],
        unstable: [],
        keys: records,
        bytes,
        exchanges: 0,
      };
    },
  };
}

/** A place in the log as a key, for who keeps places as keys. */
function keyOf({ stream, sequence }: LogPlace): Uint8Array {
  return Buffer.concat([Buffer.from(stream), sequenceKey(sequence)]);
}

function placeOf(key: Uint8Array): LogPlace {
  const at = key.length - SEQUENCE_BYTES;
  return { stream: Buffer.from(key.subarray(0, at)).toString(), sequence: keySequence(key.subarray(at)) };
}
