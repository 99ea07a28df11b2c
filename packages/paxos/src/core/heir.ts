import type { Peers } from "./peers.js";
import type { Replica } from "./replica.js";

/** Whom a leader is about to hand over to, and whether the moment has come. */
export class Heir {
  readonly #replica: Replica;
  readonly #peers: Peers;
  #node: string | undefined;
  #untilMs = 0;

  constructor(replica: Replica, peers: Peers) {
    this.#replica = replica;
    this.#peers = peers;
  }

  get node(): string | undefined {
    return this.#node;
  }

  /** Nothing is appended meanwhile. Nothing happens where this node could not lead. */
  name(node: string): void {
    const peer = this.#peers.voters.find((one) => one.node === node);
    if (peer?.role !== "storage" || peer.lacksState || !peer.synced) return;
    this.#node = node;
    this.#untilMs = this.#replica.nowMs + this.#replica.settings.leaseMs;
  }

  /** Everything appended is chosen and reported here, and the heir holds it: no caller is left in doubt. */
  get ready(): string | undefined {
    const { log, chosenThrough } = this.#replica;
    if (this.#node === undefined || chosenThrough < log.end) return undefined;
    return (this.#peers.get(this.#node)?.acceptedThrough ?? 0) >= log.end ? this.#node : undefined;
  }

  /** Returns whether it has just been given up: the heir took too long. */
  expired(): boolean {
    if (this.#node === undefined || this.#replica.nowMs < this.#untilMs) return false;
    this.#node = undefined;
    return true;
  }
}
