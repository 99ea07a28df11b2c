import { ConstantWorkCache } from "@evenkeel/constant-work-cache";
import type { FoundPlace, MemdsClient } from "@evenkeel/memds";
import { ApiError } from "../api/errors.js";
import type { StreamRecord } from "../api/streams/model.js";
import { bufferOf } from "../buffer-of.js";
import { type PartitionRecord, routeKey, streamKey, type TableEntry } from "../metadata/records.js";

/** What the fleet found: the entry with the highest key that is not above the one asked for. */
interface Routed {
  /** The metadata's slot at which this was true. */
  readonly version: number;
  /** Of the entry; empty where there is none. */
  readonly key: string;
  readonly record: unknown;
}

/** The keys by which a table's partitions are looked for. */
interface Ring {
  readonly tableId: string;
  /** With which the keys of all its routes begin. */
  readonly prefix: string;
  /** Of the 256 parts of the ring in which a partition is looked for first. */
  readonly buckets: readonly string[];
}

type Found = PartitionRecord | undefined | Promise<PartitionRecord | undefined>;

const HASH_BITS = 32;
/** A partition is first looked for as the last one that begins in the hash's 256th of the ring, then in a 256th of that, and so on. */
const STEP_BITS = 8;
const BUCKETS = 2 ** STEP_BITS;
/** Tables whose keys are kept, and entries whose meaning is; past it all are let go of, and worked out anew. */
const KEPT_MAX = 10_000;

/**
 * The only way to a table or partition: a constant-work cache in front of the memds fleet. Every look-up here is one look-up there, hit or
 * miss, so a router that starts, or is flushed, asks no more than one that runs. All of them are floors, for which the fleet's client has a way without an object a question.
 */
export class Routes {
  readonly #cache: ConstantWorkCache<string, Routed>;
  readonly #rings = new Map<string, Ring>();

  constructor(memds: Pick<MemdsClient, "sourceOf">, { entriesMax = 100_000 } = {}) {
    this.#cache = new ConstantWorkCache<string, Routed>({
      entriesMax,
      versionOf: (routed) => routed.version,
      source: memds.sourceOf(routedOf()),
    });
  }

  /** Without a promise where it is known. Throws ResourceNotFoundException, or rejects with it. */
  table(name: string): TableEntry | Promise<TableEntry> {
    const key = `t/${name}`;
    const routed = this.#cache.get(key);
    return routed instanceof Promise ? routed.then((found) => tableOf(found, key)) : tableOf(routed, key);
  }

  /** A stream as the fleet last had it, which may be a while ago. */
  async stream(tableName: string, label: string): Promise<StreamRecord | undefined> {
    const key = streamKey(tableName, label).toString();
    const routed = await this.#cache.get(key);
    return routed?.key === key ? (routed.record as StreamRecord) : undefined;
  }

  /** The partition of a table that holds a hash; without a promise where it is known. Undefined while the fleet does not know of it. */
  partition(tableId: string, hash: number): Found {
    const ring = this.#ringOf(tableId);
    return this.#partition(ring, hash, STEP_BITS, ring.buckets[hash >>> (HASH_BITS - STEP_BITS)]);
  }

  #partition(ring: Ring, hash: number, bits: number, key = bucketKey(ring.tableId, hash, bits)): Found {
    const routed = this.#cache.get(key);
    if (routed instanceof Promise) return routed.then((found) => this.#covering(found, ring, hash, bits));
    return this.#covering(routed, ring, hash, bits);
  }

  /** How many look-ups it takes follows from where partitions begin, and not from what is known here. */
  #covering(routed: Routed | undefined, ring: Ring, hash: number, bits: number): Found {
    // The floor of a table's first bucket may belong to another table, or not be a route at all.
    if (routed?.key.startsWith(ring.prefix) !== true) return undefined;
    const record = routed.record as PartitionRecord;
    if (hash < record.hashFrom) return bits < HASH_BITS ? this.#partition(ring, hash, bits + STEP_BITS) : undefined;
    return hash < record.hashTo ? record : undefined;
  }

  #ringOf(tableId: string): Ring {
    let ring = this.#rings.get(tableId);
    if (ring === undefined) {
      const width = 2 ** (HASH_BITS - STEP_BITS);
      const buckets = Array.from({ length: BUCKETS }, (_, bucket) => bucketKey(tableId, bucket * width, STEP_BITS));
      ring = { tableId, prefix: `r/${tableId}/`, buckets };
      if (this.#rings.size >= KEPT_MAX) this.#rings.clear();
      this.#rings.set(tableId, ring);
    }
    return ring;
  }

  /** What the metadata's leader just said is newer than what the fleet has heard. */
  learn(table: TableEntry, version: number): void {
    const key = `t/${table.name}`;
    this.#cache.learn(key, { version, key, record: table });
  }

  flush(): void {
    this.#cache.clear();
  }

  stats(): ReturnType<ConstantWorkCache<string, Routed>["stats"]> {
    return this.#cache.stats();
  }

  close(): void {
    this.#cache.close();
  }
}

function tableOf(routed: Routed | undefined, key: string): TableEntry {
  if (routed?.key !== key) throw new ApiError("ResourceNotFoundException");
  return routed.record as TableEntry;
}

/** The route of a partition that begins with the last hash of which the first `bits` bits are those of `hash`. */
function bucketKey(tableId: string, hash: number, bits: number): string {
  const width = 2 ** (HASH_BITS - bits);
  return routeKey(tableId, Math.floor(hash / width) * width + width - 1).toString();
}

/** Reads what was found; an entry that is as it was need not be parsed again, and of a version that is as it was nothing has to be read. */
function routedOf(): (found: FoundPlace, asked: string) => Routed {
  const answered = new Map<string, Routed>();
  const read = reader();
  return (found, asked) => {
    const last = answered.get(asked);
    if (last?.version === found.version) return last;
    const routed = read(found);
    if (answered.size >= KEPT_MAX) answered.clear();
    answered.set(asked, routed);
    return routed;
  };
}

function reader(): (found: FoundPlace) => Routed {
  const known = new Map<string, { readonly value: Buffer; routed: Routed }>();
  let frame: Uint8Array | undefined;
  let view: Buffer = Buffer.alloc(0);
  return ({ version, bytes, isFound, keyStart, keyEnd, valueStart, valueEnd }) => {
    if (!isFound) return { version, key: "", record: undefined };
    if (frame !== bytes) view = bufferOf(bytes);
    frame = bytes;
    // Names, ids and labels are ASCII.
    const key = view.toString("latin1", keyStart, keyEnd);
    const last = known.get(key);
    // One version says one thing of a key.
    if (last?.routed.version === version) return last.routed;
    if (last?.value.compare(view, valueStart, valueEnd) === 0) {
      last.routed = { ...last.routed, version };
      return last.routed;
    }
    const routed = { version, key, record: JSON.parse(view.toString("utf8", valueStart, valueEnd)) as unknown };
    if (known.size >= KEPT_MAX) known.clear();
    known.set(key, { value: Buffer.from(view.subarray(valueStart, valueEnd)), routed });
    return routed;
  };
}
