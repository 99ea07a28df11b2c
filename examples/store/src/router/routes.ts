import { ConstantWorkCache } from "@evenkeel/constant-work-cache";
import type { MemdsClient } from "@evenkeel/memds";
import { ApiError } from "../api/errors.js";
import type { StreamRecord } from "../api/streams/model.js";
import { type PartitionRecord, routeKey, routeKeyAfter, streamKey, type TableEntry } from "../metadata/records.js";

/** Keys of the cache: `t/<name>` a table, `s/<table name>/<label>` a stream, `r/<table id>/<bucket>` the partitions that touch one 256th of the hash ring. */
interface Routed {
  /** The metadata's slot at which this was true. */
  readonly version: number;
  readonly table?: TableEntry;
  readonly partitions?: readonly PartitionRecord[];
  readonly stream?: StreamRecord;
}

const BUCKETS = 256;
const BUCKET_HASHES = 0x1_0000_0000 / BUCKETS;
const PARTITIONS_PER_BUCKET_MAX = 1_000;
/** Keys whose queries and last answer are remembered; past it all are forgotten, and worked out anew. */
const REMEMBERED_MAX = 10_000;

/** What a key asks, and what came of it last: an answer of the same bytes need not be parsed again. */
interface Remembered {
  readonly queries: readonly Query[];
  values: readonly Uint8Array[];
  routed: Routed | undefined;
}

/**
 * The only way to a table or partition: a constant-work cache in front of the memds fleet. Every look-up here is one look-up there, hit or
 * miss, so a router that starts, or is flushed, asks no more than one that runs.
 */
export class Routes {
  readonly #cache: ConstantWorkCache<string, Routed>;
  readonly #remembered = new Map<string, Remembered>();

  constructor(memds: MemdsClient, { entriesMax = 100_000 } = {}) {
    this.#cache = new ConstantWorkCache<string, Routed>({
      entriesMax,
      versionOf: (routed) => routed.version,
      source: { fetchMany: (keys, { signal }) => this.#fetch(memds, keys, signal) },
    });
  }

  /** Every key is asked for as often as it stands there; of equal ones the first answer is read, they are all of one version. */
  async #fetch(memds: MemdsClient, keys: readonly string[], signal: AbortSignal): Promise<Map<string, Routed>> {
    const asked = keys.map((key) => this.#remember(key));
    const answers = await memds.lookup(
      asked.flatMap(({ queries }) => queries),
      { signal },
    );
    const found = new Map<string, Routed>();
    let at = 0;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as string;
      const remembered = asked[i] as Remembered;
      const first = at;
      at += remembered.queries.length;
      if (!found.has(key)) found.set(key, routedOf(key, remembered, answers.slice(first, at)));
    }
    return found;
  }

  #remember(key: string): Remembered {
    let remembered = this.#remembered.get(key);
    if (remembered === undefined) {
      if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
      remembered = { queries: queriesOf(key), values: [], routed: undefined };
      this.#remembered.set(key, remembered);
    }
    return remembered;
  }

  /** Throws ResourceNotFoundException. */
  async table(name: string): Promise<TableEntry> {
    const routed = await this.#cache.get(`t/${name}`);
    if (routed?.table === undefined) throw new ApiError("ResourceNotFoundException", "Requested resource not found");
    return routed.table;
  }

  /** A stream as the fleet last had it, which may be a while ago. */
  async stream(tableName: string, label: string): Promise<StreamRecord | undefined> {
    return (await this.#cache.get(streamKey(tableName, label).toString()))?.stream;
  }

  /** The partition of a table that holds a hash; without a promise where it is known. Undefined while the fleet does not know of it. */
  partition(tableId: string, hash: number): PartitionRecord | undefined | Promise<PartitionRecord | undefined> {
    const routed = this.#cache.get(`r/${tableId}/${Math.floor(hash / BUCKET_HASHES)}`);
    return routed instanceof Promise ? routed.then((found) => partitionOf(found, hash)) : partitionOf(routed, hash);
  }

  /** What the metadata's leader just said is newer than what the fleet has heard. */
  learn(table: TableEntry, version: number): void {
    this.#cache.learn(`t/${table.name}`, { version, table });
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

function partitionOf(routed: Routed | undefined, hash: number): PartitionRecord | undefined {
  return routed?.partitions?.find((record) => record.hashFrom <= hash && hash < record.hashTo);
}

function bucketOf(key: string): { tableId: string; first: number; last: number } {
  const [, tableId = "", bucket = "0"] = key.split("/");
  const first = Number(bucket) * BUCKET_HASHES;
  return { tableId, first, last: first + BUCKET_HASHES - 1 };
}

type Query = Parameters<MemdsClient["lookup"]>[0][number];
type Answer = Awaited<ReturnType<MemdsClient["lookup"]>>[number];

/** A bucket's partitions: the one that reaches into it from below, and those that start in it. */
function queriesOf(key: string): Query[] {
  if (!key.startsWith("r/")) return [{ kind: "exact", key: Buffer.from(key) }];
  const { tableId, first, last } = bucketOf(key);
  return [
    { kind: "floor", key: routeKey(tableId, first) },
    {
      kind: "range",
      from: routeKeyAfter(tableId, first),
      to: routeKeyAfter(tableId, last),
      limitMax: PARTITIONS_PER_BUCKET_MAX,
    },
  ];
}

function routedOf(key: string, remembered: Remembered, answers: readonly Answer[]): Routed {
  const version = Math.min(...answers.map((answer) => answer.version));
  const values = answers.flatMap(({ entries }) => entries.map(({ value }) => value));
  const { routed: last } = remembered;
  const routed =
    last !== undefined && sameBytes(values, remembered.values) ? { ...last, version } : parsed(key, version, values);
  remembered.values = values;
  remembered.routed = routed;
  return routed;
}

function sameBytes(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((bytes, i) => Buffer.compare(bytes, b[i] as Uint8Array) === 0);
}

function parsed(key: string, version: number, bytes: readonly Uint8Array[]): Routed {
  const values = bytes.map((value) => JSON.parse(Buffer.from(value).toString()) as unknown);
  if (key.startsWith("t/")) return values.length === 0 ? { version } : { version, table: values[0] as TableEntry };
  if (key.startsWith("s/")) return values.length === 0 ? { version } : { version, stream: values[0] as StreamRecord };
  const { tableId, first } = bucketOf(key);
  // The floor of a table's first bucket may belong to another table, or not be a route at all.
  const partitions = (values as PartitionRecord[]).filter(
    (record) => record.tableId === tableId && record.hashTo > first,
  );
  return { version, partitions };
}
