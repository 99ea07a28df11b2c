import type { Ballot, Message, PersistedState, PersistWrite, Position } from "../../../src/core/index.js";

export interface Disk {
  /** Survives a crash. */
  readonly state: PersistedState;
  /** Asked for and not durable: a crash loses it. `token` is confirmed when it has become durable. */
  readonly pending: readonly { readonly token: number | undefined; readonly write: PersistWrite }[];
  /** Where states are handed over: through which slot the state machine's own disk holds one, and what the log was told of the last one before it was taken over. */
  readonly machine?: number;
  readonly note?: Position;
  /** Where that may be forgotten: what was there before the newest promise, as long as nothing else was written. */
  readonly before?: PersistedState | undefined;
  /** A restart has found the state machine switched and the log not. */
  readonly interrupted?: boolean;
}

export const sameBallot = (a: Ballot, b: Ballot) => a.round === b.round && a.node === b.node;
export const ballotsOrder = (a: Ballot, b: Ballot) =>
  a.round - b.round || (a.node === b.node ? 0 : a.node < b.node ? -1 : 1);
export const ballotText = (ballot: Ballot) => `${ballot.round}.${ballot.node}`;

/** I3 and I4: what is said of the disk is on it, and no promise is broken by saying it. */
export function saidTooMuch(message: Message, disk: PersistedState, spoken: Ballot): string | undefined {
  if (message.type !== "promised" && message.type !== "ack" && message.type !== "prepare") return undefined;
  const { ballot } = message;
  // It promises nothing.
  if (ballot.round === 0) return undefined;
  if (ballotsOrder(disk.promised, ballot) < 0) {
    return `${message.type} in ${ballotText(ballot)} is said, durable is ${ballotText(disk.promised)}`;
  }
  if (ballotsOrder(ballot, spoken) < 0) {
    return `${message.type} in ${ballotText(ballot)} is said after ${ballotText(spoken)}: a promise was broken`;
  }
  if (message.type !== "ack" || message.acceptedThrough === 0) return undefined;
  if (ballotsOrder(disk.accepted, ballot) < 0) return `${ballotText(ballot)} is acknowledged and not durable`;
  const end = disk.entries.at(-1)?.slot ?? disk.trimmedThrough;
  return end < message.acceptedThrough
    ? `slot ${message.acceptedThrough} is acknowledged, durable is ${end}`
    : undefined;
}

export function spokenWith(spoken: Ballot, message: Message): Ballot {
  if (message.type !== "promised" && message.type !== "ack" && message.type !== "prepare") return spoken;
  return ballotsOrder(message.ballot, spoken) > 0 ? message.ballot : spoken;
}

/** The disk after one atomic write. */
export function folded(disk: PersistedState, write: PersistWrite): PersistedState {
  let { promised, accepted, chosenThrough, trimmedThrough, entries } = disk;
  let { base, configuration } = disk;
  promised = write.promised ?? promised;
  accepted = write.accepted ?? accepted;
  if (write.reset !== undefined) {
    base = write.reset;
    configuration = write.reset.configuration;
    trimmedThrough = write.reset.slot;
    chosenThrough = Math.max(chosenThrough, trimmedThrough);
    entries = [];
  }
  const { truncateFrom } = write;
  if (truncateFrom !== undefined) entries = entries.filter(({ slot }) => slot < truncateFrom);
  if (write.entries !== undefined) entries = [...entries, ...write.entries];
  const end = entries.at(-1)?.slot ?? trimmedThrough;
  const first = entries[0]?.slot ?? end + 1;
  if (first > trimmedThrough + 1 || end !== first + entries.length - 1) throw new Error("a write leaves a hole");
  chosenThrough = Math.max(chosenThrough, write.chosenThrough ?? 0);
  return {
    promised,
    accepted,
    trimmedThrough,
    chosenThrough,
    entries,
    ...(configuration === undefined ? {} : { configuration }),
    ...(base === undefined ? {} : { base }),
  };
}

export function plain(value: unknown): string {
  return JSON.stringify(value, (_, held) => (held instanceof Uint8Array ? Array.from(held) : held));
}
