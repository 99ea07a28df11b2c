import type { Caller, Method, Params, Result } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";

const PAUSE_MS = 20;
/** How long the first attempt of what may be repeated waits for a node that was reached and says nothing; twice as long each time. */
const SILENCE_MS = 2_000;
/** Leaders remembered; past it the one remembered longest is forgotten, and found again when asked for. */
const LEADERS_MAX = 10_000;
/** What changes nothing, or nothing the second time, may be asked again elsewhere, whatever became of the first attempt. */
const REPEATABLE: ReadonlySet<Method> = new Set<Method>([
  "get",
  "page",
  "createTable",
  "describeTable",
  "describeBackup",
  "listBackups",
  "listTables",
  "prepare",
  "resolve",
  "transactAgain",
  "abandon",
  "getVersioned",
  "changes",
  "changesBeginning",
  "changesEnd",
  "describeStream",
  "listStreams",
  // One that nobody asks for is let go of by itself.
  "mark",
  "tellIndex",
  "mendArchive",
  "splitPartition",
  "fillPart",
  "feedPart",
  "sealPartition",
  "openPart",
]);

export interface LeaderCallsOptions {
  readonly callerTo: (nodeId: string) => Caller;
  /** How long to look for a leader before giving up. */
  readonly deadlineMs: number;
}

interface Asked<M extends Method> {
  readonly partition: number;
  readonly members: readonly string[];
  readonly method: M;
  readonly params: Params<M>;
  readonly giveUpAt: number;
  readonly membersNow: MembersNow | undefined;
}

/** The members as far as is known by now. */
export type MembersNow = () => Promise<readonly string[]>;

/**
 * Finds the leader of a group and asks it: the last known one first, then whom a refusal names (also one that the caller's route does not know: members
 * change, and the nodes know better), then the members in turn. Only refusals that
 * surely did nothing are tried again, and reads; a write that may have happened (ERR_STORE_UNKNOWN_OUTCOME) goes back to the caller, who alone
 * knows whether doing it twice is harmless. A node that was silent (stopped, cut off) is asked again after the others. To
 * the caller goes also ERR_STORE_UNKNOWN_PARTITION from a majority: nobody can lead what a majority does not have, and the caller's route may
 * lead to a table that is gone. Where none of the members says a word, they may all have been replaced since the caller's route was true: it is looked up again.
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

  /** Another has heard from that one as the partition's leader. */
  heardOf(partition: number, leader: string): void {
    this.#remember(partition, leader);
  }

  /** @param membersNow asked after each round in which no member was heard, where `members` may be old */
  call<M extends Method>(
    partition: number,
    members: readonly string[],
    method: M,
    params: Params<M>,
    membersNow?: MembersNow,
  ): Promise<Result<M>> {
    const { callerTo, deadlineMs } = this.#options;
    const target = this.#leaders.get(partition) ?? (members[partition % members.length] as string);
    const giveUpAt = performance.now() + deadlineMs;
    const timeoutMs = REPEATABLE.has(method) ? Math.min(deadlineMs, SILENCE_MS) : deadlineMs;
    const failed = (error: unknown) =>
      this.#seek({ partition, members, method, params, giveUpAt, membersNow }, target, error);
    let first: Promise<Result<M>>;
    try {
      first = callerTo(target).call(method, params, { timeoutMs });
    } catch (error) {
      return failed(error);
    }
    // Nearly always the first attempt is the only one: it pays for nothing that the others need.
    return first.then((result) => {
      this.#remember(partition, target);
      return result;
    }, failed);
  }

  /** The first attempt failed. */
  async #seek<M extends Method>(
    { partition, members: routed, method, params, giveUpAt, membersNow }: Asked<M>,
    first: string,
    firstError: unknown,
  ): Promise<Result<M>> {
    let strangers: Set<string> | undefined;
    /** Until which attempt a node that was silent lets the others go first. */
    let silentUntil: Map<string, number> | undefined;
    let silences = 0;
    let members = routed;
    /** Attempts since one of the members was heard, or since they were looked up. */
    let unheard = 0;
    const repeatable = REPEATABLE.has(method);
    let target = first;
    let error = firstError;
    for (let attempt = 0; ; attempt++) {
      const code = error instanceof StoreError ? error.code : undefined;
      if (code === "ERR_STORE_UNKNOWN_OUTCOME") {
        silentUntil ??= new Map();
        silentUntil.set(target, attempt + members.length);
        silences++;
        // Whoever asks next begins with somebody else, unless it is known by now who leads.
        if ((this.#leaders.get(partition) ?? target) === target) this.#remember(partition, following(members, target));
      }
      const again =
        code === "ERR_STORE_NOT_LEADER" ||
        code === "ERR_STORE_UNREACHABLE" ||
        code === "ERR_STORE_UNKNOWN_PARTITION" ||
        (code === "ERR_STORE_UNKNOWN_OUTCOME" && repeatable);
      if (!again || performance.now() + PAUSE_MS >= giveUpAt) throw error;
      if (code === "ERR_STORE_UNKNOWN_PARTITION") {
        strangers ??= new Set();
        if (strangers.add(target).size > members.length / 2) {
          this.#leaders.delete(partition);
          throw error;
        }
      }
      const isSilent = (member: string) => (silentUntil?.get(member) ?? 0) > attempt + 1;
      const hint = (error as StoreError).leader;
      // Not the one that another request has found meanwhile.
      if (code !== "ERR_STORE_UNKNOWN_OUTCOME" && this.#leaders.get(partition) === target)
        this.#leaders.delete(partition);
      unheard = code === "ERR_STORE_UNREACHABLE" ? unheard + 1 : 0;
      if (hint !== undefined && hint !== target && !isSilent(hint) && attempt % 2 === 0) target = hint;
      else {
        const round = attempt % members.length === members.length - 1;
        if (round || hint !== undefined) await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS));
        if (membersNow !== undefined && unheard >= members.length) {
          members = await membersNow();
          unheard = 0;
        }
        target = following(members, target, isSilent);
      }
      const leftMs = Math.max(1, giveUpAt - performance.now());
      const timeoutMs = repeatable ? Math.min(leftMs, SILENCE_MS * 2 ** silences) : leftMs;
      try {
        const result = await this.#options.callerTo(target).call(method, params, { timeoutMs });
        this.#remember(partition, target);
        return result;
      } catch (failure) {
        error = failure;
      }
    }
  }

  #remember(partition: number, leader: string): void {
    if (this.#leaders.get(partition) === leader) return;
    this.#leaders.set(partition, leader);
    if (this.#leaders.size <= LEADERS_MAX) return;
    const [oldest] = this.#leaders.keys();
    this.#leaders.delete(oldest as number);
  }
}

/** The member after `target`, past those that are silent; the very next one where all are. */
function following(
  members: readonly string[],
  target: string,
  isSilent: (member: string) => boolean = () => false,
): string {
  const at = members.indexOf(target);
  const inTurn = members.map((_, i) => members[(at + 1 + i) % members.length] as string);
  return inTurn.find((member) => !isSilent(member)) ?? (inTurn[0] as string);
}
