import type { Caller, Method, Params, Result } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";

const PAUSE_MS = 20;

export interface LeaderCallsOptions {
  readonly callerTo: (nodeId: string) => Caller;
  /** How long to look for a leader before giving up. */
  readonly deadlineMs: number;
}

/**
 * Finds the leader of a group and asks it: the last known one first, then whom a refusal names, then the members in turn. Only refusals that
 * surely did nothing are tried again; what may have happened (ERR_STORE_UNKNOWN_OUTCOME) goes back to the caller, who alone knows whether
 * doing it twice is harmless. So does ERR_STORE_UNKNOWN_PARTITION from a majority: nobody can lead what a majority does not have, and the
 * caller's route may lead to a table that is gone.
 */
export class LeaderCalls {
  readonly #options: LeaderCallsOptions;
  readonly #leaders = new Map<number, string>();

  constructor(options: LeaderCallsOptions) {
    this.#options = options;
  }

  /** The node that last answered as the partition's leader, if any did. */
  leaderOf(partition: number): string | undefined {
    return this.#leaders.get(partition);
  }

  async call<M extends Method>(
    partition: number,
    members: readonly string[],
    method: M,
    params: Params<M>,
  ): Promise<Result<M>> {
    const { callerTo, deadlineMs } = this.#options;
    const giveUpAt = performance.now() + deadlineMs;
    const strangers = new Set<string>();
    let target = this.#leaders.get(partition) ?? (members[partition % members.length] as string);
    for (let attempt = 0; ; attempt++) {
      try {
        const result = await callerTo(target).call(method, params, {
          timeoutMs: Math.max(1, giveUpAt - performance.now()),
        });
        if (this.#leaders.get(partition) !== target) this.#leaders.set(partition, target);
        return result;
      } catch (error) {
        const code = error instanceof StoreError ? error.code : undefined;
        const again =
          code === "ERR_STORE_NOT_LEADER" || code === "ERR_STORE_UNREACHABLE" || code === "ERR_STORE_UNKNOWN_PARTITION";
        if (!again || performance.now() + PAUSE_MS >= giveUpAt) throw error;
        if (code === "ERR_STORE_UNKNOWN_PARTITION" && strangers.add(target).size > members.length / 2) {
          this.#leaders.delete(partition);
          throw error;
        }
        const hint = (error as StoreError).leader;
        this.#leaders.delete(partition);
        if (hint !== undefined && hint !== target && members.includes(hint) && attempt % 2 === 0) {
          target = hint;
          continue;
        }
        target = members[(members.indexOf(target) + 1) % members.length] as string;
        if (attempt % members.length === members.length - 1 || hint !== undefined) {
          await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS));
        }
      }
    }
  }

  forget(partition: number): void {
    this.#leaders.delete(partition);
  }
}
