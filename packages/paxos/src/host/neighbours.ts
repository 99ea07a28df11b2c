import { Bonds } from "../core/bonds.js";
import { coreDefaults } from "../core/options.js";
import type { HostSettings } from "./options.js";

/** What is looked at of a group. */
export interface Shared {
  /** Whether this node's vote counts for anything here. */
  votes(node: string): boolean;
}

/**
 * To whom this node's beats go: every node with which it shares a group, and who has left the last of them for a while yet, so that what is said in beats
 * (a reign that is over) reaches him.
 */
export class Neighbours {
  readonly #bonds: Pick<Bonds, "know" | "forget" | "nodes">;
  readonly #afterMs: number;
  /** Who is a member of nothing any more, and since when that is known. */
  readonly #aloneMs = new Map<string, number>();
  #lookAtMs = 0;

  constructor(bonds: Pick<Bonds, "know" | "forget" | "nodes">, afterMs: number) {
    this.#bonds = bonds;
    this.#afterMs = afterMs;
  }

  know(node: string): void {
    this.#aloneMs.delete(node);
    this.#bonds.know(node);
  }

  /** Now and then looks for a group that is shared with each; the first is enough, so only who shares none is looked for among all. */
  tick(nowMs: number, groups: () => Iterable<Shared>): void {
    if (nowMs < this.#lookAtMs) return;
    this.#lookAtMs = nowMs + this.#afterMs;
    for (const node of this.#bonds.nodes) {
      const sinceMs = this.#aloneMs.get(node);
      if (anyVotes(groups(), node)) this.#aloneMs.delete(node);
      else if (sinceMs === undefined) this.#aloneMs.set(node, nowMs);
      else if (nowMs - sinceMs >= this.#afterMs) {
        this.#aloneMs.delete(node);
        this.#bonds.forget(node);
      }
    }
  }
}

function anyVotes(groups: Iterable<Shared>, node: string): boolean {
  for (const group of groups) if (group.votes(node)) return true;
  return false;
}

/** Those of a node's new life. */
export function newBonds({ random, now, tuning }: HostSettings): Bonds {
  const { heartbeatMs = coreDefaults.heartbeatMs, leaseMs = coreDefaults.leaseMs } = tuning;
  const { quorumLostMs = 2 * leaseMs } = tuning;
  return new Bonds({ life: Math.floor(random() * 2 ** 48), heartbeatMs, leaseMs, quorumLostMs }, now());
}
