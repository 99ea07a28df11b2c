import { checkOptions } from "../core/check-options.js";
import type { MemberRole } from "../core/configuration.js";
import type { PaxosCore } from "../core/core.js";
import { badArgument, type PaxosError } from "../core/errors.js";
import type { Applier } from "./applier.js";
import { Freshness } from "./freshness.js";
import type { LocalRead, LocalReadOptions } from "./group.js";
import type { ReplicaHome } from "./home.js";
import type { HostMessage } from "./host-messages.js";

export interface LocalReadParts {
  /** Of one that goes on where it was. */
  readonly knownMs: number | undefined;
  readonly groupId: string;
  readonly home: ReplicaHome;
  readonly role: MemberRole;
  readonly core: PaxosCore;
  readonly applier: Applier<unknown>;
  readonly leadership: () => {
    readonly leading: boolean;
    readonly ready: boolean;
    readonly leader: string | undefined;
  };
  /** A linearizable read of the leader's. */
  readonly read: <T>(fn: () => T) => Promise<T>;
  readonly post: (to: string, message: HostMessage) => void;
  /** Throws when the group has stopped here. */
  readonly refuseIfStopped: () => void;
}

type Question = Extract<HostMessage, { type: "freshness" | "fresh" }>;

/** Reads of this replica's own state, as old as it may be, and what they ask the leader for. */
export class LocalReads {
  readonly #parts: LocalReadParts;
  readonly #freshness: Freshness;

  constructor(parts: LocalReadParts) {
    this.#parts = parts;
    const { groupId, home, core, applier, leadership, post } = parts;
    const { now, random, readsMax, tuning } = home.settings;
    const { heartbeatMs = 50, leaseMs = 300, clockDriftMax = 0.1 } = tuning;
    this.#freshness = new Freshness({
      groupId,
      knownMs: parts.knownMs,
      now,
      random,
      clockDriftMax,
      askEveryMs: heartbeatMs,
      answerMs: leaseMs,
      patienceMs: 2 * leaseMs,
      waitingMax: readsMax,
      appliedThrough: () => applier.appliedThrough,
      leads: () => leadership().ready && core.leaseRemainingMs(now()) > 0,
      ask: (question) => {
        const { leading, leader } = leadership();
        if (leading) this.#answer((slot) => this.#freshness.answered(question, slot));
        else if (leader !== undefined) post(leader, { type: "freshness", question });
      },
      timer: (delayMs, action) => {
        const timer = setTimeout(action, delayMs).unref();
        return () => clearTimeout(timer);
      },
    });
  }

  /** See `Freshness`. */
  get memory(): number | undefined {
    return this.#freshness.memory;
  }

  async read<T>(fn: () => T, options: LocalReadOptions = {}): Promise<LocalRead<T>> {
    const { maxStaleMs, signal } = checkOptions("readLocal", options, { maxStaleMs: 0, signal: 0 });
    const { role, applier, refuseIfStopped } = this.#parts;
    if (maxStaleMs !== undefined && !(maxStaleMs >= 0)) throw badArgument("maxStaleMs", "0 or more", maxStaleMs);
    if (role === "log") throw badArgument("role", "storage: a log replica has no state to read", role);
    signal?.throwIfAborted();
    refuseIfStopped();
    const look = () => ({ value: fn(), appliedThrough: applier.appliedThrough, ageMs: this.#freshness.ageMs });
    const read = maxStaleMs === undefined ? look() : this.#when(maxStaleMs, signal, look);
    // Last: a question that left before this read came would not do for it.
    this.#freshness.wanted();
    return read;
  }

  #when<T>(maxStaleMs: number, signal: AbortSignal | undefined, look: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let over = false;
      const giveUp = this.#freshness.when(maxStaleMs, signal !== undefined, (error) => {
        over = true;
        signal?.removeEventListener("abort", abort);
        if (error) {
          reject(error);
          return;
        }
        try {
          resolve(look());
        } catch (thrown) {
          reject(thrown);
        }
      });
      function abort() {
        giveUp();
        reject(signal?.reason);
      }
      if (!over) signal?.addEventListener("abort", abort, { once: true });
    });
  }

  receive(from: string, message: Question): void {
    if (message.type === "fresh") this.#freshness.answered(message.question, message.slot);
    else this.#answer((slot) => this.#parts.post(from, { ...message, type: "fresh", slot }));
  }

  applied(): void {
    this.#freshness.applied();
  }

  leaderChanged(): void {
    this.#freshness.leaderChanged();
  }

  end(reason: PaxosError): void {
    this.#freshness.end(reason);
  }

  /** Whoever believes that it leads may be wrong: only a linearizable read knows. Where it fails nothing is said, and the question is asked again. */
  #answer(tell: (slot: number) => void): void {
    const { read, core } = this.#parts;
    read(() => core.knownChosen).then(tell, () => {});
  }
}
