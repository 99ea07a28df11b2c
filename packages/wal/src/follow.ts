import type { StreamWatcher } from "./core/stream-state.js";
import { WalError } from "./errors.js";
import type { WalFileSystem } from "./fs/file-system.js";
import type { Log } from "./log.js";
import { readRecords, truncated, type WalRecord } from "./reader.js";

export interface Followed {
  readonly name: string;
  readonly log: Log;
  readonly fileSystem: WalFileSystem;
}

/**
 * Records from `from` on as they become durable, for as long as the log is open. What was handed out must never turn out not to be: when the end
 * of the stream is truncated below it, the follower is told by an error and has to go back itself.
 */
export async function* followRecords(
  followed: Followed,
  from: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<WalRecord, void, undefined> {
  const { name, log, fileSystem } = followed;
  let sequence = from;
  let handedOut = 0;
  let takenBack: WalError | undefined;
  let wake: () => void = () => undefined;
  const woken = () => wake();
  const watcher: StreamWatcher = {
    grown: woken,
    cut(next) {
      if (next <= handedOut) {
        const message = `stream ${JSON.stringify(name)} was cut back to ${next - 1}; this reader was already given ${handedOut}`;
        takenBack ??= new WalError("ERR_WAL_TRUNCATED", message, { stream: name });
      }
      wake();
    },
  };
  log.table.watch(name, watcher);
  log.stopped.add(woken);
  signal?.addEventListener("abort", woken);
  try {
    for (;;) {
      signal?.throwIfAborted();
      if (takenBack !== undefined) throw takenBack as Error;
      const state = log.table.named(name);
      if (state !== undefined && sequence < state.next) {
        if (sequence < state.first) throw truncated(state, sequence);
        for await (const record of readRecords(fileSystem, state, sequence, state.next - 1, signal)) {
          if (takenBack !== undefined) throw takenBack as Error;
          handedOut = record.sequence;
          sequence = handedOut + 1;
          yield record;
        }
        continue;
      }
      if (log.poisoned !== undefined) throw log.poisoned;
      if (log.closed) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    log.table.unwatch(name, watcher);
    log.stopped.delete(woken);
    signal?.removeEventListener("abort", woken);
  }
}
