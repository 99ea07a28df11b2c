import type { IndexEntry, TableEntry } from "../metadata/records.js";
import type { MetadataService } from "../metadata/service.js";
import type { MetadataView } from "../metadata/view.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import type { IndexToKeep } from "../storage-node/maintained-index.js";

export interface IndexLifecycleOptions {
  readonly metadata: Pick<MetadataService, "changeIndex">;
  readonly view: Pick<MetadataView, "partitionsOf">;
  readonly calls: Pick<LeaderCalls, "call">;
}

const isOnItsWay = ({ status }: IndexEntry): boolean => status !== "ACTIVE";

/** Of a table that can be used. */
export const hasIndexOnItsWay = ({ status, globalIndexes = [] }: TableEntry): boolean =>
  status === "ACTIVE" && globalIndexes.some(isOnItsWay);

/**
 * Brings global indexes from CREATING to ACTIVE and from DELETING to nothing: has every partition of the table keep the index, which then fills it with what is
 * there, or keep it no more. An index that is made with its table goes the same way. Every step may be repeated, so another controller can go on.
 */
export class IndexLifecycle {
  readonly #options: IndexLifecycleOptions;

  constructor(options: IndexLifecycleOptions) {
    this.#options = options;
  }

  /** One look at the table's indexes, whose partitions are led. True when none is on its way any more. */
  async advance(table: TableEntry): Promise<boolean> {
    const onTheirWay = (table.globalIndexes ?? []).filter(isOnItsWay);
    const done = await Promise.all(onTheirWay.map((index) => this.#advance(table, index)));
    return done.every((one) => one);
  }

  async #advance(table: TableEntry, index: IndexEntry): Promise<boolean> {
    const { metadata, view, calls } = this.#options;
    const { number, status } = index;
    const partitions = view.partitionsOf(table.tableId);
    if (status === "DELETING") {
      for (const { partition, members } of partitions)
        await calls.call(partition, members, "dropIndex", { partition, number });
      await metadata.changeIndex(table, number, () => undefined);
      return true;
    }
    if (status === "CREATING") {
      const keep: IndexToKeep = {
        number,
        name: index.name,
        indexId: index.indexId,
        keySchema: index.keySchema,
        projection: index.projection,
        tableKey: table.keySchema,
      };
      const states = await Promise.all(
        partitions.map(({ partition, members }) =>
          calls.call(partition, members, "keepIndex", { partition, index: keep }),
        ),
      );
      if (!states.every(({ backfilled }) => backfilled)) {
        if (index.backfilling === false)
          await metadata.changeIndex(table, number, (now) => ({ ...now, backfilling: true }));
        return false;
      }
    }
    await metadata.changeIndex(table, number, ({ backfilling: _over, ...now }) =>
      now.status === status ? { ...now, status: "ACTIVE" } : now,
    );
    return true;
  }
}
