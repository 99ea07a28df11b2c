import { channel } from "node:diagnostics_channel";
import type { Group } from "@evenkeel/paxos";
import type { Item } from "../api/model.js";
import { itemBytes } from "../api/size.js";
import { untimely } from "../control/rounds.js";
import { holds, type PartitionRecord } from "../metadata/records.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import type { IndexLeader } from "../rpc/protocol.js";
import type { Write } from "./command.js";
import { concernsIndexes, maintainedKey, outboxBounds, seqOfOutboxKey } from "./global-index-keys.js";
import { entryOf, type IndexUpkeep } from "./index-upkeep.js";
import type { MaintainedIndex } from "./maintained-index.js";
import { decodeOutboxRecord } from "./outbox-record.js";
import { FIRST_ITEM_KEY } from "./own-keys.js";
import type { Replica } from "./replica.js";
import { turn } from "./turn.js";
import type { Writer } from "./writer.js";

/** What is told at once, past which no further record is taken. */
const RECORDS_MAX = 256;
const ITEMS_MAX = 1_000;
const ITEM_BYTES_MAX = 4 * 1024 * 1024;
/** Told entries in one message, at least one. */
const BATCH_BYTES_MAX = 512 * 1024;
/** Records that were told stay so long at most: to let go of them is an entry of the log. */
const KEPT_RECORDS_MAX = 1_024;
export const KEPT_MS = 50;
/** What a step of a backfill looks at; it waits while so many records have not been told. */
const BACKFILL_ITEMS = 200;
const BACKFILL_BYTES = 1024 * 1024;
const BACKFILL_ROOM = 8;
const RETRY_AFTER_MS = 100;
const RETRY_AFTER_MS_MAX = 5_000;

const failed = channel("evenkeel:store:index-failed");

export interface IndexPropagatorOptions {
  readonly partition: number;
  readonly group: Pick<Group<number>, "leadership">;
  readonly replica: Replica;
  readonly writer: Writer;
  readonly upkeep: IndexUpkeep;
  /** The index's partitions, by the first hash. */
  readonly partitionsOf: (indexId: string) => readonly PartitionRecord[];
  readonly calls: Pick<LeaderCalls, "call" | "leaderOf">;
}

/** What is to be told to one partition of an index. */
interface Batch {
  readonly target: PartitionRecord;
  readonly writes: Map<string, Write>;
}

/** For all to be told through a record. */
interface Waiter {
  readonly through: number;
  readonly resolve: () => void;
}

/**
 * At a partition's leader: tells global indexes of the changes of its items, in the order of the log, until each is acknowledged, and fills new indexes with what
 * was there before them.
 *
 * A record says which item changed and where an index had it; what is told is where the index has it not any more, and the entry of the item as it is now. So telling
 * again, or from a record further back, comes to the same: whatever key a propagator ever gave to an item, it was the item's key at some moment, and the
 * next change of it has a record that names that key. A partition of an index notes with each batch through which record it was told, and takes nothing that
 * does not go beyond: a leader that does not know yet that it is none can be late, and cannot turn anything back.
 */
export class IndexPropagator {
  readonly #options: IndexPropagatorOptions;
  #running: Promise<void> | undefined;
  #toldThrough = 0;
  #round = 0;
  /** Told, and still in the partition's state. */
  #kept: number[] = [];
  /** When they are due to be let go, in milliseconds of `performance.now()`. */
  #keptUntil = 0;
  #resting = false;
  readonly #waiters = new Set<Waiter>();
  #again = false;
  #closed = false;
  #failures = 0;
  #lastFailure: unknown;
  #wakeUp: (() => void) | undefined;

  constructor(options: IndexPropagatorOptions) {
    this.#options = options;
    options.replica.observe((writes) => {
      if (writes.some(({ key }) => concernsIndexes(key))) this.wake();
    });
  }

  /** Through which record all indexes were told, by this leader or before it. */
  get toldThrough(): number {
    return Math.max(this.#toldThrough, this.#options.upkeep.toldThrough);
  }

  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** Nothing waits to be told. */
  get allTold(): boolean {
    const { toldThrough, outboxLength } = this.#options.upkeep;
    return this.toldThrough >= toldThrough + outboxLength;
  }

  /** Resolves when indexes were told of all that is decided by now, or after so many milliseconds. */
  async told(withinMs: number): Promise<void> {
    const { toldThrough, outboxLength } = this.#options.upkeep;
    const through = toldThrough + outboxLength;
    if (this.toldThrough >= through || this.#closed) return;
    let timer: NodeJS.Timeout | undefined;
    const waiter = { through, resolve: () => {} };
    await new Promise<void>((resolve) => {
      waiter.resolve = resolve;
      timer = setTimeout(resolve, withinMs);
      this.#waiters.add(waiter);
    });
    clearTimeout(timer);
    this.#waiters.delete(waiter);
  }

  /** Of the partitions of an index those whose leader was told something. */
  leadersOf(indexId: string): IndexLeader[] {
    const { partitionsOf, calls } = this.#options;
    return partitionsOf(indexId).flatMap(({ partition }) => {
      const node = calls.leaderOf(partition);
      return node === undefined ? [] : [{ partition, node }];
    });
  }

  /** There may be something to tell: look. Cheap where there is not. */
  wake(): void {
    this.#again = true;
    if (this.#resting) this.#wakeUp?.();
    if (this.#closed || this.#running !== undefined || !this.#options.group.leadership().ready) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again && !this.#closed) setImmediate(() => this.wake());
    });
  }

  async #run(): Promise<void> {
    // After the turn that applied what is to be told.
    await turn();
    const waitMs = untimely.due(0);
    if (waitMs > 0) await this.#sleep(waitMs);
    while (!this.#closed) {
      const { ready, ballot } = this.#options.group.leadership();
      if (!ready) {
        this.#again = false;
        return;
      }
      if (ballot.round !== this.#round) {
        this.#round = ballot.round;
        this.#toldThrough = 0;
        this.#kept = [];
      }
      this.#again = false;
      try {
        if (!(await this.#step())) return;
        this.#failures = 0;
        this.#lastFailure = undefined;
      } catch (error) {
        this.#lastFailure = error;
        if (failed.hasSubscribers) failed.publish({ partition: this.#options.partition, error });
        await this.#sleep(Math.min(RETRY_AFTER_MS * 2 ** this.#failures++, RETRY_AFTER_MS_MAX));
      }
    }
  }

  /** True when there may be more to do. */
  async #step(): Promise<boolean> {
    const { upkeep, writer } = this.#options;
    writer.assertLeading();
    const told = await this.#tell();
    // Nothing is read from a B-tree that may be closed by now.
    if (this.#closed) return false;
    // The parts of a partition that was split go on from where it was.
    const fills = !this.#options.replica.description.sealed && upkeep.outboxLength - this.#kept.length < BACKFILL_ROOM;
    const filled = fills && (await this.#backfill());
    if (told || filled) {
      if (this.#kept.length >= KEPT_RECORDS_MAX) await this.#letGo();
      return true;
    }
    if (this.#kept.length === 0) return this.#again;
    const leftMs = this.#keptUntil - performance.now();
    if (leftMs > 0) await this.#rest(leftMs);
    else await this.#letGo();
    return !this.#closed;
  }

  /** Until there is something to tell, which does not wait for what was told before it to be let go. */
  async #rest(ms: number): Promise<void> {
    if (this.#again) return;
    this.#resting = true;
    await this.#sleep(ms);
    this.#resting = false;
    await turn();
  }

  async #letGo(): Promise<void> {
    const { writer, upkeep } = this.#options;
    const records = this.#kept;
    writer.assertLeading();
    const writes = upkeep.told(records);
    if (writes.length > 0) await writer.append(writes);
    this.#kept = this.#kept.slice(records.length);
  }

  /** True when anything was told. */
  async #tell(): Promise<boolean> {
    const { replica, partition, upkeep, calls } = this.#options;
    const after = this.toldThrough;
    const seqs: number[] = [];
    const items = new Map<string, { key: Uint8Array; was: Map<number, Set<string>> }>();
    let bytes = 0;
    for (const { key, value } of replica.range(outboxBounds(after))) {
      if (seqs.length >= RECORDS_MAX || items.size >= ITEMS_MAX || bytes >= ITEM_BYTES_MAX) break;
      seqs.push(seqOfOutboxKey(key));
      for (const touched of decodeOutboxRecord(value.json)) {
        const name = Buffer.from(touched.key).toString("latin1");
        let item = items.get(name);
        if (item === undefined) {
          item = { key: Uint8Array.from(touched.key), was: new Map() };
          items.set(name, item);
          bytes += replica.get(item.key)?.json.length ?? 0;
        }
        for (const { index, was } of touched.indexes) {
          const keys = item.was.get(index) ?? new Set();
          item.was.set(index, keys);
          if (was !== undefined) keys.add(Buffer.from(was).toString("latin1"));
        }
      }
    }
    const through = seqs.at(-1);
    if (through === undefined) return false;
    const batches = new Map<number, Batch>();
    for (const { key, was } of items.values()) {
      const stored = replica.get(key);
      const item = stored && (JSON.parse(Buffer.from(stored.json).toString()) as Item);
      for (const [number, keys] of was) {
        const index = upkeep.globals.get(number);
        // Dropped meanwhile.
        if (index !== undefined) this.#entries(index, key, item, keys, batches);
      }
    }
    await Promise.all(
      [...batches.values()].map(async ({ target, writes }) => {
        for (const part of inParts([...writes.values()])) {
          await calls.call(target.partition, target.members, "tellIndex", {
            partition: target.partition,
            source: partition,
            through,
            ...part,
          });
        }
      }),
    );
    if (this.#closed) return false;
    this.#toldThrough = through;
    for (const waiter of this.#waiters) if (waiter.through <= through) waiter.resolve();
    if (this.#kept.length === 0) this.#keptUntil = performance.now() + untimely.due(KEPT_MS);
    this.#kept.push(...seqs);
    return true;
  }

  #entries(
    index: MaintainedIndex,
    key: Uint8Array,
    item: Item | undefined,
    was: ReadonlySet<string>,
    batches: Map<number, Batch>,
  ): void {
    const is = entryOf(index, index.tableKey, key, item);
    const isKey = is && Buffer.from(is.key).toString("latin1");
    const partitions = this.#options.partitionsOf(index.indexId);
    const put = (write: Write, name: string) => {
      const hash = Buffer.from(name.slice(0, 4), "latin1").readUInt32BE();
      const target = partitions.find((record) => holds(record, hash));
      if (target === undefined) throw new Error(`no partition of index ${index.name} (${index.indexId}) is known here`);
      const batch = batches.get(target.partition) ?? { target, writes: new Map<string, Write>() };
      batches.set(target.partition, batch);
      // One key in several indexes never lies in one partition, and two items never have one key.
      batch.writes.set(name, write);
    };
    for (const name of was) {
      if (name !== isKey) put({ op: "delete", key: Buffer.from(name, "latin1") }, name);
    }
    if (is !== undefined && isKey !== undefined) {
      const bytes = Buffer.from(JSON.stringify(is.shown));
      put({ op: "put", key: is.key, bytes, itemSizeBytes: itemBytes(is.shown) }, isKey);
    }
  }

  /** One step of the first backfill that is not through; false where there is none. */
  async #backfill(): Promise<boolean> {
    const { upkeep, replica, writer } = this.#options;
    const index = [...upkeep.globals.values()].find(
      ({ number, backfill }) => backfill.throughSeq === undefined && this.#isApplied(number),
    );
    if (index === undefined) return false;
    const { after } = index.backfill;
    const from = after === undefined ? FIRST_ITEM_KEY : Buffer.concat([Buffer.from(after, "hex"), Buffer.alloc(1)]);
    const keys: Uint8Array[] = [];
    let last: Uint8Array | undefined;
    let count = 0;
    let bytes = 0;
    let isEnd = true;
    for (const { key, value } of replica.range({ from })) {
      if (++count > BACKFILL_ITEMS || bytes >= BACKFILL_BYTES) {
        isEnd = false;
        break;
      }
      const item = JSON.parse(Buffer.from(value.json).toString()) as Item;
      last = Uint8Array.from(key);
      bytes += value.json.length;
      if (entryOf(index, index.tableKey, key, item) !== undefined) keys.push(last);
    }
    writer.assertLeading();
    const writes = upkeep.backfilled(index.number, keys, isEnd ? undefined : last);
    if (writes.length > 0) await writer.append(writes);
    return true;
  }

  /**
   * That the index is kept is applied, and not only decided: so is all that was decided before, which has no records for it. Whoever looked at the items earlier
   * would miss what was on its way to them then.
   */
  #isApplied(number: number): boolean {
    return this.#options.replica.get(maintainedKey(number)) !== undefined;
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wakeUp = undefined;
  }

  /** What is on its way to an index ends by itself, and nothing is done upon it. */
  close(): void {
    this.#closed = true;
    this.#wakeUp?.();
    for (const waiter of this.#waiters) waiter.resolve();
  }
}

/** In messages of bounded size. */
function* inParts(writes: readonly Write[]): IterableIterator<{ writes: Write[]; last: boolean }> {
  let part: Write[] = [];
  let bytes = 0;
  for (const write of writes) {
    const size = write.key.length + (write.op === "put" ? write.bytes.length : 0);
    if (part.length > 0 && bytes + size > BATCH_BYTES_MAX) {
      yield { writes: part, last: false };
      part = [];
      bytes = 0;
    }
    part.push(write);
    bytes += size;
  }
  yield { writes: part, last: true };
}
