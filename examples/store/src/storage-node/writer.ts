import type { Group } from "@evenkeel/paxos";
import type { Item } from "../api/model.js";
import { itemOf } from "../item-of.js";
import { withChangeNotes } from "./change-notes.js";
import { decodeCommand, type Image, type Write } from "./command.js";
import { type Decided, decided } from "./decide-write.js";
import { DESCRIPTION_KEY, decodeDescription, encodeDescription, type PartitionDescription } from "./description.js";
import { EntryGatherer } from "./entry-gatherer.js";
import { StoreError } from "./errors.js";
import type { IndexUpkeep } from "./index-upkeep.js";
import { keyText } from "./key-text.js";
import { Locks } from "./locks.js";
import type { NodeWriteOp } from "./node-write-op.js";
import { isEnding, notLeader, settled, wasSplit } from "./paxos-errors.js";
import { type Pending, PendingWrites } from "./pending-writes.js";
import type { Replica } from "./replica.js";
import type { Tally, TallyChange } from "./tally.js";

/** Writes applied but not yet in the B-tree, past which the leader takes no more from anybody. Who asks for `room` comes nowhere near. */
const BACKLOG_MAX = 100_000;
const BACKLOG_BYTES_MAX = 256 * 1024 * 1024;

export interface WriteResult {
  readonly attributes?: Item;
  /** Bytes as the service counts them: what write capacity is charged by. */
  readonly beforeBytes: number;
  readonly afterBytes: number;
  /** Write units by name of the secondary index, where any changed. */
  readonly indexUnits?: Readonly<Record<string, number>>;
  /** What the item's collection weighs, where the table has local indexes. */
  readonly collectionBytes?: number;
}

const DESCRIPTION_NAME = keyText(DESCRIPTION_KEY);

function descriptionWrite(description: PartitionDescription): Write {
  const bytes = encodeDescription(description);
  return { op: "put", key: DESCRIPTION_KEY, bytes, itemSizeBytes: bytes.length };
}

/**
 * The leader's side of a partition. A write is decided here, against the newest state including what is submitted and not yet chosen, and
 * the log gets the physical outcome. That is sound because the log is contiguous and bound to one ballot: if an earlier entry is not
 * chosen in this ballot, neither is any later one that was decided upon it. Writes that come close after one another share an entry. A refusal (a failed condition) reveals what it was decided
 * upon, so it waits until that is chosen and the leadership is confirmed.
 */
export class Writer {
  readonly #group: Group<number>;
  readonly #replica: Replica;
  readonly #indexes: IndexUpkeep | undefined;
  readonly #tally: Tally | undefined;
  readonly #pending = new PendingWrites();
  /** The leadership that `#pending` belongs to; in another one it means nothing. */
  #round = 0;
  readonly #watched = new Map<string, Set<{ touched: boolean }>>();
  readonly #entries: EntryGatherer;
  /** Items that transactions have prepared: nobody else writes them. */
  readonly locks: Locks;
  #lastTimeMs = 0;

  /**
   * @param indexes absent: none, whatever the table
   * @param tally absent: nothing is counted
   */
  constructor(group: Group<number>, replica: Replica, indexes?: IndexUpkeep, tally?: Tally) {
    this.#group = group;
    this.#replica = replica;
    this.#indexes = indexes;
    this.#tally = tally;
    this.#entries = new EntryGatherer(
      group,
      () => this.#timeMs(),
      () => this.#forget(),
      () => tally?.closing() ?? [],
    );
    this.locks = new Locks(replica);
  }

  /** For whoever begins something: to be waited for, where it is anything, before the rest is asked. See `Backlog`. What is to be finished does not ask. */
  room(): Promise<void> | undefined {
    const { backlog } = this.#replica;
    // Whoever else leads has a B-tree of its own.
    return backlog.hasRoom || !this.#group.leadership().ready ? undefined : backlog.room();
  }

  async write(key: Uint8Array, op: NodeWriteOp): Promise<WriteResult> {
    this.assertWritable();
    this.locks.assertFree(key);
    const name = keyText(key);
    const pending = this.#pending.get(name);
    const current = this.#current(key, pending);
    const beforeBytes = current?.itemSizeBytes ?? 0;
    const indexes = this.#indexes?.active === true ? this.#indexes : undefined;
    if (indexes === undefined && op.kind === "put" && op.condition === undefined && op.returnValues === "NONE") {
      const { json, itemSizeBytes } = op;
      await this.#append([{ op: "put", key, bytes: json, itemSizeBytes }], undefined, () => current);
      return { beforeBytes, afterBytes: itemSizeBytes };
    }
    const before = current === undefined ? undefined : itemOf(current.bytes);
    let outcome: Decided;
    try {
      outcome = this.decide(key, op, before);
      this.assertCollectionRoom(outcome.write);
    } catch (refusal) {
      await this.#confirm(pending);
      throw refusal;
    }
    const { write, attributes } = outcome;
    if (write.op === "delete" && before === undefined) {
      await this.#confirm(pending);
      return { beforeBytes: 0, afterBytes: 0, ...this.#collection(key) };
    }
    const why = op.kind === "delete" && op.expired ? "expired" : undefined;
    const { done, indexUnits } = this.#appendIndexed([write], why);
    const collection = this.#collection(key);
    await done;
    const afterBytes = write.op === "put" ? write.itemSizeBytes : 0;
    return {
      beforeBytes,
      afterBytes,
      ...(attributes && { attributes }),
      ...(indexUnits && { indexUnits }),
      ...collection,
    };
  }

  /** Physical writes, all of them in one entry, with what they change in indexes. Resolves with its slot when it is chosen and applied here. */
  async submit(writes: readonly Write[]): Promise<number> {
    this.assertWritable();
    return await this.appendIndexed(writes);
  }

  /** As `submit`, in the turn of `assertWritable`; throws at once where nothing of it was taken. */
  appendIndexed(writes: readonly Write[]): Promise<number> {
    return this.#appendIndexed(writes).done;
  }

  #appendIndexed(
    writes: readonly Write[],
    why?: "expired",
  ): { done: Promise<number>; indexUnits?: WriteResult["indexUnits"] } {
    if (this.#indexes?.active !== true) return { done: this.#append(writes, why) };
    const { writes: more, units } = this.#indexes.effects(writes, (key) => this.newest(key)?.bytes);
    return { done: this.#append([...writes, ...more], why), ...(units && { indexUnits: units }) };
  }

  /**
   * Replaces what the partition says of itself. Resolves with the slot from which on it holds: writes that come behind it in the log were made under it.
   * Rejects with ERR_STORE_CONFLICT where something was said already that was decided later.
   */
  async describe(description: PartitionDescription): Promise<number> {
    this.assertLeading();
    const { asOf, sealed } = this.#description();
    if (sealed) throw wasSplit(this.#replica.partition);
    if (description.asOf < asOf) {
      const partition = `partition ${this.#replica.partition}`;
      throw new StoreError("ERR_STORE_CONFLICT", `${partition} was described as of ${asOf}, after ${description.asOf}`);
    }
    return await this.appendIndexed([descriptionWrite(description)]);
  }

  /**
   * Nothing is written behind this but what concerns the partition itself. Resolves with the slot in which that is said: all that anybody was told to be written stands before it.
   */
  async seal(): Promise<number> {
    this.assertLeading();
    const description = this.#description();
    if (description.sealed) await this.confirm([DESCRIPTION_KEY]);
    else await this.#append([descriptionWrite({ ...description, sealed: true })]);
    return this.#replica.get(DESCRIPTION_KEY)?.slot as number;
  }

  /** What a write comes to. @throws ApiError what is against it, also where the table's indexes are */
  decide(key: Uint8Array, op: NodeWriteOp, before: Item | undefined): Decided {
    const outcome = decided(key, op, before);
    if (op.kind === "update" && outcome.after !== undefined) this.#indexes?.check(op.actions, outcome.after);
    return outcome;
  }

  /** What the table's indexes make of a write that cannot be refused any more, as things stand now. */
  indexWrites(write: Write): readonly Write[] {
    if (this.#indexes?.active !== true) return [];
    return this.#indexes.effects([write], (key) => this.newest(key)?.bytes, { always: true }).writes;
  }

  /**
   * What a write would cost the table's indexes, by their names.
   * @param always it cannot be refused any more
   * @throws ApiError where an index is too far behind
   */
  indexUnits(write: Write, always: boolean): WriteResult["indexUnits"] {
    if (this.#indexes?.active !== true) return undefined;
    return this.#indexes.units([write], (key) => this.newest(key)?.bytes, { always });
  }

  /** @throws ApiError ItemCollectionSizeLimitExceededException */
  assertCollectionRoom(write: Write): void {
    this.#tally?.assertRoom([write], (key) => this.newest(key));
  }

  /** What the item's collection weighs with what is decided; undefined where the table has no local indexes. */
  collectionBytes(itemKey: Uint8Array): number | undefined {
    if (this.#tally?.measuresCollections !== true) return undefined;
    return this.#tally.collectionBytes(itemKey, (key) => this.newest(key));
  }

  #collection(key: Uint8Array): Pick<WriteResult, "collectionBytes"> {
    const collectionBytes = this.collectionBytes(key);
    return collectionBytes === undefined ? {} : { collectionBytes };
  }

  /** Counts some of what was there before anybody counted. True where there is more. */
  async count(): Promise<boolean> {
    this.assertLeading();
    const tally = this.#tally;
    if (tally?.lacksSome !== true) return false;
    const pending = [...this.#pending.values()].map(({ write }) => write.key);
    await this.#appendCounted(
      tally.step(pending, (key) => this.newest(key)),
      [],
    );
    return tally.lacksSome;
  }

  /** What a key holds, with what is decided and not chosen yet. */
  newest(key: Uint8Array): Image | undefined {
    return this.#current(key, this.#pending.get(keyText(key)));
  }

  /** As `submit`, in the turn of `assertLeading`; throws at once where nothing of it was taken. */
  append(writes: readonly Write[]): Promise<number> {
    return this.#append(writes);
  }

  /** Resolves when what is decided about these keys is chosen, and that this node leads was confirmed after that. */
  async confirm(keys: readonly Uint8Array[]): Promise<void> {
    for (const key of keys) await this.#pending.get(keyText(key))?.done;
    await this.#confirm(undefined);
  }

  /** The log's clock is not behind this moment from here on. */
  noteTime(timeMs: number): void {
    this.#lastTimeMs = Math.max(this.#lastTimeMs, timeMs);
  }

  /**
   * @param why `repaired`: the store puts back what rotted, which is no change; `expired`: the items' time is up
   * @param current what the writes' keys hold, where that was looked up already
   */
  #append(
    writes: readonly Write[],
    why?: "repaired" | "expired",
    current = (key: Uint8Array) => this.newest(key),
  ): Promise<number> {
    // What rotted is counted as what it was.
    const change = why === "repaired" ? undefined : this.#tally?.changeOf(writes, current);
    const noted = why !== "repaired" && this.#description().recordsChanges;
    const all = noted ? withChangeNotes(writes, current, why === "expired") : writes;
    return change === undefined ? this.#appendNoted(all) : this.#appendCounted(change, all);
  }

  #appendCounted(change: TallyChange, writes: readonly Write[]): Promise<number> {
    const collections = this.#tally?.collectionWrites(change, (key) => this.newest(key)) ?? [];
    const done = this.#appendNoted(collections.length === 0 ? writes : [...writes, ...collections]);
    this.#tally?.take(change);
    return done;
  }

  #description(): PartitionDescription {
    const { write } = this.#pending.get(DESCRIPTION_NAME) ?? {};
    if (write === undefined) return this.#replica.description;
    return decodeDescription(write.op === "put" ? write.bytes : undefined);
  }

  #appendNoted(writes: readonly Write[]): Promise<number> {
    const { done } = this.#entries.add(writes, this.#round);
    for (const write of writes) {
      const name = keyText(write.key);
      if (this.#watched.size > 0) for (const watch of this.#watched.get(name) ?? []) watch.touched = true;
      this.#pending.add(name, write, done);
    }
    return done;
  }

  /**
   * A mark: every replica takes a snapshot at exactly the slot that this resolves with.
   * @param afterMs Unix time: the mark, and all that comes behind it, is later than that
   */
  async mark(afterMs = 0): Promise<number> {
    this.assertLeading();
    this.noteTime(afterMs + 1);
    return await this.#entries.submitAlone({ kind: "mark", timeMs: this.#timeMs() });
  }

  /**
   * Puts back what a key held at `asOfSlot`, unless it was written since: then that write has healed it already. Resolves false in that
   * case. `expected` absent: the key was deleted.
   */
  async repair(
    key: Uint8Array,
    asOfSlot: number,
    expected: { json: Uint8Array; itemSizeBytes: number } | undefined,
  ): Promise<boolean> {
    const name = keyText(key);
    // What says whether there are writes may be what has rotted.
    const assertMayWrite = () => (name === DESCRIPTION_NAME ? this.assertLeading() : this.assertWritable());
    assertMayWrite();
    const round = this.#round;
    const watch = { touched: this.#pending.has(name) };
    const watches = this.#watched.get(name) ?? new Set();
    this.#watched.set(name, watches.add(watch));
    try {
      if (await this.#writtenSince(key, asOfSlot)) return false;
      assertMayWrite();
      // Another leader may have been here while the log was read, and its writes did not come by this watch.
      if (this.#round !== round) throw notLeader(undefined);
      if (watch.touched) return false;
      const healed: Write =
        expected === undefined
          ? { op: "delete", key }
          : { op: "put", key, bytes: expected.json, itemSizeBytes: expected.itemSizeBytes };
      await this.#append([healed], "repaired");
      return true;
    } finally {
      watches.delete(watch);
      if (watches.size === 0) this.#watched.delete(name);
    }
  }

  async #writtenSince(key: Uint8Array, slot: number): Promise<boolean> {
    const through = this.#group.status().appliedThrough;
    if (through <= slot) return false;
    for await (const entry of this.#group.entries({ from: slot + 1, through })) {
      if (entry.kind !== "command") continue;
      const command = decodeCommand(entry.command);
      if (command.kind === "writes" && command.writes.some((write) => Buffer.compare(write.key, key) === 0))
        return true;
    }
    return false;
  }

  #current(key: Uint8Array, pending: Pending | undefined): Image | undefined {
    if (pending === undefined) {
      const stored = this.#replica.get(key);
      return stored && { bytes: stored.json, itemSizeBytes: stored.itemSizeBytes };
    }
    const { write } = pending;
    return write.op === "delete" ? undefined : write;
  }

  #forget(): void {
    this.#pending.clear();
    this.locks.forget();
    this.#indexes?.forget();
    this.#tally?.forget();
  }

  async #confirm(pending: Pending | undefined): Promise<void> {
    if (pending !== undefined) await pending.done;
    await settled(this.#group.read(() => undefined));
  }

  /**
   * What was decided in another leadership is forgotten. What follows in the same turn need not ask again.
   * @throws StoreError where this node does not lead, or takes nothing at the moment
   */
  assertLeading(): void {
    const { ready, leader, ballot } = this.#group.leadership();
    if (!ready) throw notLeader(leader);
    this.#entries.assertOpen();
    if (ballot.round !== this.#round) {
      this.#forget();
      this.#round = ballot.round;
    }
    const { backlog } = this.#replica;
    if (backlog.writes > BACKLOG_MAX || backlog.bytes > BACKLOG_BYTES_MAX) throw backlog.overloaded();
  }

  /**
   * As `assertLeading`, for what changes items or what is said of them.
   * @throws StoreError ERR_STORE_SPLIT where others have them by now, or nobody will
   */
  assertWritable(): void {
    this.assertLeading();
    const { sealed, ending } = this.#description();
    if (sealed) throw wasSplit(this.#replica.partition);
    if (ending) throw isEnding(this.#replica.partition);
  }

  /** Wall-clock time for archives and people, never going back along the log. */
  #timeMs(): number {
    this.#lastTimeMs = Math.max(this.#lastTimeMs, this.#replica.lastTimeMs, Date.now());
    return this.#lastTimeMs;
  }
}
