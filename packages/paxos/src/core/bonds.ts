import type { Ballot } from "./ballot.js";
import { type BondId, sameBond } from "./bond-id.js";

/**
 * What two nodes say to each other whatever their groups do: "I live", and "I have heard that you do". One such message a heartbeat in each direction stands for the
 * heartbeats and the answers of all groups that sleep.
 */
export interface BondMessage {
  /** Of the sender toward this receiver: drawn for each life of its process. */
  readonly life: number;
  /** The sender's clock; only echoed. */
  readonly sentMs: number;
  /** The newest message that the sender has heard of the receiver in this bond. */
  readonly echo?: { readonly life: number; readonly sentMs: number; readonly bond: BondId };
  /** Reigns of the sender that are over, though the receiver may sleep in them. Said again until it is echoed. */
  readonly released: readonly Release[];
}

export interface Release {
  readonly group: string;
  readonly ballot: Ballot;
}

export type BondEffect =
  | { readonly type: "send"; readonly to: string; readonly message: BondMessage }
  /** This node's beats bind us no more: whoever sleeps under it is to be woken. `renewed`: they have come again, in a bond of another name. */
  | { readonly type: "lost"; readonly node: string; readonly renewed: boolean }
  /** This node has come, has gone, or has been reborn: our reigns in which it votes are to be woken. */
  | { readonly type: "changed"; readonly node: string }
  | { readonly type: "released"; readonly node: string; readonly group: string; readonly ballot: Ballot };

export interface BondOptions {
  /** Drawn at random for this life of the process, below 2^48. */
  readonly life: number;
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  /** Without an echo for this long a node counts as away. */
  readonly quorumLostMs: number;
}

/** What one node's cores see of the bonds: as followers, and as leaders. */
export interface BondView {
  /** The core's time: a bond is not renewed by an earlier clock reading than one that a core has judged by. */
  sawTime(nowMs: number): void;
  /** In which bond the beats of `leader` reach us now; undefined when they do not. */
  heardFrom(leader: string): BondId | undefined;
  /** Until when a grant runs that was given to `leader` in `bond`: a lease from the last beat, and never longer than the bond. */
  boundUntilMs(leader: string, bond: BondId): number;
  /** In which bond `peer` echoes us now; undefined when it does not. */
  echoedBy(peer: string): BondId | undefined;
  /** When, by our clock, the newest beat was sent that `peer` has echoed in `bond`. */
  echoedMs(peer: string, bond: BondId): number;
}

/** In one message; the others follow in the next ones. */
const releasesMax = 1024;

interface Incoming {
  /** The sender's, as it says. */
  life: number;
  turn: number;
  heardMs: number;
  sentMs: number;
  live: boolean;
}

interface Outgoing {
  life: number;
  bond: BondId | undefined;
  echoedMs: number;
  away: boolean;
  beatAtMs: number;
  /** By group; since when they are said. */
  readonly releases: Map<string, { readonly release: Release; saidMs: number }>;
}

/**
 * How this node stands with each of the others, so that groups that sleep need no heartbeats of their own.
 *
 * A *bond* is one unbroken run of a leader node's beats at a follower node: no gap of a lease or longer, one life of either process. Its name is the follower's: its
 * life and a turn that only grows. A follower that falls asleep says in which bond; from then on each beat renews its grant, and its echo *in that bond* tells
 * the leader so. When the bond breaks, its name is never said again, so nothing that the follower promises afterwards can be mistaken for the old grant.
 */
export class Bonds implements BondView {
  readonly #options: BondOptions;
  #nowMs: number;
  #tickedMs: number;
  /** Time in which this process stood still is not held against the others. */
  #graceMs: number;
  #turns = 0;
  readonly #incoming = new Map<string, Incoming>();
  readonly #outgoing = new Map<string, Outgoing>();
  /** Until when a grant of a bond that broke may run. */
  readonly #brokenUntilMs = new Map<string, number>();

  constructor(options: BondOptions, nowMs: number) {
    this.#options = options;
    this.#nowMs = this.#tickedMs = this.#graceMs = nowMs;
  }

  /** Beats go to this node from now on. */
  know(node: string): void {
    if (this.#outgoing.has(node)) return;
    const { life } = this.#options;
    const releases = new Map();
    this.#outgoing.set(node, { life, bond: undefined, echoedMs: this.#nowMs, away: true, beatAtMs: 0, releases });
  }

  /** Beats go nowhere else. */
  knowOnly(nodes: ReadonlySet<string>): void {
    for (const node of this.#outgoing.keys()) if (!nodes.has(node)) this.#outgoing.delete(node);
    for (const node of nodes) this.know(node);
  }

  /** This node is nobody's neighbour any more: no beats go to it. */
  forget(node: string): void {
    this.#outgoing.delete(node);
  }

  get nodes(): readonly string[] {
    return [...this.#outgoing.keys()];
  }

  sawTime(nowMs: number): void {
    if (nowMs > this.#nowMs) this.#nowMs = nowMs;
  }

  heardFrom(leader: string): BondId | undefined {
    const incoming = this.#incoming.get(leader);
    if (incoming === undefined || !incoming.live || this.#overdue(incoming)) return undefined;
    return { life: this.#options.life, turn: incoming.turn };
  }

  boundUntilMs(leader: string, bond: BondId): number {
    const incoming = this.#incoming.get(leader);
    if (incoming?.turn === bond.turn) return incoming.heardMs + this.#options.leaseMs;
    return this.#brokenUntilMs.get(leader) ?? Number.NEGATIVE_INFINITY;
  }

  echoedBy(peer: string): BondId | undefined {
    const outgoing = this.#outgoing.get(peer);
    return outgoing === undefined || outgoing.away ? undefined : outgoing.bond;
  }

  echoedMs(peer: string, bond: BondId): number {
    const outgoing = this.#outgoing.get(peer);
    if (outgoing?.bond === undefined || !sameBond(outgoing.bond, bond)) return Number.NEGATIVE_INFINITY;
    return outgoing.echoedMs;
  }

  /** A reign of ours is over and `peer` may sleep in it: it is told until it is known to have heard. */
  release(peer: string, release: Release): void {
    this.#outgoing.get(peer)?.releases.set(release.group, { release, saidMs: Number.POSITIVE_INFINITY });
  }

  /** What this node has granted to `leader` in sleep may have been forgotten here: that bond is over. */
  breakWith(leader: string): BondEffect[] {
    const incoming = this.#incoming.get(leader);
    return incoming === undefined ? [] : this.#break(leader, incoming, true);
  }

  tick(nowMs: number): BondEffect[] {
    this.sawTime(nowMs);
    const now = this.#nowMs;
    const { heartbeatMs, leaseMs, quorumLostMs } = this.#options;
    if (now - this.#tickedMs > leaseMs) this.#graceMs = now;
    this.#tickedMs = now;
    const effects: BondEffect[] = [];
    for (const [node, incoming] of this.#incoming) {
      // After a standstill of our own, beats may wait to be read.
      if (now - this.#graceMs < 2 * heartbeatMs) break;
      if (incoming.live && this.#overdue(incoming)) effects.push(...this.#break(node, incoming, false));
    }
    for (const [node, outgoing] of this.#outgoing) {
      if (!outgoing.away && now - Math.max(outgoing.echoedMs, this.#graceMs) > quorumLostMs) {
        outgoing.away = true;
        effects.push({ type: "changed", node });
      }
      if (now < outgoing.beatAtMs) continue;
      outgoing.beatAtMs = now + heartbeatMs;
      effects.push({ type: "send", to: node, message: this.#beat(node, outgoing) });
    }
    return effects;
  }

  receive(from: string, message: BondMessage, nowMs: number): BondEffect[] {
    this.sawTime(nowMs);
    const effects: BondEffect[] = [];
    this.#hear(from, message, effects);
    this.#takeEcho(from, message, effects);
    for (const { group, ballot } of message.released) effects.push({ type: "released", node: from, group, ballot });
    return effects;
  }

  #hear(from: string, { life, sentMs }: BondMessage, effects: BondEffect[]): void {
    const now = this.#nowMs;
    const known = this.#incoming.get(from);
    if (known !== undefined && known.life === life && known.live && !this.#overdue(known)) {
      known.heardMs = now;
      known.sentMs = Math.max(known.sentMs, sentMs);
      return;
    }
    if (known?.live === true) effects.push(...this.#break(from, known, true));
    this.#incoming.set(from, { life, turn: ++this.#turns, heardMs: now, sentMs, live: true });
  }

  #takeEcho(from: string, { echo }: BondMessage, effects: BondEffect[]): void {
    const outgoing = this.#outgoing.get(from);
    if (outgoing === undefined || echo === undefined || echo.life !== outgoing.life) return;
    for (const [group, { saidMs }] of outgoing.releases) if (saidMs <= echo.sentMs) outgoing.releases.delete(group);
    const { bond } = outgoing;
    if (bond !== undefined && sameBond(bond, echo.bond)) {
      outgoing.echoedMs = Math.max(outgoing.echoedMs, echo.sentMs);
      if (!outgoing.away || this.#nowMs - outgoing.echoedMs > this.#options.quorumLostMs) return;
    } else {
      // A late word of a bond that is over.
      if (bond?.life === echo.bond.life && bond.turn > echo.bond.turn) return;
      outgoing.bond = echo.bond;
      outgoing.echoedMs = echo.sentMs;
    }
    outgoing.away = false;
    effects.push({ type: "changed", node: from });
  }

  #break(node: string, incoming: Incoming, renewed: boolean): BondEffect[] {
    if (!incoming.live) return [];
    incoming.live = false;
    this.#brokenUntilMs.set(node, incoming.heardMs + this.#options.leaseMs);
    return [{ type: "lost", node, renewed }];
  }

  #overdue({ heardMs }: Incoming): boolean {
    return this.#nowMs - heardMs >= this.#options.leaseMs;
  }

  #beat(node: string, outgoing: Outgoing): BondMessage {
    const released: Release[] = [];
    for (const said of outgoing.releases.values()) {
      if (released.length >= releasesMax) break;
      said.saidMs = Math.min(said.saidMs, this.#nowMs);
      released.push(said.release);
    }
    const { life } = outgoing;
    const incoming = this.#incoming.get(node);
    const bond = this.heardFrom(node);
    const echo =
      incoming === undefined || bond === undefined
        ? {}
        : { echo: { life: incoming.life, sentMs: incoming.sentMs, bond } };
    return { life, sentMs: this.#nowMs, ...echo, released };
  }
}
