import { randomUUID } from "node:crypto";
import { assertKept, type Backup, type BackupListRequest } from "../api/control/backups.js";
import type { TableUpdate } from "../api/control/settings.js";
import { ApiError } from "../api/errors.js";
import { messages } from "../api/messages.js";
import type { Sizes, TableDefinition, TableRecord, TableSizes } from "../api/model.js";
import { DAY_MS } from "../api/requests/control.js";
import { type RestoreOverrides, restoredDefinition } from "../api/restores.js";
import type { WantedTimeToLive } from "../api/time-to-live.js";
import { METADATA_PARTITION } from "../metadata/records.js";
import type { Method, Params, Result } from "../rpc/protocol.js";
import type { LeaderCalls } from "./leader-calls.js";
import type { Reach, Ring } from "./reach.js";
import type { Routes } from "./routes.js";
import { tableNamed } from "./table-named.js";

/** Nobody waits longer for how large a table is. */
const SIZES_DEADLINE_MS = 1_500;
/** Nor for a table that is being created or deleted, whose answer says so. */
const CHANGE_HELD_MS = 3_000;
const CHANGE_PAUSE_MS = 10;

export interface TablePlaneParts {
  readonly routes: Routes;
  readonly leaders: LeaderCalls;
  readonly reach: Reach;
  /** All nodes: the members of the metadata's group, asked for each time, since nodes are replaced. */
  readonly nodes: { readonly members: readonly string[] };
}

/** Tables and backups: what the leader of the metadata decides. What it says of a table is newer than what routes know, and taught to them. */
export class TablePlane {
  readonly #routes: Routes;
  readonly #leaders: LeaderCalls;
  readonly #reach: Reach;
  readonly #nodes: TablePlaneParts["nodes"];

  constructor({ routes, leaders, reach, nodes }: TablePlaneParts) {
    this.#routes = routes;
    this.#leaders = leaders;
    this.#reach = reach;
    this.#nodes = nodes;
  }

  async createTable(definition: TableDefinition): Promise<TableRecord> {
    const created = await this.#created({ definition });
    await this.#changedFrom(created);
    return created;
  }

  async restoreTable({
    source,
    target,
    untilMs,
    latest,
    overrides,
  }: {
    source: string;
    target: string;
    untilMs: number;
    latest: boolean;
    overrides: RestoreOverrides;
  }): Promise<TableRecord> {
    const table = await tableNamed(source, this.describeTable(source));
    if (table.settings?.pointInTimeRecovery === false) throw new ApiError("PointInTimeRecoveryUnavailableException");
    const { recoveryDays } = table.settings ?? {};
    const earliestMs = recoveryDays === undefined ? 0 : Date.now() - recoveryDays * DAY_MS;
    if (untilMs < Math.max(table.createdAtMs, earliestMs)) throw new ApiError("InvalidRestoreTimeException");
    const definition = restoredDefinition(table, target, overrides);
    return await this.#restored(target, { definition, restore: { source, sourceId: table.tableId, untilMs, latest } });
  }

  async createBackup(request: { tableName: string; name: string; untilMs: number }): Promise<Backup> {
    const { tableName } = request;
    const table = await tableNamed(tableName, this.describeTable(tableName));
    assertKept(table);
    const { items, bytes } = await this.sizes(table);
    return await this.#ofMetadata("createBackup", { ...request, sizes: { items, bytes } });
  }

  async describeBackup(id: string): Promise<Backup> {
    return await this.#ofMetadata("describeBackup", { id });
  }

  async deleteBackup(id: string): Promise<Backup> {
    return await this.#ofMetadata("deleteBackup", { id });
  }

  async listBackups(request: BackupListRequest): Promise<{ backups: Backup[]; more: boolean }> {
    return await this.#ofMetadata("listBackups", request);
  }

  async restoreBackup(request: { backup: Backup; target: string; overrides: RestoreOverrides }): Promise<TableRecord> {
    const { backup, target, overrides } = request;
    const definition = restoredDefinition(backup.table, target, overrides);
    return await this.#restored(target, { definition, restore: { backup: backup.id } });
  }

  /** The table's id is the request's own: asked again after a lost answer, the metadata's leader knows what it has made. */
  async #created(request: Omit<Params<"createTable">, "tableId">): Promise<TableRecord> {
    return await this.#metadata("createTable", { ...request, tableId: randomUUID() });
  }

  async #restored(target: string, request: Omit<Params<"createTable">, "tableId">): Promise<TableRecord> {
    try {
      return await this.#created(request);
    } catch (error) {
      if (!(error instanceof ApiError) || error.type !== "ResourceInUseException") throw error;
      const status = await this.describeTable(target).then(
        (there) => there.status,
        () => undefined,
      );
      if (status === "CREATING") throw new ApiError("TableInUseException");
      throw new ApiError("TableAlreadyExistsException", messages.tableExistsNamed(target));
    }
  }

  async deleteTable(name: string): Promise<TableRecord> {
    const deleted = await this.#metadata("deleteTable", { name });
    await this.#changedFrom(deleted);
    return deleted;
  }

  async updateTable(name: string, change: TableUpdate): Promise<TableRecord> {
    return await this.#metadata("updateTable", { name, change });
  }

  async setTimeToLive(name: string, wanted: WantedTimeToLive): Promise<TableRecord> {
    return await this.#metadata("setTimeToLive", { name, wanted });
  }

  async describeTable(name: string): Promise<TableRecord> {
    return await this.#metadata("describeTable", { name });
  }

  async sizes(table: TableRecord): Promise<TableSizes> {
    const globals = table.globalIndexes ?? [];
    const rings: Ring[] = [table, ...globals.map(({ indexId }) => ({ name: table.name, tableId: indexId }))];
    const [ofTable = [], ...ofGlobals] = await Promise.all(rings.map((ring) => this.#partitionSizes(ring)));
    const indexes: Record<string, Sizes> = {};
    for (const { name, number } of table.localIndexes ?? [])
      indexes[name] = sumOf(ofTable.flatMap(({ locals }) => locals.find((local) => local.number === number) ?? []));
    for (const [i, { name }] of globals.entries()) indexes[name] = sumOf(ofGlobals[i] ?? []);
    return { ...sumOf(ofTable), indexes };
  }

  /** Those that answer. */
  async #partitionSizes(ring: Ring): Promise<Result<"sizes">[]> {
    const records = await this.#reach.knownPartitions(ring);
    const asked = records.map((record) =>
      this.#reach.atLatest(record, "sizes", { partition: record.partition }, SIZES_DEADLINE_MS),
    );
    const answers = await Promise.allSettled(asked);
    return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  }

  async listTables({
    after,
    limitMax,
  }: {
    after?: string;
    limitMax: number;
  }): Promise<{ names: string[]; more: boolean }> {
    return await this.#ofMetadata("listTables", { after, limitMax });
  }

  /**
   * Holds the answer until the table is no longer what the answer says, `CREATING` or `DELETING`: that takes a fraction of a second here. Who asks then finds it done, in place of
   * waiting for the twenty seconds that some SDKs let pass between two looks; and who was made for an emulator, and never looks, is served.
   */
  async #changedFrom({ name, tableId, status }: TableRecord): Promise<void> {
    const giveUpAt = performance.now() + CHANGE_HELD_MS;
    do {
      await new Promise((resolve) => setTimeout(resolve, CHANGE_PAUSE_MS));
      const now = await this.describeTable(name).catch(() => undefined);
      if (now?.tableId !== tableId || now.status !== status) return;
    } while (performance.now() < giveUpAt);
  }

  async #ofMetadata<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    return await this.#reach.asked(() => this.#leaders.call(METADATA_PARTITION, this.#nodes.members, method, params));
  }

  async #metadata<M extends "createTable" | "deleteTable" | "describeTable" | "updateTable" | "setTimeToLive">(
    method: M,
    params: Params<M>,
  ): Promise<TableRecord> {
    const { table, version } = await this.#ofMetadata(method, params);
    this.#routes.learn(table, version);
    return table;
  }
}

const sumOf = (some: readonly Sizes[]): Sizes => ({
  items: some.reduce((sum, { items }) => sum + items, 0),
  bytes: some.reduce((sum, { bytes }) => sum + bytes, 0),
});
