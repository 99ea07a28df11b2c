import { ApiError } from "../api/errors.js";
import { type Entry, entryUnits, shownNames, shownOf } from "../api/index-entries.js";
import { checkUpdatedIndexKeys } from "../api/index-key-checks.js";
import { entryKey } from "../api/index-keys.js";
import { messages } from "../api/messages.js";
import type { IndexDefinition, Item, KeySchema, LocalIndex, TableRecord, UpdateAction } from "../api/model.js";
import { itemOf } from "../item-of.js";
import type { Write } from "./command.js";
import { digest16 } from "./digest16.js";
import {
  cursorKey,
  maintainedBounds,
  maintainedKey,
  outboxBounds,
  outboxKey,
  readU64,
  seqOfOutboxKey,
  u64,
} from "./global-index-keys.js";
import { localIndexKey } from "./local-index-keys.js";
import { decodeMaintained, encodeMaintained, type IndexToKeep, type MaintainedIndex } from "./maintained-index.js";
import { encodeOutboxRecord, type Touched } from "./outbox-record.js";
import { isOwnKey } from "./own-keys.js";
import type { Replica } from "./replica.js";

/** Records that wait to be told to global indexes, past which writes that change one are throttled, as the service does. */
const OUTBOX_MAX = 10_000;

/** What the indexes of a table make of one change. */
export interface IndexEffects {
  /** Belong into the entry of the change itself. */
  readonly writes: readonly Write[];
  /** Write units by name of the index; absent where no index changes. */
  readonly units?: Readonly<Record<string, number>>;
}

type Indexed = Pick<TableRecord, "keySchema" | "localIndexes">;
type Get = (key: Uint8Array) => Uint8Array | undefined;

const itemIn = (json: Uint8Array | undefined): Item | undefined => json && itemOf(json);

/**
 * A partition's part in the indexes of its table, at its leader: asked for each write. Local indexes are kept in the same entry of the log; for global ones the
 * entry says which item changed and where it was (the outbox), and the `IndexPropagator` tells them. Which global indexes there are is part of the
 * partition's state, decided in the order of the log.
 */
export class IndexUpkeep {
  readonly #replica: Replica;
  readonly #table: () => Indexed | undefined;
  readonly #outboxMax: number;
  /** Undefined: to be read from the replica, where nothing is pending. */
  #state: { readonly globals: Map<number, MaintainedIndex>; nextSeq: number; toldThrough: number } | undefined;

  /** @param table the partition's, as the metadata know it; its keys and local indexes never change */
  constructor(replica: Replica, table: () => Indexed | undefined, { outboxMax = OUTBOX_MAX } = {}) {
    this.#replica = replica;
    this.#table = table;
    this.#outboxMax = outboxMax;
  }

  /** Another leadership, or what was decided is lost: nothing is pending any more. */
  forget(): void {
    this.#state = undefined;
  }

  get #decided() {
    this.#state ??= this.#load();
    return this.#state;
  }

  #load() {
    const globals = new Map<number, MaintainedIndex>();
    for (const { value } of this.#replica.range(maintainedBounds)) {
      const index = decodeMaintained(value.json);
      globals.set(index.number, index);
    }
    const cursor = this.#replica.get(cursorKey());
    const toldThrough = cursor === undefined ? 0 : readU64(cursor.json);
    let nextSeq = toldThrough + 1;
    for (const { key } of this.#replica.range({ ...outboxBounds(toldThrough), reverse: true })) {
      nextSeq = seqOfOutboxKey(key) + 1;
      break;
    }
    return { globals, nextSeq, toldThrough };
  }

  /** Whether a write has to know what was there before it. */
  get active(): boolean {
    return (this.#table()?.localIndexes?.length ?? 0) > 0 || this.#decided.globals.size > 0;
  }

  get globals(): ReadonlyMap<number, MaintainedIndex> {
    return this.#decided.globals;
  }

  get toldThrough(): number {
    return this.#decided.toldThrough;
  }

  get outboxLength(): number {
    const { nextSeq, toldThrough } = this.#decided;
    return nextSeq - 1 - toldThrough;
  }

  /** @throws ValidationException where an update gives an index's key a value that is none */
  check(actions: readonly UpdateAction[], after: Item): void {
    const localIndexes = this.#table()?.localIndexes ?? [];
    const globalIndexes = [...this.globals.values()] as unknown as NonNullable<TableRecord["globalIndexes"]>;
    checkUpdatedIndexKeys({ localIndexes, globalIndexes }, actions, after);
  }

  /**
   * What else belongs into the entry of these writes.
   * @param get what a key holds before them
   * @param always they cannot be refused any more: a transaction was decided
   * @throws ProvisionedThroughputExceededException where global indexes are too far behind
   */
  effects(writes: readonly Write[], get: Get, { always = false } = {}): IndexEffects {
    const { writes: local, units, touched } = this.#made(writes, get);
    if (touched.length === 0) return { writes: local, ...(units && { units }) };
    if (!always) this.#assertRoom();
    return { writes: [...local, this.#record(touched)], ...(units && { units }) };
  }

  /**
   * What these writes would cost the indexes, as `effects` says it; nothing is written for it.
   * @throws as `effects`, with `always` too
   */
  units(writes: readonly Write[], get: Get, { always = false } = {}): IndexEffects["units"] {
    const { units, touched } = this.#made(writes, get);
    if (!always && touched.length > 0) this.#assertRoom();
    return units;
  }

  #assertRoom(): void {
    if (this.outboxLength >= this.#outboxMax)
      throw new ApiError("ProvisionedThroughputExceededException", messages.indexThroughputExceeded);
  }

  #made(writes: readonly Write[], get: Get): IndexEffects & { readonly touched: readonly Touched[] } {
    const more: Write[] = [];
    const units: Record<string, number> = {};
    const touched: Touched[] = [];
    const written = new Map<string, Uint8Array | undefined>();
    for (const write of writes) {
      if (isOwnKey(write.key)) continue;
      const name = Buffer.from(write.key).toString("latin1");
      const before = itemIn(written.has(name) ? written.get(name) : get(write.key));
      const json = write.op === "put" ? write.bytes : undefined;
      if (writes.length > 1) written.set(name, json);
      const after = itemIn(json);
      const table = this.#table();
      for (const index of table?.localIndexes ?? []) {
        const was = entryOf(index, table?.keySchema as KeySchema, write.key, before);
        const is = entryOf(index, table?.keySchema as KeySchema, write.key, after);
        spend(units, index.name, entryUnits(was, is));
        more.push(...pointers(index, write.key, was, is));
      }
      const indexes: { index: number; was?: Uint8Array }[] = [];
      for (const index of this.globals.values()) {
        const was = entryOf(index, index.tableKey, write.key, before);
        const cost = entryUnits(was, entryOf(index, index.tableKey, write.key, after));
        if (cost === 0) continue;
        spend(units, index.name, cost);
        indexes.push({ index: index.number, ...(was && { was: was.key }) });
      }
      if (indexes.length > 0) touched.push({ key: write.key, indexes });
    }
    return { writes: more, touched, ...(Object.keys(units).length > 0 && { units }) };
  }

  #record(touched: readonly Touched[]): Write {
    const decided = this.#decided;
    const bytes = encodeOutboxRecord(touched);
    return { op: "put", key: outboxKey(decided.nextSeq++), bytes, itemSizeBytes: 0 };
  }

  /** From here on the index is kept. Nothing where it is already. */
  keep(index: IndexToKeep): Write[] {
    if (this.globals.has(index.number)) return [];
    return [this.#put({ ...index, backfill: {} })];
  }

  /** From here on it is not. */
  drop(number: number): Write[] {
    if (!this.#decided.globals.delete(number)) return [];
    return [{ op: "delete", key: maintainedKey(number) }];
  }

  /**
   * A step of a backfill: the index is told of these items as if they had changed.
   * @param after the last key that was looked at; absent: there are no more
   */
  backfilled(number: number, keys: readonly Uint8Array[], after: Uint8Array | undefined): Write[] {
    const index = this.globals.get(number);
    if (index === undefined) return [];
    const record = keys.length === 0 ? [] : [this.#record(keys.map((key) => ({ key, indexes: [{ index: number }] })))];
    const throughSeq = this.#decided.nextSeq - 1;
    const backfill = after === undefined ? { throughSeq } : { after: Buffer.from(after).toString("hex") };
    return [...record, this.#put({ ...index, backfill })];
  }

  #put(index: MaintainedIndex): Write {
    this.#decided.globals.set(index.number, index);
    return { op: "put", key: maintainedKey(index.number), bytes: encodeMaintained(index), itemSizeBytes: 0 };
  }

  /** Records through here are not needed any more. */
  told(records: readonly number[]): Write[] {
    const through = records.at(-1);
    if (through === undefined || through <= this.#decided.toldThrough) return [];
    this.#decided.toldThrough = through;
    return [
      ...records.map((seq): Write => ({ op: "delete", key: outboxKey(seq) })),
      { op: "put", key: cursorKey(), bytes: u64(through), itemSizeBytes: 0 },
    ];
  }
}

function spend(units: Record<string, number>, name: string, cost: number): void {
  if (cost > 0) units[name] = (units[name] ?? 0) + cost;
}

/** What the index has of an item; nothing where it lacks one of the index's key attributes. */
export function entryOf(
  index: IndexDefinition,
  tableKey: KeySchema,
  itemKey: Uint8Array,
  item: Item | undefined,
): Entry | undefined {
  const key = item && entryKey(index.keySchema, item, itemKey, digest16);
  return key && { key: key.bytes, shown: shownOf(item, shownNames(index, tableKey)) };
}

/** A local index's entries say where the item lies and no more: it is in the same partition, and a copy would only cost. */
function pointers(index: LocalIndex, key: Uint8Array, was: Entry | undefined, is: Entry | undefined): Write[] {
  if (was !== undefined && is !== undefined && Buffer.compare(was.key, is.key) === 0) return [];
  const writes: Write[] = [];
  if (was !== undefined) writes.push({ op: "delete", key: localIndexKey(index.number, was.key) });
  if (is !== undefined)
    writes.push({ op: "put", key: localIndexKey(index.number, is.key), bytes: key, itemSizeBytes: 0 });
  return writes;
}
