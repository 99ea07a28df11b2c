import { channel } from "node:diagnostics_channel";
import type { ObjectStore } from "@evenkeel/wal/archive";
import { groupId, type Remains, remainsKey } from "../metadata/records.js";
import type { MetadataService } from "../metadata/service.js";
import type { MetadataView } from "../metadata/view.js";

/** A round deletes no more: the next one goes on, and others have their turn at the archive. */
const OBJECTS_MAX = 100;

const removed = channel("evenkeel:store:archive-removed");

export interface ArchiveRemovalOptions {
  readonly metadata: Pick<MetadataService, "leading" | "change">;
  readonly view: Pick<MetadataView, "remains" | "isRead">;
  readonly archive: Pick<ObjectStore, "list" | "delete">;
  /** How far back a table can be restored. */
  readonly restorableMs: number;
  readonly nowMs: () => number;
}

/**
 * Lets go of the archives of partitions that are no more (they were split, or their table or index was deleted), at the leader of the metadata. What was
 * promised of them is kept: for as long as a moment can be restored in which they were there, a backup of such a moment is kept, a restore out of
 * them goes on, or a stream of theirs can be read. Numbers of partitions are never used again, so deleting may be begun anew by anybody.
 */
export class ArchiveRemoval {
  readonly #options: ArchiveRemovalOptions;

  constructor(options: ArchiveRemovalOptions) {
    this.#options = options;
  }

  /** A bounded piece of work. True when there is more to do soon. */
  async round(): Promise<boolean> {
    const { metadata, view } = this.#options;
    if (!metadata.leading) return false;
    const next = [...view.remains.values()].find((one) => this.#isDue(one));
    if (next === undefined) return false;
    const { partition } = next;
    if (await this.#isEmptied(partition)) {
      await metadata.change(({ remains }) =>
        remains.has(partition) ? [{ op: "delete", key: remainsKey(partition) }] : [],
      );
      if (removed.hasSubscribers) removed.publish({ partition });
    }
    return true;
  }

  #isDue({ partition, goneAtMs }: Remains): boolean {
    const { view, nowMs, restorableMs } = this.#options;
    return goneAtMs + restorableMs < nowMs() && !view.isRead(partition);
  }

  /** A listing may be old: it is gone only when there is nothing in one. */
  async #isEmptied(partition: number): Promise<boolean> {
    const { archive } = this.#options;
    let deleted = 0;
    for await (const key of archive.list(`${groupId(partition)}/`)) {
      if (deleted++ === OBJECTS_MAX) return false;
      await archive.delete(key);
    }
    return deleted === 0;
  }
}
