import { type Ballot, compareBallots, sameBallot } from "./ballot.js";
import { badArgument, invariant } from "./errors.js";
import { Log } from "./log.js";
import type { Message } from "./messages.js";
import type { Settings } from "./options.js";
import type { Effect, PersistedState, PersistWrite } from "./types.js";

export type Role = "follower" | "candidate" | "leader" | "stopped";

/** A write that the host has been asked for and has not confirmed, and the state that it makes durable. */
interface Pending {
  readonly token: number;
  readonly askedMs: number;
  readonly promised: Ballot;
  readonly accepted: Ballot;
  /** How far the log *as it is in memory* is durable then; lowered when a later write cuts the log back. */
  end: number;
}

/**
 * The state that all roles of one replica share, and the two disciplines on which safety rests: nothing that promises
 * durability leaves before its write is durable, and chosen slots are reported in order, exactly once.
 */
export class Replica {
  readonly settings: Settings;
  nowMs: number;
  role: Role = "follower";
  promised: Ballot;
  /** The ballot whose leader's log this log has taken over. */
  accepted: Ballot;
  readonly log: Log;
  /** Chosen, and in our log, though perhaps not durable here. */
  knownChosen: number;
  /** Chosen, durable and reported. */
  chosenThrough: number;
  trimmedThrough: number;
  /** Highest round seen anywhere. */
  roundMax: number;

  durablePromised: Ballot;
  durableAccepted: Ballot;
  durableEnd: number;

  effects: Effect[] = [];
  #issued = 0;
  #durable = 0;
  #pending: Pending[] = [];
  #held: { token: number; to: string; message: Message }[] = [];
  #said: Extract<Effect, { type: "leadership" }>;

  constructor(settings: Settings, persisted: PersistedState, nowMs: number) {
    const { promised, accepted, trimmedThrough, chosenThrough, entries } = persisted;
    this.settings = settings;
    this.nowMs = nowMs;
    const below = entries[0] === undefined ? Math.max(trimmedThrough, chosenThrough) : entries[0].slot - 1;
    if (below > Math.max(trimmedThrough, chosenThrough)) {
      throw badArgument("persisted.entries", `to begin at slot ${chosenThrough + 1} or before`, below + 1);
    }
    this.log = new Log(below, entries);
    if (compareBallots(accepted, promised) > 0) {
      throw badArgument("persisted.accepted", "no higher than promised", JSON.stringify({ accepted, promised }));
    }
    if (chosenThrough > this.log.end) {
      throw badArgument("persisted.chosenThrough", `no higher than the log's end ${this.log.end}`, chosenThrough);
    }
    this.promised = this.durablePromised = promised;
    this.accepted = this.durableAccepted = accepted;
    this.trimmedThrough = trimmedThrough;
    this.knownChosen = this.chosenThrough = Math.max(chosenThrough, trimmedThrough);
    this.durableEnd = this.log.end;
    this.roundMax = promised.round;
    this.#said = { type: "leadership", leading: false, ballot: promised, leader: undefined };
  }

  /** Token of the newest write, durable or not. */
  get issued(): number {
    return this.#issued;
  }

  get writesPending(): number {
    return this.#pending.length;
  }

  /** Since when the oldest write that is not durable waits; infinite when there is none. */
  get writeSinceMs(): number {
    return this.#pending[0]?.askedMs ?? Number.POSITIVE_INFINITY;
  }

  send(to: string, message: Message): void {
    this.effects.push({ type: "send", to, message });
  }

  /** Sends once every write asked for so far is durable. */
  sendWhenDurable(to: string, message: Message): void {
    if (this.#durable === this.#issued) this.send(to, message);
    else this.#held.push({ token: this.#issued, to, message });
  }

  broadcast(message: Message): void {
    for (const peer of this.settings.membership.peers) this.send(peer, message);
  }

  /** Raises the promise in memory; the caller persists it in the same step. */
  promise(ballot: Ballot): void {
    invariant(compareBallots(ballot, this.promised) > 0, "a promise must rise");
    this.promised = ballot;
    this.sawRound(ballot.round);
  }

  sawRound(round: number): void {
    if (round > this.roundMax) this.roundMax = round;
  }

  /** Asks for a write of what has just been changed in memory (`log` already truncated and appended). */
  persist(write: PersistWrite): number {
    if (write.truncateFrom !== undefined) {
      const end = write.truncateFrom - 1;
      invariant(end >= this.knownChosen, `a chosen slot would be cut: ${end + 1} <= ${this.knownChosen}`);
      this.durableEnd = Math.min(this.durableEnd, end);
      for (const pending of this.#pending) pending.end = Math.min(pending.end, end);
    }
    const token = ++this.#issued;
    const { nowMs, promised, accepted } = this;
    this.#pending.push({ token, askedMs: nowMs, promised, accepted, end: this.log.end });
    this.effects.push({ type: "persist", token, write });
    return token;
  }

  /** Returns whether anything became durable that was not. */
  persisted(token: number): boolean {
    invariant(token <= this.#issued, `token ${token} was never issued`);
    if (token <= this.#durable) return false;
    this.#durable = token;
    let done = 0;
    for (const pending of this.#pending) {
      if (pending.token > token) break;
      this.durablePromised = pending.promised;
      this.durableAccepted = pending.accepted;
      this.durableEnd = pending.end;
      done++;
    }
    this.#pending.splice(0, done);
    let released = 0;
    for (const held of this.#held) {
      if (held.token > token) break;
      this.send(held.to, held.message);
      released++;
    }
    if (released > 0) this.#held.splice(0, released);
    this.#report();
    return true;
  }

  isDurable(token: number): boolean {
    return token <= this.#durable;
  }

  /** The slots through `slot` are chosen, and our log holds them. */
  learnChosen(slot: number): void {
    if (slot <= this.knownChosen) return;
    invariant(slot <= this.log.end, `chosen slot ${slot} beyond the log's end ${this.log.end}`);
    this.knownChosen = slot;
    this.#report();
  }

  #report(): void {
    const through = Math.min(this.knownChosen, this.durableEnd);
    if (through <= this.chosenThrough) return;
    this.effects.push({ type: "chosen", entries: this.log.slice(this.chosenThrough + 1, through) });
    this.chosenThrough = through;
    this.log.shed(through, this.settings.tailBytesMax);
  }

  /** Tells the host who leads, when that has changed. */
  sayLeader(leader: string | undefined): void {
    const leading = leader === this.settings.membership.self;
    const said = this.#said;
    if (said.leading === leading && said.leader === leader && sameBallot(said.ballot, this.promised)) return;
    this.#said = { type: "leadership", leading, ballot: this.promised, leader };
    this.effects.push(this.#said);
  }

  get leader(): string | undefined {
    return this.#said.leader;
  }

  jitterMs(): number {
    return this.settings.random() * this.settings.electionJitterMs;
  }
}
