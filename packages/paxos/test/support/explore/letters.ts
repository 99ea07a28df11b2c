import type { Message } from "../../../src/core/index.js";
import type { Beat } from "./bonded.js";
import { ballotsOrder, ballotText, sameBallot } from "./disks.js";
import type { BirthLetter } from "./newborn.js";
import type { Letter, NodeState } from "./node-state.js";
import type { SnapshotLetter } from "./states.js";

/**
 * Whether this message, however late it arrives, will be passed over. Only by what is durable at the receiver, or by what it can never be again (nobody stands or leads
 * twice in one ballot). The refusal that it might still earn is lost.
 */
export function canNeverMatter(
  message: Message | Beat | SnapshotLetter | BirthLetter,
  { disk, leading, standing, doubt }: NodeState,
  nacks: boolean,
): boolean {
  // It may be forgotten again.
  const { promised } = disk.before ?? disk.state;
  switch (message.type) {
    case "snapshot":
      return message.position.slot <= disk.state.chosenThrough;
    case "nack":
      return !nacks;
    case "promised":
      if (message.ballot.round === 0) return message.chosenThrough <= disk.state.chosenThrough;
      return standing === undefined || !sameBallot(standing, message.ballot);
    case "ack":
    case "asleep":
      return leading === undefined || !sameBallot(leading, message.ballot);
    case "prepare":
      return !nacks && ballotsOrder(promised, message.ballot) >= 0;
    case "standing":
      return doubt?.open !== true || doubt.id !== message.id;
    case "heartbeat":
    case "sleep":
    case "sync":
    case "accept":
    case "base":
    case "resign":
      return !nacks && ballotsOrder(promised, message.ballot) > 0;
    default:
      return false;
  }
}

/** A sorted set without doubles, from index `from` on. */
export function insert(state: number[], letter: number, from: number): void {
  let at = state.length;
  while (at > from && (state[at - 1] as number) > letter) at--;
  if (at > from && state[at - 1] === letter) return;
  state.push(letter);
  for (let i = state.length - 1; i > at; i--) state[i] = state[i - 1] as number;
  state[at] = letter;
}

function messageText(message: Message | Beat | SnapshotLetter | BirthLetter): string {
  if (message.type === "snapshot") return `a snapshot (slot ${message.position.slot})`;
  const { type, ...rest } = message;
  const fields = Object.entries(rest).map(([key, value]) => {
    if (value !== null && typeof value === "object" && "round" in value) return `${key} ${ballotText(value)}`;
    if (key === "entries" && Array.isArray(value))
      return `${key} [${value.map((entry) => `${entry.slot}: ${ballotText(entry.ballot)} ${entry.kind}`).join(", ")}]`;
    return `${key} ${typeof value === "object" ? JSON.stringify(value) : value}`;
  });
  return `${type} (${fields.join(", ")})`;
}

export const letterText = (names: readonly string[], { from, to, message }: Letter): string =>
  `${names[from]} -> ${names[to]}: ${messageText(message)}`;
