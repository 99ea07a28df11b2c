import {
  assertKept,
  BACKUPS_MAX,
  type Backup,
  type BackupListRequest,
  backupId,
  listedBackups,
} from "../api/control/backups.js";
import { controlMessages } from "../api/control/messages.js";
import { ApiError } from "../api/errors.js";
import { messages } from "../api/messages.js";
import type { Sizes } from "../api/model.js";
import type { Write } from "../storage-node/command.js";
import { type BackupRecord, backupKey, type PartitionRecord, putRecord } from "./records.js";
import type { MetadataService } from "./service.js";
import type { MetadataView } from "./view.js";

export interface BackupServiceOptions {
  readonly metadata: Pick<MetadataService, "change" | "read">;
  readonly view: Pick<MetadataView, "tables" | "partitionsAt" | "backups">;
  /** Has what these partitions have written by now put into the archive. */
  readonly archive: (partitions: readonly PartitionRecord[]) => Promise<void>;
  /** Eight hexadecimal digits, others each time. */
  readonly newDistinction: () => string;
}

/**
 * What backups there are, decided at the leader of the metadata. A backup is a name for a moment of the archive: making one writes nothing but that, and while it is
 * there nothing that it needs is let go of. The log up to that moment is in the archive before its name is.
 */
export class BackupService {
  readonly #options: BackupServiceOptions;

  constructor(options: BackupServiceOptions) {
    this.#options = options;
  }

  async create(tableName: string, name: string, untilMs: number, sizes?: Sizes): Promise<Backup> {
    const { metadata, view, newDistinction, archive } = this.#options;
    let record: BackupRecord | undefined;
    let archived: readonly PartitionRecord[] = [];
    let tableId: string | undefined;
    const decide = (): Write[] => {
      const table = view.tables.get(tableName);
      tableId ??= table?.tableId;
      // While it was archived another one may have taken its name.
      if (table === undefined || table.tableId !== tableId)
        throw new ApiError("TableNotFoundException", messages.tableNotFoundPlain(tableName));
      assertKept(table);
      if (view.backups.size >= BACKUPS_MAX) {
        throw new ApiError("LimitExceededException", controlMessages.tooManyBackups(BACKUPS_MAX));
      }
      const partitions = view.partitionsAt(table.tableId, untilMs);
      // One of them may have been split since.
      if (!partitions.every(({ partition }) => archived.some((one) => one.partition === partition))) {
        archived = partitions;
        return [];
      }
      const id = backupId(untilMs, newDistinction());
      record = { id, name, table, untilMs, partitions, ...(sizes && { sizes }) };
      return [putRecord(backupKey(id), record)];
    };
    for (;;) {
      await metadata.change(decide);
      if (record !== undefined) return record;
      await archive(archived);
    }
  }

  async delete(id: string): Promise<Backup> {
    const { metadata } = this.#options;
    let record!: BackupRecord;
    await metadata.change(() => {
      record = this.#backup(id);
      if (isBeingRestored(this.#options.view, record)) throw new ApiError("BackupInUseException");
      return [{ op: "delete", key: backupKey(id) }];
    });
    return record;
  }

  async describe(id: string): Promise<Backup> {
    return await this.#options.metadata.read(() => this.#backup(id));
  }

  async list(request: BackupListRequest): Promise<{ backups: Backup[]; more: boolean }> {
    const { metadata, view } = this.#options;
    return await metadata.read(() => listedBackups(view.backups.values(), request));
  }

  #backup(id: string): BackupRecord {
    const record = this.#options.view.backups.get(id);
    if (record === undefined) throw new ApiError("BackupNotFoundException", controlMessages.backupNotFound(id));
    return record;
  }
}

/** Without the backup nothing keeps what the restore still has to read. */
function isBeingRestored({ tables }: Pick<MetadataView, "tables">, { partitions, untilMs }: BackupRecord): boolean {
  const [first] = partitions;
  for (const { restore } of tables.values())
    if (restore?.untilMs === untilMs && restore.partitions[0]?.partition === first?.partition) return true;
  return false;
}
