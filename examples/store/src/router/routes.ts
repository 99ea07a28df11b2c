import { ConstantWorkCache } from "@evenkeel/constant-work-cache";
import type { MemdsClient } from "@evenkeel/memds";
import { ApiError } from "../api/errors.js";
import { type PartitionRecord, routeKey, routeKeyAfter, type TableEntry, tableKey } from "../metadata/records.js";

/** Keys of the cache: `t/<name>` a table, `r/<table id>/<bucket>` the partitions that touch one 256th of the hash ring. */
interface Routed {
  /** The metadata's slot at which this was true. */
  readonly version: number;
  readonly table?: TableEntry;
  readonly partitions?: readonly PartitionRecord[];
}

const BUCKETS = 256;
const BUCKET_HASHES = 0x1_0000_0000 / BUCKETS;
const PARTITIONS_PER_BUCKET_MAX = 1_000;

/**
 * The only way to a table or partition: a constant-work cache in front of the memds fleet. Every look-up here is one look-up there, hit or
 * miss, so a router that starts, or is flushed, asks no more than one that runs.
 */
export class Routes {
  readonly #cache: ConstantWorkCache<string, Routed>;

  constructor(memds: MemdsClient, { entriesMax = 100_000 } = {}) {
    this.#cache = new ConstantWorkCache<string, Routed>({
      entriesMax,
      versionOf: (routed) => routed.version,
      source: {
        fetchMany: async (keys, { signal }) => {
          const queries = keys.map(queriesOf);
          const answers = (await memds.lookup(queries.flat(), { signal }))[Symbol.iterator]();
          return new Map(
            keys.map((key, i) => [key, routedOf(key, queries[i]?.map(() => answers.next().value as Answer) ?? [])]),
          );
        },
      },
    });
  }

  /** Throws ResourceNotFoundException. */
  async table(name: string): Promise<TableEntry> {
    const routed = await this.#cache.get(`t/${name}`);
    if (routed?.table === undefined) throw new ApiError("ResourceNotFoundException", "Requested resource not found");
    return routed.table;
  }

  /** The partition of a table that holds a hash. Undefined while the fleet does not know of it. */
  async partition(tableId: string, hash: number): Promise<PartitionRecord | undefined> {
    const key = `r/${tableId}/${Math.floor(hash / BUCKET_HASHES)}`;
    const routed = await this.#cache.get(key);
    return routed?.partitions?.find((record) => record.hashFrom <= hash && hash < record.hashTo);
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

function bucketOf(key: string): { tableId: string; first: number; last: number } {
  const [, tableId = "", bucket = "0"] = key.split("/");
  const first = Number(bucket) * BUCKET_HASHES;
  return { tableId, first, last: first + BUCKET_HASHES - 1 };
}

type Query = Parameters<MemdsClient["lookup"]>[0][number];
type Answer = Awaited<ReturnType<MemdsClient["lookup"]>>[number];

/** A bucket's partitions: the one that reaches into it from below, and those that start in it. */
function queriesOf(key: string): Query[] {
  if (key.startsWith("t/")) return [{ kind: "exact", key: tableKey(key.slice(2)) }];
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

function routedOf(key: string, answers: readonly Answer[]): Routed {
  const version = Math.min(...answers.map((answer) => answer.version));
  const values = answers.flatMap(({ entries }) =>
    entries.map(({ value }) => JSON.parse(Buffer.from(value).toString()) as unknown),
  );
  if (key.startsWith("t/")) return values.length === 0 ? { version } : { version, table: values[0] as TableEntry };
  const { tableId, first } = bucketOf(key);
  // The floor of a table's first bucket may belong to another table, or not be a route at all.
  const partitions = (values as PartitionRecord[]).filter(
    (record) => record.tableId === tableId && record.hashTo > first,
  );
  return { version, partitions };
}
