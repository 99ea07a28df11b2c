import type { Replica } from "./replica.js";

/**
 * Sends `to` chosen entries from `fromSlot` on, one bounded message: from memory where they are, otherwise the host is
 * asked to read them from storage. The receiver asks (or its acknowledgement makes the leader send) the next piece.
 */
export function sendChosen(replica: Replica, to: string, fromSlot: number, throughSlot: number): void {
  const through = Math.min(throughSlot, replica.chosenThrough);
  if (fromSlot > through) return;
  const { log, settings, effects } = replica;
  if (fromSlot <= replica.trimmedThrough) {
    effects.push({ type: "snapshotNeeded", to, fromSlot });
  } else if (fromSlot >= log.firstSlot) {
    replica.send(to, { type: "learn", entries: log.slice(fromSlot, through, settings.messageBytesMax) });
  } else {
    const inStorage = Math.min(through, log.firstSlot - 1);
    effects.push({ type: "ship", to, fromSlot, throughSlot: inStorage, bytesMax: settings.messageBytesMax });
  }
}
