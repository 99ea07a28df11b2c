import type { Timer } from "@evenkeel/token-bucket";
import { AdmissionError } from "./core/errors.js";
import type { Coordinator, Grant, Settlement } from "./core/protocol.js";

/** What the coordinator answers within `timeoutMs`; rejects after it, whatever the coordinator does. */
export async function answersInTime(
  coordinator: Coordinator,
  settlements: readonly Settlement[],
  timeoutMs: number,
  timer: Timer,
): Promise<readonly Grant[]> {
  const controller = new AbortController();
  let cancel: (() => void) | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = timer(timeoutMs, () => {
      const error = new AdmissionError("ERR_ADMISSION_TIMEOUT", `the coordinator did not answer in ${timeoutMs} ms`);
      // Part of the answers may be there: a coordinator that listens can still hand them over.
      controller.abort(error);
      cancel = timer(0, () => reject(error));
    });
  });
  try {
    // The loser of the race may reject later; `race` has taken note of it, so nothing is left unhandled.
    return await Promise.race([late, coordinator.settle(settlements, { signal: controller.signal })]);
  } finally {
    cancel?.();
  }
}
