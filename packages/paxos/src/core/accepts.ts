import { weightOf } from "./log.js";
import type { Accept, FromLeader } from "./messages.js";
import type { Replica } from "./replica.js";

export interface SentAccept {
  readonly message: Accept;
  readonly bytes: number;
}

/** What a leader sends of its log. Peers that stand at the same slot are sent the very same object, so that it need be encoded only once. */
export class Accepts {
  readonly #replica: Replica;
  #last: (SentAccept & { readonly logEnd: number }) | undefined;

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  from(slot: number, stamp: FromLeader): SentAccept {
    const { log, settings } = this.#replica;
    const last = this.#last;
    if (last !== undefined && last.logEnd === log.end && says(last.message, slot, stamp)) return last;
    const entries = log.slice(slot, log.end, settings.messageBytesMax);
    const bytes = entries.reduce((sum, entry) => sum + weightOf(entry), 0);
    this.#last = { message: { type: "accept", ...stamp, prevSlot: slot - 1, entries }, bytes, logEnd: log.end };
    return this.#last;
  }
}

function says(message: Accept, slot: number, { round, sentMs, chosenThrough }: FromLeader): boolean {
  return (
    message.prevSlot === slot - 1 &&
    message.round === round &&
    message.sentMs === sentMs &&
    message.chosenThrough === chosenThrough
  );
}
