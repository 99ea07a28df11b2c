import { BALLOT_ZERO, type Ballot, compareBallots, sameBallot } from "./ballot.js";
import type { BondView } from "./bonds.js";
import { type Configuration, markIn } from "./configuration.js";
import { Configurations } from "./configurations.js";
import { Doubt } from "./doubt.js";
import { badArgument, broken, invariant } from "./errors.js";
import { gathered } from "./gathered.js";
import { Log } from "./log.js";
import type { Message } from "./messages.js";
import type { Settings } from "./options.js";
import type { Press } from "./press.js";
import type { Membership } from "./quorum.js";
import { Tail, type TailOwner } from "./tails.js";
import type { Effect, Entry, PersistedState, PersistWrite, Position } from "./types.js";

/** Of a group that sleeps. */
export interface Glance {
  readonly leading: boolean;
  readonly ballot: Ballot;
  readonly configuration: Configuration;
}

const nothing: Glance = {
  leading: false,
  ballot: BALLOT_ZERO,
  configuration: { slot: 0, storage: [], log: [], departed: [] },
};

/** Stands in front of all else that is packed. */
export function glance(p: Press, { leading, ballot, configuration } = nothing): Glance {
  return { leading: p.flag(leading), ballot: p.ballot(ballot), configuration: p.configuration(configuration) };
}

export type Role = "follower" | "candidate" | "leader" | "stopped";

/** Sent when everything through this token is durable. */
interface Held {
  readonly token: number;
  readonly to: string;
  readonly message: Message;
}

/** A write that the host has been asked for and has not confirmed, and the state that it makes durable. */
interface Pending {
  readonly token: number;
  readonly askedMs: number;
  readonly promised: Ballot;
  readonly accepted: Ballot;
  /** How far the log *as it is in memory* is durable then; lowered when a later write cuts the log back. */
  end: number;
}

// In the place of lists that nearly always are empty, for all groups: one that was looked at just now, and never written to.
const nonePending: Pending[] = [];
const noneHeld: Held[] = [];

/**
 * Who does not lead keeps this part of `tailBytesMax`: it is asked for what is chosen only when leaders change. What it kept for seconds would have become old by then for V8's collector, together with all of the messages in which it
 * was received, and that is what brings about most of its long pauses.
 */
const followersTail = 1 / 16;

/**
 * The state that all roles of one replica share, and the two disciplines on which safety rests: nothing that promises
 * durability leaves before its write is durable, and chosen slots are reported in order, exactly once.
 */
export class Replica implements TailOwner {
  readonly settings: Settings;
  nowMs: number;
  role: Role = "follower";
  promised: Ballot;
  /** The ballot whose leader's log this log has taken over. */
  accepted: Ballot;
  readonly log: Log;
  readonly configurations: Configurations;
  /** The state machine is behind the log's beginning; never standing, never counted as a copy of the state. */
  awaitsState: boolean;
  /** Its empty log may be one that has forgotten everything: it says nothing that counts for a member that is known by its name alone. */
  mute: boolean;
  /** The mark under which its log was born, once that is durable. */
  birth: string | undefined;
  /** Its log may have forgotten the last thing that it said; undefined once that has been made good, or when there was never a doubt. */
  doubt: Doubt | undefined;
  /** No member any more, for good. */
  departed = false;
  /** Chosen, and in our log, though perhaps not durable here. */
  knownChosen: number;
  /** Chosen, durable and reported. */
  chosenThrough: number;
  trimmedThrough: number;
  /** Slot `trimmedThrough`, when storage knew it. */
  base: Position | undefined;
  /** Highest round seen anywhere. */
  roundMax: number;

  durablePromised: Ballot;
  durableAccepted: Ballot;
  durableEnd: number;

  readonly effects = gathered;
  #issued = 0;
  #durable = 0;
  #pending = nonePending;
  #held = noneHeld;
  #said: Extract<Effect, { type: "leadership" }>;

  readonly #tail: Tail | undefined;

  /** How this node stands with the others; without them a group never sleeps. */
  readonly bonds: BondView | undefined;

  constructor(settings: Settings, persisted: PersistedState, nowMs: number, bonds?: BondView) {
    const { promised, accepted, trimmedThrough, chosenThrough, entries, base } = persisted;
    this.settings = settings;
    this.bonds = bonds;
    this.#tail = settings.tails && new Tail(this);
    this.mute = settings.mute;
    this.awaitsState = settings.awaitsState || settings.role === "log";
    this.nowMs = nowMs;
    const below = entries[0] === undefined ? Math.max(trimmedThrough, chosenThrough) : entries[0].slot - 1;
    if (below > Math.max(trimmedThrough, chosenThrough)) {
      throw badArgument("persisted.entries", `to begin at slot ${chosenThrough + 1} or before`, below + 1);
    }
    this.log = new Log(below, entries, base?.slot === below ? base.ballot : BALLOT_ZERO);
    this.base = base?.slot === trimmedThrough ? base : undefined;
    this.configurations = new Configurations(settings.nodeId, persisted.configuration ?? settings.founders);
    this.configurations.appended(entries);
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
    this.doubt = settings.doubtful ? new Doubt(this) : undefined;
  }

  /** Of one that sleeps: one ballot everywhere, everything chosen, durable and reported. The log's entries are left to storage. */
  press(p: Press): void {
    const { log, promised, configurations } = this;
    const oneBallot = [this.accepted, this.durablePromised, this.durableAccepted, this.#said.ballot];
    const { leading, ballot, configuration } = glance(p, {
      leading: this.role === "leader",
      ballot: promised,
      configuration: configurations.current.configuration,
    });
    p.expect((leading || this.role === "follower") && oneBallot.every((ballot) => sameBallot(ballot, promised)));
    p.expect(this.knownChosen === log.end && this.chosenThrough === log.end && this.durableEnd === log.end);
    p.expect(this.#pending.length === 0 && this.#held.length === 0 && this.#durable === this.#issued);
    const { mark } = configurations.current;
    p.expect(this.doubt === undefined && !this.silent && !this.departed && this.#said.leading === leading);
    p.expect(this.#said.leader === promised.node && this.awaitsState === (this.settings.role === "log"));
    this.nowMs = p.float(this.nowMs);
    this.promised = this.accepted = this.durablePromised = this.durableAccepted = ballot;
    this.#said = { type: "leadership", leading, ballot: this.promised, leader: this.promised.node };
    this.role = leading ? "leader" : "follower";
    const end = p.whole(log.end);
    this.knownChosen = this.chosenThrough = this.durableEnd = end;
    const edge = log.ballotAt(end) ?? BALLOT_ZERO;
    const ballotBelow = p.flag(sameBallot(edge, this.promised)) ? this.promised : p.ballot(edge);
    this.trimmedThrough = p.whole(this.trimmedThrough);
    if (p.flag(this.base !== undefined)) {
      const base = this.base ?? { slot: 0, ballot: BALLOT_ZERO, configuration };
      this.base = {
        ...base,
        slot: this.trimmedThrough,
        ballot: p.ballot(base.ballot),
        configuration: p.configuration(base.configuration),
      };
    }
    this.roundMax = p.whole(this.roundMax);
    this.#issued = this.#durable = p.whole(this.#issued);
    // Who is known by a mark is known by its own, and may have no other voice.
    const own = p.packing ? mark : markIn(configuration, this.self);
    const mute = own !== undefined && p.flag(this.mute);
    if (p.packing) return;
    this.awaitsState = this.settings.role === "log";
    this.mute = mute;
    this.birth = own;
    log.reset(end, ballotBelow);
    configurations.reset(configuration);
  }

  get self(): string {
    return this.settings.nodeId;
  }

  /** Who decides, by the log as it is in memory. */
  get membership(): Membership {
    return this.configurations.current;
  }

  /** Whether this replica may stand: a storage replica of its own log's configuration, with a state machine to lead with. */
  get mayLead(): boolean {
    return this.membership.mayLead && !this.awaitsState && !this.departed && !this.silent;
  }

  /** Of no use to a group that its own log speaks of: neither votes for it by its name, nor leads it. */
  get silent(): boolean {
    return !this.isKnownIn(this.membership) || this.doubt?.open === true;
  }

  /** Whether it is this very log that these members mean by this node's name. */
  isKnownIn({ mark }: Membership): boolean {
    return mark === undefined ? !this.mute : mark === this.birth;
  }

  /** What the log says of this node is not about this disk: it is remembered under another mark. */
  get forgetful(): boolean {
    const { mark } = this.membership;
    return mark !== undefined && this.birth !== undefined && mark !== this.birth;
  }

  /** Appends in memory; the caller persists it in the same step. */
  append(entries: readonly Entry[]): void {
    const before = this.membership;
    this.log.append(entries, 0);
    this.configurations.appended(entries);
    this.#sayMembers(before);
  }

  /** Cuts in memory; the caller persists it in the same step. */
  truncateFrom(slot: number): void {
    const before = this.membership;
    this.log.truncateFrom(slot);
    this.configurations.truncatedFrom(slot);
    this.#sayMembers(before);
  }

  #sayMembers(before: Membership): void {
    const now = this.membership;
    if (now !== before) this.effects.push({ type: "configured", configuration: now.configuration });
  }

  /**
   * The slots through that of `position` are chosen, and their outcome is durable here (or does not concern this replica).
   * What the log holds above them stays if it follows on them, else it was never chosen. Returns whether the log begins anew.
   */
  jump(position: Position): boolean {
    const { slot, ballot } = position;
    invariant(ballot.round > 0, `slot ${slot} without its ballot cannot be told from another that we hold there`);
    if (slot <= this.knownChosen) {
      this.#vouchedThrough(slot);
      return false;
    }
    const { log } = this;
    if (slot <= log.end && log.matches(slot, ballot)) {
      this.knownChosen = slot;
      this.#vouchedThrough(slot);
      this.#report();
      return false;
    }
    const before = this.membership;
    log.reset(slot, ballot);
    this.#weighTail();
    this.configurations.reset(position.configuration);
    this.#sayMembers(before);
    this.base = position;
    this.knownChosen = this.chosenThrough = this.trimmedThrough = slot;
    this.durableEnd = Math.min(this.durableEnd, slot);
    for (const pending of this.#pending) pending.end = Math.min(pending.end, slot);
    this.persist({ reset: position, chosenThrough: slot });
    return true;
  }

  /** Storage has let go of these chosen slots. */
  trimmed(throughSlot: number, base: Position | undefined): void {
    if (throughSlot <= this.trimmedThrough) return;
    this.trimmedThrough = throughSlot;
    this.base = base?.slot === throughSlot ? base : undefined;
  }

  /** Chosen slots through `slot` need not be reported any more: the state machine is there already. */
  #vouchedThrough(slot: number): void {
    this.chosenThrough = Math.max(this.chosenThrough, slot);
  }

  /** A chosen slot from `slot` on of which everything is known; undefined while there is none. */
  positionFrom(slot: number): Position | undefined {
    const { base, log } = this;
    if (base !== undefined && base.slot >= slot) return base;
    const at = Math.max(slot, log.firstSlot - 1);
    for (const candidate of [at, at + 1]) {
      const ballot = log.ballotAt(candidate);
      if (ballot === undefined || candidate > this.chosenThrough) continue;
      return { slot: candidate, ballot, configuration: this.configurations.at(candidate).configuration };
    }
    return undefined;
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
    else this.#held = [...this.#held, { token: this.#issued, to, message }];
  }

  broadcast(message: Message): void {
    for (const peer of this.membership.peers) this.send(peer, message);
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
    const pending = { token, askedMs: nowMs, promised, accepted, end: this.log.end };
    // One alone in an array of one: the first push makes room for seventeen.
    if (this.#pending.length === 0) this.#pending = [pending];
    else this.#pending.push(pending);
    this.effects.push({ type: "persist", token, write });
    return token;
  }

  /** Returns whether anything became durable that was not. */
  persisted(token: number): boolean {
    if (token > this.#issued) throw broken(`token ${token} was never issued`);
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
    if (done === this.#pending.length) this.#pending = nonePending;
    else this.#pending.splice(0, done);
    let released = 0;
    for (const held of this.#held) {
      if (held.token > token) break;
      this.send(held.to, held.message);
      released++;
    }
    if (released > 0) this.#held = this.#held.length === released ? noneHeld : this.#held.slice(released);
    this.#report();
    return true;
  }

  isDurable(token: number): boolean {
    return token <= this.#durable;
  }

  /** The slots through `slot` are chosen, and our log holds them. */
  learnChosen(slot: number): void {
    if (slot <= this.knownChosen) return;
    if (slot > this.log.end) throw broken(`chosen slot ${slot} beyond the log's end ${this.log.end}`);
    this.knownChosen = slot;
    this.#report();
  }

  #report(): void {
    const through = Math.min(this.knownChosen, this.durableEnd);
    if (through <= this.chosenThrough) return;
    this.effects.push({ type: "chosen", entries: this.log.slice(this.chosenThrough + 1, through) });
    this.chosenThrough = through;
    this.shedTail(this.tailBytesMax);
    this.#weighTail();
  }

  /** Of what is chosen, so much is kept in memory. */
  get tailBytesMax(): number {
    const { tailBytesMax } = this.settings;
    return this.role === "leader" ? tailBytesMax : tailBytesMax * followersTail;
  }

  /** May be called between two steps too, for the sake of another group. */
  shedTail(bytesMax: number): number {
    const { log, chosenThrough } = this;
    log.shed(chosenThrough, bytesMax);
    this.configurations.forgetBelow(Math.min(chosenThrough, log.firstSlot - 1));
    return log.bytes;
  }

  #weighTail(): void {
    if (this.#tail !== undefined) this.settings.tails?.weighed(this.#tail, this.log.bytes);
  }

  /** Its log does not count any more. */
  letGo(): void {
    if (this.#tail !== undefined) this.settings.tails?.remove(this.#tail);
  }

  /** Tells the host who leads, when that has changed. */
  sayLeader(leader: string | undefined): void {
    const leading = leader === this.self;
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
