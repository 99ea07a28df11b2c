import { channel } from "node:diagnostics_channel";
import type { PartitionRecord } from "../metadata/records.js";
import type { SplitService } from "../metadata/split-service.js";
import type { MetadataView } from "../metadata/view.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import type { Filled, Method, Params, Result } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";
import { untimely } from "./rounds.js";

/** Entries of the log that parts lack when the partition is sealed. What they lack then is filled in while requests stand still, so as little as possible: a step takes as long as some entries more. */
const BEHIND_ENOUGH = 8;
/** Where writes come too fast for that, this must do, after so many of the largest steps came no nearer. */
const BEHIND_MAX = 500;
const STEPS_IN_VAIN_MAX = 5;
/** Of one step: others wait for as long as it takes in one piece, so it is only made larger where it would not catch up. */
const STEP_BYTES = 128 * 1024;
const STEP_BYTES_MAX = 1024 * 1024;
/** Of one that copies items, while there is time. Its bytes are read, sent, logged, synced and applied in one piece at each node; at four times as many that was what the requests of a split's p99 waited for. */
const COPY_BYTES = 32 * 1024;
/** Between two looks at what a split waits for: a transaction that ends, an index that is told. */
const PAUSE_MS = 10;
/** Copying pauses for as long as it went on before: half of the time, whatever the load, and no longer than this. */
const COPY_PAUSE_MS_MAX = 250;
const UNHEARD_MS_MAX = 10_000;
const RETRY_AFTER_MS = 500;
const RETRY_AFTER_MS_MAX = 30_000;

/** Published with `{ partition, parts, at, standStillMs }`. */
const split = channel("evenkeel:store:partition-split");
/** Published with `{ partition, error, failures }`; it is tried again. */
const failed = channel("evenkeel:store:split-failed");

type Sealed = NonNullable<Result<"sealPartition">["sealed"]>;

export interface SplittingOptions {
  readonly splits: Pick<SplitService, "begin" | "beginAnew" | "takenOver" | "archived" | "forget">;
  readonly view: Pick<MetadataView, "partitions" | "closed">;
  readonly calls: Pick<LeaderCalls, "call">;
  /** How far back a table can be restored. */
  readonly restorableMs: number;
  readonly nowMs: () => number;
}

/**
 * Carries splits through, at the leader of the metadata, each in these steps. What is to be done is written down before the first, all of them may be done again, and by
 * another controller, and only the last one changes what anybody sees:
 *
 * 1. both parts are filled with the items, then with what the log says since, until they lack next to nothing; requests go on at the whole
 * 2. the whole is sealed: it takes no writes any more, once no transaction has anything prepared there. From here on requests wait
 * 3. the rest of its log is filled in, and what its global indexes are to be told is told
 * 4. the parts are opened, from one moment on, later than everything in the whole
 * 5. the metadata say that the parts have taken over: routers hear of it, and whoever waited goes on
 *
 * Afterwards the log of the whole is archived to its end, and the nodes let go of it.
 */
export class Splitting {
  readonly #options: SplittingOptions;
  readonly #running = new Map<number, Promise<void>>();
  readonly #failed = new Map<number, { failures: number; notBeforeMs: number }>();
  #closed = false;
  #lastFailure: unknown;

  constructor(options: SplittingOptions) {
    this.#options = options;
  }

  /** Why the last attempt at anything failed; undefined once something has succeeded since. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /**
   * Where the partition's items have half of their bytes, where no hash is given. Resolves when it is written down; with undefined while that hash is still being looked for: ask again.
   * @throws StoreError
   */
  async begin(partition: number, at?: number): Promise<PartitionRecord | undefined> {
    const { splits, view } = this.#options;
    // Nobody looks for what is decided already.
    const where = at ?? view.partitions.get(partition)?.splitting?.at ?? (await this.#middle(partition));
    return where === undefined ? undefined : await splits.begin(partition, where);
  }

  async #middle(partition: number): Promise<number | undefined> {
    const record = this.#options.view.partitions.get(partition);
    if (record === undefined)
      throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", `there is no partition ${partition} to be split`);
    const { members, hashFrom, hashTo } = record;
    const range = { hashFrom, hashTo };
    const { found } = await this.#options.calls.call(partition, members, "splitPoint", { partition, range });
    if (found !== undefined && found.at === undefined)
      throw new StoreError("ERR_STORE_CONFLICT", `partition ${partition} has items of fewer than two partition keys`);
    return found?.at;
  }

  /** Begins what is to be done. True while something is under way. */
  round(): boolean {
    const { view, nowMs, restorableMs, splits } = this.#options;
    for (const record of view.partitions.values()) {
      const { partition, splitting, closed } = record;
      if (closed !== undefined) this.#begin(partition, () => this.#retire(partition));
      else if (splitting !== undefined) this.#begin(partition, () => this.#splitOrBeginAnew(record));
    }
    for (const partition of this.#failed.keys())
      if (!view.partitions.has(partition) && !view.closed.has(partition)) this.#failed.delete(partition);
    for (const { partition, closed } of view.closed.values()) {
      if (closed?.archived && closed.untilMs < nowMs() - restorableMs)
        this.#begin(partition, () => splits.forget(partition));
    }
    return this.#running.size > 0;
  }

  #begin(partition: number, work: () => Promise<void>): void {
    const before = this.#failed.get(partition);
    if (this.#closed || this.#running.has(partition) || performance.now() < (before?.notBeforeMs ?? 0)) return;
    const done = work()
      .then(
        () => {
          this.#failed.delete(partition);
          this.#lastFailure = undefined;
        },
        (error: unknown) => {
          const failures = before?.failures ?? 0;
          const pauseMs = Math.min(RETRY_AFTER_MS * 2 ** failures, RETRY_AFTER_MS_MAX);
          this.#failed.set(partition, { failures: failures + 1, notBeforeMs: performance.now() + pauseMs });
          this.#lastFailure = error;
          if (failed.hasSubscribers && !this.#closed) failed.publish({ partition, error, failures: failures + 1 });
        },
      )
      .finally(() => this.#running.delete(partition));
    this.#running.set(partition, done);
  }

  /** Where neither log nor archive have what a part lacks no try of the same mends it, but the items are there: others are filled with them. */
  async #splitOrBeginAnew(record: PartitionRecord): Promise<void> {
    const { partition, splitting } = record;
    if (splitting === undefined) return;
    try {
      await this.#split(partition, splitting);
    } catch (error) {
      if (error instanceof StoreError && error.code === "ERR_STORE_TRIMMED")
        await this.#options.splits.beginAnew(partition, splitting, this.#options.nowMs());
      throw error;
    }
  }

  async #split(partition: number, splitting: NonNullable<PartitionRecord["splitting"]>): Promise<void> {
    const { splits } = this.#options;
    const { at } = splitting;
    const parts = [splitting.lower, splitting.upper];
    const filled = await this.#copy(partition, parts);
    await this.#catchUp(partition, parts, filled);
    let sealed = await this.#seal(partition);
    const sealedAt = performance.now();
    const { slot } = sealed;
    const whole = await Promise.all(parts.map((part, i) => this.#finish(partition, part, filled[i] as Filled, slot)));
    while (!sealed.told) {
      await this.#pause(PAUSE_MS);
      sealed = await this.#seal(partition);
    }
    // By the logs' own times: nobody else's clock has a say in what a restore takes for earlier and later.
    const atMs = Math.max(...[sealed, ...whole].map(({ timeMs }) => timeMs)) + 1;
    const { inherited } = sealed;
    const opened = await Promise.all(
      parts.map(async (part) => {
        const { slot } = await this.#call(part, "openPart", { partition: part, sinceMs: atMs, inherited });
        return [part, slot] as const;
      }),
    );
    await splits.takenOver(partition, { atMs, slot, openedAt: new Map(opened) });
    const standStillMs = performance.now() - sealedAt;
    if (split.hasSubscribers) split.publish({ partition, parts, at, standStillMs });
  }

  /** All items, step by step, at a pace that leaves room for others: both parts in step, since each by itself would go on while the other one pauses. */
  async #copy(partition: number, parts: readonly number[]): Promise<Result<"feedPart">[]> {
    const filled: Result<"feedPart">[] = [];
    for (;;) {
      const began = performance.now();
      await Promise.all(
        parts.map(async (part, i) => {
          if (filled[i]?.progress?.copied) return;
          filled[i] = await this.#feed(partition, part, filled[i]?.progress, COPY_BYTES);
        }),
      );
      if (filled.every(({ progress }) => progress?.copied)) return filled;
      await this.#pause(Math.min(performance.now() - began, COPY_PAUSE_MS_MAX));
    }
  }

  /** What is left of a log that has ended. */
  async #finish(partition: number, part: number, { progress }: Filled, slot: number): Promise<Filled> {
    for (let from = progress; ; ) {
      const filled = await this.#feed(partition, part, from, STEP_BYTES_MAX);
      if ((filled.progress?.slot ?? 0) >= slot) return filled;
      from = filled.progress;
    }
  }

  #feed(
    partition: number,
    part: number,
    progress: Filled["progress"] | undefined,
    bytesMax: number,
  ): Promise<Result<"feedPart">> {
    const from = progress ?? undefined;
    return this.#call(partition, "feedPart", { partition, part: this.#record(part), progress: from, bytesMax });
  }

  /** Items are copied: what was written meanwhile, and then what was written during that. Both parts together, since one of them alone would fall behind again while the other one catches up. */
  async #catchUp(partition: number, parts: readonly number[], filled: Result<"feedPart">[]): Promise<void> {
    let bytesMax = STEP_BYTES;
    let inVain = 0;
    for (let last = Number.POSITIVE_INFINITY; ; ) {
      // A part that is open already lacks nothing: another controller came as far.
      const behind = Math.max(...filled.map((part) => (part.progress?.sinceMs === undefined ? part.behind : 0)));
      if (behind <= BEHIND_ENOUGH) return;
      if (behind >= last) {
        if (bytesMax === STEP_BYTES_MAX && behind <= BEHIND_MAX && ++inVain > STEPS_IN_VAIN_MAX) return;
        bytesMax = Math.min(2 * bytesMax, STEP_BYTES_MAX);
      }
      last = behind;
      await Promise.all(
        parts.map(async (part, i) => {
          filled[i] = await this.#feed(partition, part, filled[i]?.progress, bytesMax);
        }),
      );
    }
  }

  async #seal(partition: number): Promise<Sealed> {
    for (;;) {
      const { sealed } = await this.#call(partition, "sealPartition", { partition });
      if (sealed !== undefined) return sealed;
      await this.#pause(PAUSE_MS);
    }
  }

  /** What is asked of it again and again until the nodes need it no more. */
  async #retire(partition: number): Promise<void> {
    const throughSlot = this.#record(partition).closed?.slot;
    if (throughSlot === undefined) return;
    await this.#call(partition, "archive", { partition, throughSlot });
    await this.#options.splits.archived(partition);
  }

  /** Nodes hear a moment later which partitions they have. */
  async #call<M extends Method>(partition: number, method: M, params: Params<M>): Promise<Result<M>> {
    const giveUpAt = performance.now() + UNHEARD_MS_MAX;
    for (;;) {
      if (this.#closed) throw new StoreError("ERR_STORE_CLOSED", "the node closes");
      try {
        return await this.#options.calls.call(partition, this.#record(partition).members, method, params);
      } catch (error) {
        const isUnheardOf = error instanceof StoreError && error.code === "ERR_STORE_UNKNOWN_PARTITION";
        if (!isUnheardOf || performance.now() > giveUpAt) throw error;
        await this.#pause(PAUSE_MS);
      }
    }
  }

  /** As it is now: its members change, and it may be gone. */
  #record(partition: number): PartitionRecord {
    const record = this.#options.view.partitions.get(partition);
    if (record === undefined)
      throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", `partition ${partition} is gone: its table was deleted`);
    return record;
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => setTimeout(resolve, untimely.due(ms)));
  }

  /** What is under way ends at its next step; another controller goes on. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#running.values());
  }
}
