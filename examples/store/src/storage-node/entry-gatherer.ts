import type { Group } from "@evenkeel/paxos";
import { type Command, encodeCommand, type Write, weightOfWrite } from "./command.js";
import { notLeader, settled, storeErrorOf } from "./paxos-errors.js";

/**
 * Entries under way at a time. What comes meanwhile gathers into the next one: a message to each follower, a sync and an answer from it cost the
 * same for one write as for fifty, and a write that waited for the one before would have waited for the log's sync as well. Two, so that one is on
 * its way while the other is synced; but the second only with so many writes, or bytes, as make it worth what an entry costs four processes. With fewer it would be synced behind the first in any
 * case, and who gave way to it would have shared it.
 */
const UNDER_WAY_MAX = 2;
const WRITES_WORTH_IT = 16;
const BYTES_WORTH_IT = 64 * 1024;
/** Past this an entry waits for no more. */
const ENTRY_BYTES_MAX = 256 * 1024;

/** What will be one entry of the log, or is. */
export interface Gathered {
  readonly round: number;
  readonly writes: Write[];
  bytes: number;
  /** The entry's slot, when it is chosen and applied here. Rejects with a StoreError. */
  readonly done: Promise<number>;
}

interface Gathering extends Gathered {
  /** It is submitted at the end of this turn, if it still may be then. */
  due: boolean;
  readonly resolve: (slot: Promise<number>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Puts writes that come close after one another into one entry, in their order. An entry that the group does not take may have had others decided upon
 * it already. So nothing more is taken after it until all that is under way has ended, and what was decided is forgotten.
 */
export class EntryGatherer {
  readonly #group: Group<number>;
  readonly #timeMs: () => number;
  readonly #onForget: () => void;
  readonly #closing: () => readonly Write[];
  #gathering: Gathering | undefined;
  #underWay = 0;
  #refusal: Error | undefined;

  /**
   * @param onForget nothing is under way, and what was decided upon an entry that was refused must not be seen any more
   * @param closing what stands behind all writes of an entry that is about to be submitted
   */
  constructor(
    group: Group<number>,
    timeMs: () => number,
    onForget: () => void,
    closing: () => readonly Write[] = () => [],
  ) {
    this.#group = group;
    this.#timeMs = timeMs;
    this.#onForget = onForget;
    this.#closing = closing;
  }

  /** @throws StoreError why nothing is taken at the moment; nothing may be decided then either */
  assertOpen(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  /**
   * One atomic part of an entry.
   * @param round the leadership in which the writes were decided: in another one they are not submitted
   * @throws StoreError as `assertOpen`
   */
  add(writes: readonly Write[], round: number): Gathered {
    const bytes = writes.reduce((sum, write) => sum + weightOfWrite(write), 0);
    const last = this.#gathering;
    if (last !== undefined && (last.round !== round || last.bytes + bytes > ENTRY_BYTES_MAX)) {
      const refusal = this.#submit(last);
      // These were decided upon what was just refused.
      if (refusal !== undefined) throw refusal;
    }
    this.assertOpen();
    const gathering = this.#gathering ?? this.#begin(round);
    for (const write of writes) gathering.writes.push(write);
    gathering.bytes += bytes;
    if (!gathering.due && this.#mayGo(gathering)) this.#goSoon(gathering);
    return gathering;
  }

  #mayGo({ writes, bytes }: Gathering): boolean {
    if (this.#underWay === 0) return true;
    return this.#underWay < UNDER_WAY_MAX && (writes.length >= WRITES_WORTH_IT || bytes >= BYTES_WORTH_IT);
  }

  /** After all that arrived together has been decided. */
  #goSoon(gathering: Gathering): void {
    gathering.due = true;
    queueMicrotask(() => {
      gathering.due = false;
      if (this.#gathering === gathering && this.#mayGo(gathering)) this.#submit(gathering);
    });
  }

  #begin(round: number): Gathering {
    let resolve!: Gathering["resolve"];
    let reject!: Gathering["reject"];
    const done = new Promise<number>((onSlot, onError) => {
      resolve = onSlot;
      reject = onError;
    });
    const gathering: Gathering = { round, writes: [], bytes: 0, due: false, done, resolve, reject };
    this.#gathering = gathering;
    return gathering;
  }

  /** Returns why the group does not take it, if it does not. */
  #submit(gathering: Gathering): Error | undefined {
    this.#gathering = undefined;
    const { round, writes, resolve, reject } = gathering;
    let submitted: Promise<number>;
    try {
      // What was decided upon a state that another leadership may not have must not come into its log.
      const { ballot, ready, leader } = this.#group.leadership();
      if (!ready || ballot.round !== round) throw notLeader(leader);
      for (const write of this.#closing()) writes.push(write);
      submitted = this.#group.submit(encodeCommand({ kind: "writes", timeMs: this.#timeMs(), writes })).done;
    } catch (error) {
      const reason = storeErrorOf(error);
      const refusal = reason instanceof Error ? reason : new Error(String(reason));
      this.#refusal = refusal;
      reject(refusal);
      if (this.#underWay === 0) this.#reopen();
      return refusal;
    }
    this.#underWay++;
    const ended = () => {
      this.#underWay--;
      const next = this.#gathering;
      if (next !== undefined && this.#mayGo(next)) this.#submit(next);
      else if (this.#underWay === 0 && this.#refusal !== undefined) this.#reopen();
    };
    submitted.then(ended, ended);
    resolve(settled(submitted));
    return undefined;
  }

  #reopen(): void {
    this.#refusal = undefined;
    this.#onForget();
  }

  /** An entry of its own, behind everything that is under way; what gathers comes after it. */
  submitAlone(command: Command): Promise<number> {
    try {
      return settled(this.#group.submit(encodeCommand(command)).done);
    } catch (error) {
      return Promise.reject(storeErrorOf(error));
    }
  }
}
