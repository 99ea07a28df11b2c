import { type BondId, noBond, sameBond } from "./bond-id.js";
import type { Ack, Asleep } from "./messages.js";
import type { Peer, Peers } from "./peers.js";
import type { Press } from "./press.js";
import { isQuorum } from "./quorum.js";
import type { Replica } from "./replica.js";

/** Of all who are awake. */
const nobody: ReadonlyMap<string, BondId> = new Map();

/**
 * The leader's half of a group's sleep. When nothing has been asked of the group for `sleepAfterMs` and everybody holds everything, a round of heartbeats asks
 * the others to sleep instead. Each that does says in which bond with this node; once all have, but those who are gone, the leader sends nothing more, and
 * its lease is what their bonds echo. Whatever has to be said then is said in a later round, by which a sleeper tells it from stale words.
 */
export class ReignSleep {
  readonly #replica: Replica;
  readonly #peers: Peers;
  /** Round in which the others were asked; 0 before. */
  #round = 0;
  #agreed = nobody;
  /** In which round each was asked last: until it answers a later one it may be asleep. */
  readonly #asked = new Map<string, number>();
  /**
   * Who reads a question that names a bond, as it has said in which life of its process. A release before that one drops such a question, and hears no heartbeat in its place:
   * a leader that asked it would lose its followers as soon as nobody wants anything.
   */
  readonly #readers = new Map<string, number>();
  /** A reign of which nothing was ever asked need not wait: after a node's death there are thousands of those. */
  #busyMs = Number.NEGATIVE_INFINITY;
  #asleep = false;
  /** How often the others have been asked, one beat after the other. */
  #asks = 0;

  constructor(replica: Replica, peers: Peers) {
    this.#replica = replica;
    this.#peers = peers;
  }

  get asleep(): boolean {
    return this.#asleep;
  }

  press(p: Press): void {
    const { voters } = this.#peers;
    const { nowMs, settings } = this.#replica;
    this.#asleep = true;
    this.#round = p.whole(this.#round);
    this.#asks = p.whole(this.#asks);
    this.#busyMs = p.time(this.#busyMs, nowMs - settings.sleepAfterMs);
    const asked = [...this.#asked];
    const all =
      asked.length === voters.length && asked.every(([node, at], i) => node === voters[i]?.node && at === this.#round);
    const pairs = p.flag(all)
      ? voters.map(({ node }) => [node, this.#round] as const)
      : Array.from(
          { length: p.whole(asked.length) },
          (_, i) => [p.name(asked[i]?.[0] ?? ""), p.whole(asked[i]?.[1] ?? 0)] as const,
        );
    for (const [node, round] of pairs) this.#asked.set(node, round);
    for (const { node } of voters) {
      const agreed = this.#agreed.get(node);
      if (!p.flag(agreed !== undefined)) continue;
      const bond = p.bond(agreed ?? noBond);
      this.#agreed = new Map(this.#agreed).set(node, bond);
      this.#readers.set(node, bond.life);
    }
  }

  /** Whether some may sleep by this round: what else is said in it they would take for stale. */
  asks(round: number): boolean {
    return this.#round === round;
  }

  /** Something is asked of the group. */
  busy(): void {
    this.#busyMs = this.#replica.nowMs;
    this.#asks = 0;
    this.#wake();
  }

  /**
   * When the next beat is due. An answer counts in its own round only, and where answers take longer than a heartbeat none would ever count: so each time that the others
   * have been asked in vain they are given longer, as long as two beats find room in a lease.
   */
  get beatMs(): number {
    const { heartbeatMs, leaseMs } = this.#replica.settings;
    return this.#asks === 0 ? heartbeatMs : Math.min(heartbeatMs * 2 ** (this.#asks - 1), leaseMs / 2);
  }

  /** A new round begins; returns whether it is one that asks to sleep. `quiet`: the leader itself waits for nothing. */
  begin(round: number, quiet: boolean): boolean {
    this.#wake();
    if (!quiet || !this.#everythingHeld()) {
      this.#asks = 0;
      return false;
    }
    if (this.beatMs < this.#replica.settings.leaseMs / 2) this.#asks++;
    this.#round = round;
    this.#asleep = this.#peers.voters.length === 0;
    return true;
  }

  /** This node has said that it reads the question. */
  mayAsk(node: string): void {
    const bond = this.#replica.bonds?.echoedBy(node);
    if (bond !== undefined) this.#readers.set(node, bond.life);
  }

  /** In which bond this peer is asked to sleep in the round that begins; none where it does not echo us, or has not said that its release knows of such sleep. */
  invites({ node }: Peer, round: number): BondId | undefined {
    const bond = this.#replica.bonds?.echoedBy(node);
    if (bond === undefined || this.#readers.get(node) !== bond.life) return undefined;
    this.#asked.set(node, round);
    return bond;
  }

  onAsleep(from: string, { round, bond }: Asleep, quiet: boolean): void {
    if (this.#asleep || round !== this.#round || !quiet) return;
    if (!this.#peers.voters.some(({ node }) => node === from)) return;
    this.#agreed = new Map(this.#agreed).set(from, bond);
    const { membership, self } = this.#replica;
    if (!isQuorum(membership, new Set([self, ...this.#agreed.keys()]))) return;
    if (this.#everythingHeld() && this.#peers.voters.every((peer) => this.#sleeps(peer) || this.#gone(peer))) {
      this.#asleep = true;
      this.#readers.clear();
      for (const [node, agreed] of this.#agreed) this.#readers.set(node, agreed.life);
    }
  }

  /** Whether this answer says that somebody is awake who should not be. */
  contradicts(from: string, { round }: Ack): boolean {
    return round >= this.#round && !this.#agreed.has(from);
  }

  /** When the newest word was sent that this peer has answered, by itself or by its bond. */
  sentMs(peer: Peer): number {
    const bond = this.#asleep ? this.#agreed.get(peer.node) : undefined;
    const echoed = bond === undefined ? undefined : this.#replica.bonds?.echoedMs(peer.node, bond);
    return Math.max(peer.sentMs, echoed ?? Number.NEGATIVE_INFINITY);
  }

  /** Who may sleep in this reign when it ends, and has to be told. */
  get perhapsAsleep(): readonly string[] {
    return [...this.#asked]
      .filter(([node, round]) => (this.#peers.get(node)?.round ?? 0) <= round)
      .map(([node]) => node);
  }

  #wake(): void {
    if (this.#asleep) for (const peer of this.#peers.voters) peer.sentMs = this.sentMs(peer);
    this.#asleep = false;
    this.#agreed = nobody;
  }

  #sleeps({ node }: Peer): boolean {
    const [agreed, now] = [this.#agreed.get(node), this.#replica.bonds?.echoedBy(node)];
    return agreed !== undefined && now !== undefined && sameBond(agreed, now);
  }

  /** Heard neither in this group nor otherwise: nobody waits for it. When it is back its bond says so. */
  #gone({ node, sentMs }: Peer): boolean {
    const { bonds, nowMs, settings } = this.#replica;
    return bonds?.echoedBy(node) === undefined && nowMs - sentMs > settings.quorumLostMs;
  }

  #everythingHeld(): boolean {
    const { log, chosenThrough, writesPending, nowMs, settings } = this.#replica;
    const { sleepAfterMs } = settings;
    if (sleepAfterMs === Number.MAX_SAFE_INTEGER || nowMs - this.#busyMs < sleepAfterMs || writesPending > 0)
      return false;
    const { voters, all } = this.#peers;
    if (all.length > voters.length) return false;
    const released = this.#peers.heldByTwo(chosenThrough);
    // What each of them knows as chosen is chosen; and what nobody else decides about is with the own write.
    return voters.every((peer) => {
      if (this.#gone(peer)) return true;
      const current = peer.synced && peer.acceptedThrough >= log.end && peer.chosenThrough >= log.end;
      return current && (peer.role === "storage" ? !peer.lacksState : peer.releasedThrough >= released);
    });
  }
}
