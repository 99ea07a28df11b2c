import { ApiError } from "../api/errors.js";
import { shownNames } from "../api/index-entries.js";
import type { KeySchema, TableRecord } from "../api/model.js";
import { itemBytes } from "../api/size.js";
import { itemOf } from "../item-of.js";
import type { Image, Write } from "./command.js";
import { entryOf } from "./index-upkeep.js";
import { keyText } from "./key-text.js";
import { FIRST_ITEM_KEY, isOwnKey } from "./own-keys.js";
import type { Replica } from "./replica.js";
import {
  collectionKey,
  decodeCollection,
  decodeTally,
  encodeCollection,
  encodeTally,
  TALLY_KEY,
  type TallyRecord,
} from "./tally-record.js";

/** What one step of counting what nobody has counted yet looks at. */
const STEP_ITEMS_MAX = 500;
/** The service's limit of an item collection. */
export const COLLECTION_BYTES_MAX = 10 * 1024 ** 3;

type Counted = Pick<TableRecord, "keySchema" | "localIndexes">;
type Current = (key: Uint8Array) => Image | undefined;

/** What some writes add to the sums. */
export interface TallyChange {
  items: number;
  bytes: number;
  readonly locals: Map<number, { items: number; bytes: number }>;
  /** By the text of the collection's own key. */
  readonly collections: Map<string, { readonly key: Uint8Array; bytes: number }>;
  through?: Uint8Array | undefined;
}

interface Sums {
  items: number;
  bytes: number;
  readonly locals: Map<number, { items: number; bytes: number }>;
  through: Uint8Array | undefined;
}

/** Of a table without local indexes: nothing is ever put into it. */
const NONE = new Map<never, never>();

/**
 * How many items a partition holds and what they weigh, at its leader: changed with every write, upon what is decided and not chosen yet, and put into the log behind
 * the writes of an entry. So it is part of the partition's state, the same on every replica at the same slot, and nobody counts by looking at items.
 * The exception is what was there before anybody counted: items behind a key that moves on (`step`) are not in the sums yet, and their writes change nothing.
 *
 * Where the table has local indexes their entries are counted too, and the size of each item collection: its items and what local indexes show of them.
 */
export class Tally {
  readonly #replica: Replica;
  readonly #table: () => Counted | undefined;
  readonly #collectionBytesMax: number;
  /** Undefined: to be read from the replica, where nothing is pending. */
  #sums: Sums | undefined;
  #changed = false;

  /** @param table the partition's; its keys and local indexes never change */
  constructor(
    replica: Replica,
    table: () => Counted | undefined,
    { collectionBytesMax = COLLECTION_BYTES_MAX }: { readonly collectionBytesMax?: number } = {},
  ) {
    this.#replica = replica;
    this.#table = table;
    this.#collectionBytesMax = collectionBytesMax;
  }

  /** Another leadership, or what was decided is lost. */
  forget(): void {
    this.#sums = undefined;
    this.#changed = false;
  }

  /** Whether something was there before anybody counted, and is not counted yet. */
  get lacksSome(): boolean {
    return this.#decided.through !== undefined;
  }

  /** Whether item collections are measured. */
  get measuresCollections(): boolean {
    return (this.#table()?.localIndexes?.length ?? 0) > 0;
  }

  get #decided(): Sums {
    this.#sums ??= this.#load();
    return this.#sums;
  }

  #load(): Sums {
    const stored = this.#replica.get(TALLY_KEY);
    if (stored === undefined) {
      const [first] = this.#replica.range({ from: FIRST_ITEM_KEY });
      return { items: 0, bytes: 0, locals: new Map(), through: first && new Uint8Array() };
    }
    const { items, bytes, locals, through } = decodeTally(stored.json);
    return { items, bytes, through, locals: new Map([...locals].map(([number, sum]) => [number, { ...sum }])) };
  }

  /** @param current what a key holds before the writes */
  changeOf(writes: readonly Write[], current: Current): TallyChange {
    const measures = this.measuresCollections;
    const locals: TallyChange["locals"] = measures ? new Map() : NONE;
    const collections: TallyChange["collections"] = measures ? new Map() : NONE;
    const change: TallyChange = { items: 0, bytes: 0, locals, collections };
    const { through } = this.#decided;
    const written = writes.length > 1 ? new Map<string, Image | undefined>() : undefined;
    for (const write of writes) {
      if (isOwnKey(write.key)) continue;
      if (through !== undefined && Buffer.compare(write.key, through) > 0) continue;
      const name = written && keyText(write.key);
      const before = name !== undefined && written?.has(name) ? written.get(name) : current(write.key);
      const after = write.op === "put" ? write : undefined;
      if (name !== undefined) written?.set(name, after);
      this.#add(change, write.key, before, after);
    }
    return change;
  }

  #add(change: TallyChange, key: Uint8Array, before: Image | undefined, after: Image | undefined): void {
    change.items += (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
    const grown = (after?.itemSizeBytes ?? 0) - (before?.itemSizeBytes ?? 0);
    change.bytes += grown;
    if (!this.measuresCollections) return;
    const own = collectionKey(key);
    const name = keyText(own);
    const collection = change.collections.get(name) ?? { key: own, bytes: 0 };
    change.collections.set(name, collection);
    collection.bytes += grown + this.#addEntries(change, key, before, -1) + this.#addEntries(change, key, after, 1);
  }

  /** Returns what the item's entries in local indexes add to its collection. */
  #addEntries(change: TallyChange, key: Uint8Array, image: Image | undefined, sign: 1 | -1): number {
    if (image === undefined) return 0;
    const { localIndexes = [], keySchema } = this.#table() ?? {};
    const item = itemOf(image.bytes);
    let sum = 0;
    for (const index of localIndexes) {
      const entry = entryOf(index, keySchema as KeySchema, key, item);
      if (entry === undefined) continue;
      const bytes = sign * (shownNames(index, keySchema as KeySchema) ? itemBytes(entry.shown) : image.itemSizeBytes);
      const local = change.locals.get(index.number) ?? { items: 0, bytes: 0 };
      change.locals.set(index.number, local);
      local.items += sign;
      local.bytes += bytes;
      sum += bytes;
    }
    return sum;
  }

  /** Sizes of collections as they are after the change: they belong into the entry of its writes. */
  collectionWrites({ collections }: TallyChange, current: Current): Write[] {
    const writes: Write[] = [];
    for (const { key, bytes } of collections.values()) {
      if (bytes === 0) continue;
      const sum = sizeIn(current(key)) + bytes;
      if (sum > 0) writes.push({ op: "put", key, bytes: encodeCollection(sum), itemSizeBytes: 0 });
      else writes.push({ op: "delete", key });
    }
    return writes;
  }

  collectionBytes(itemKey: Uint8Array, current: Current): number {
    return sizeIn(current(collectionKey(itemKey)));
  }

  /** @throws ApiError ItemCollectionSizeLimitExceededException where a collection would grow beyond the limit; one that shrinks may be too large */
  assertRoom(writes: readonly Write[], current: Current): void {
    if (!this.measuresCollections) return;
    for (const { key, bytes } of this.changeOf(writes, current).collections.values())
      if (bytes > 0 && sizeIn(current(key)) + bytes > this.#collectionBytesMax)
        throw new ApiError("ItemCollectionSizeLimitExceededException");
  }

  /** The writes that the change is of are on their way. */
  take(change: TallyChange): void {
    const sums = this.#decided;
    sums.items += change.items;
    sums.bytes += change.bytes;
    for (const [number, { items, bytes }] of change.locals) {
      const local = sums.locals.get(number) ?? { items: 0, bytes: 0 };
      sums.locals.set(number, { items: local.items + items, bytes: local.bytes + bytes });
    }
    if ("through" in change) sums.through = change.through;
    this.#changed ||= "through" in change || change.items !== 0 || change.bytes !== 0 || change.locals.size > 0;
  }

  /** Ends an entry whose writes were all taken. */
  closing(): readonly Write[] {
    if (!this.#changed) return [];
    this.#changed = false;
    const { through, ...sums } = this.#decided;
    const record: TallyRecord = through === undefined ? sums : { ...sums, through };
    return [{ op: "put", key: TALLY_KEY, bytes: encodeTally(record), itemSizeBytes: 0 }];
  }

  /**
   * What the next items that nobody has counted add, as they are decided to be.
   * @param pending keys of what is decided and not chosen yet
   */
  step(pending: Iterable<Uint8Array>, current: Current): TallyChange {
    const { through = new Uint8Array() } = this.#decided;
    const from = through.length === 0 ? FIRST_ITEM_KEY : Buffer.concat([through, Buffer.alloc(1)]);
    const keys = new Map<string, Uint8Array>();
    let last: Uint8Array | undefined;
    for (const { key } of this.#replica.range({ from })) {
      if (keys.size === STEP_ITEMS_MAX) {
        last = [...keys.values()].at(-1);
        break;
      }
      keys.set(keyText(key), Uint8Array.from(key));
    }
    for (const key of pending) {
      const isIn = Buffer.compare(key, from) >= 0 && (last === undefined || Buffer.compare(key, last) <= 0);
      if (isIn && !isOwnKey(key)) keys.set(keyText(key), key);
    }
    const change: TallyChange = {
      items: 0,
      bytes: 0,
      locals: new Map(),
      collections: new Map(),
      through: last,
    };
    for (const key of keys.values()) this.#add(change, key, undefined, current(key));
    return change;
  }
}

const sizeIn = (image: Image | undefined): number => (image === undefined ? 0 : decodeCollection(image.bytes));
