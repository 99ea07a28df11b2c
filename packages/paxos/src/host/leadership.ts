import { channel } from "node:diagnostics_channel";
import type { PaxosCore } from "../core/core.js";
import type { Leadership } from "./group.js";

const changed = channel("evenkeel:paxos:leadership");

/** Who leads, as last heard from the core, and who wants to know. */
export class LeadershipNews {
  readonly #ids: { readonly nodeId: string; readonly groupId: string };
  readonly listeners: Set<(leadership: Leadership) => void>;
  #now: Leadership;

  constructor(
    ids: { readonly nodeId: string; readonly groupId: string },
    now: Leadership,
    listeners = new Set<(leadership: Leadership) => void>(),
  ) {
    this.#ids = ids;
    this.listeners = listeners;
    this.#now = now;
  }

  get now(): Leadership {
    return this.#now;
  }

  listen(fn: (leadership: Leadership) => void): () => void {
    this.listeners.add(fn);
    return () => void this.listeners.delete(fn);
  }

  tell(leadership: Leadership): void {
    const before = this.#now;
    this.#now = leadership;
    if (before.leading !== leadership.leading && changed.hasSubscribers)
      changed.publish({ ...this.#ids, ...leadership });
    for (const listener of this.listeners) {
      try {
        listener(leadership);
      } catch (error) {
        // A listener's mistake is its owner's to hear of, not a reason to stop voting.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** The last word: nobody is told anything afterwards. */
  end(): void {
    this.tell({ leading: false, ready: false, ballot: this.#now.ballot, leader: undefined });
    this.listeners.clear();
  }
}

/** As a core has it that was just made: nobody leads, or whoever did when it was packed. */
export function leadershipOf({ leading, ready, leader, promised: ballot }: PaxosCore): Leadership {
  return { leading, ready, ballot, leader };
}
