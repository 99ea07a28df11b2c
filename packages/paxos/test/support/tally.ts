import type { Message } from "../../src/core/index.js";

/** Made once each: it is asked for with every message. */
const sentLabels = new Map<string, string>();

/** Counts what occurred, so that a test can insist that it did. */
export class Tally {
  readonly counts: Record<string, number> = {};

  add(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  sent(message: Message): void {
    const { type } = message;
    let label = sentLabels.get(type);
    if (label === undefined) {
      label = `sent ${type}`;
      sentLabels.set(type, label);
    }
    this.add(label);
    if (message.type === "ack" && message.gap) this.add("gaps reported");
    if (message.type === "preVoteReply" && !message.granted) this.add("pre-votes refused");
    if (message.type === "nack" && message.promised.round <= message.ballot.round)
      this.add("refused for a running grant");
  }

  merge(other: Tally): void {
    for (const [what, count] of Object.entries(other.counts)) this.add(what, count);
  }
}
