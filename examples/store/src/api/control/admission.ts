/** What may be asked of a table while something of it is on its way: not by the table's state alone, but by what is asked for. */
import { ApiError } from "../errors.js";
import type { IndexUpdate } from "../index-updates.js";
import { messages } from "../messages.js";
import type { GlobalIndex, TableRecord } from "../model.js";
import { controlMessages } from "./messages.js";
import type { TableUpdate } from "./settings.js";

type Asked = Pick<
  TableRecord,
  | "name"
  | "status"
  | "billingMode"
  | "globalIndexes"
  | "latestStream"
  | "readUnitsPerSecond"
  | "writeUnitsPerSecond"
  | "restore"
>;

const inUse = (message: string) => new ApiError("ResourceInUseException", message);

/** @throws ApiError where the table cannot be changed so now */
export function assertAdmitted(table: Asked, change: TableUpdate): void {
  assertThere(table, change);
  if (table.status === "UPDATING") assertBesideStream(table, change);
  assertBesideIndexes(table, change);
}

/** UpdateContinuousBackups has words of its own for a table that is not there yet, or not any more. @throws ApiError */
function assertThere(table: Asked, { pointInTimeRecovery }: TableUpdate): void {
  const { name, status } = restored(table);
  if (status === "ACTIVE" || status === "UPDATING") return;
  if (pointInTimeRecovery !== undefined) {
    if (status === "CREATING")
      throw new ApiError("ContinuousBackupsUnavailableException", controlMessages.backupsOnTheirWay(name));
    // Told as a table that is not there, in words of its own.
    throw new ApiError("ResourceNotFoundException", messages.tableNotFoundNamed(name));
  }
  throw inUse(controlMessages.tableBeing(being(status), name));
}

/** As texts say what is happening to a table that cannot be used. */
export function being(status: TableRecord["status"]): "created" | "deleted" | "used" {
  if (status === "CREATING") return "created";
  return status === "DELETING" ? "deleted" : "used";
}

/** One that is being restored is there for who describes it, and for nobody else. @throws ApiError */
export function restored<T extends Pick<TableRecord, "name" | "restore">>(table: T): T {
  if (table.restore === undefined) return table;
  throw new ApiError("ResourceNotFoundException", messages.tableNotFoundNamed(table.name));
}

/** Whether the table is to have other units than it has, or to be paid for otherwise. */
const changesUnits = ({ billingMode }: Asked, change: TableUpdate): boolean =>
  change.throughput !== undefined || (change.billingMode !== undefined && change.billingMode !== billingMode);

const isCreateOrDelete = ({ kind }: IndexUpdate) => kind === "create" || kind === "delete";

/** A table is UPDATING while its stream begins or ends. */
function assertBesideStream(table: Asked, change: TableUpdate): void {
  const { name, latestStream } = table;
  const told = `Table: ${name} Stream: ${latestStream?.label} Operation: ${latestStream?.enabled ? "ENABLE" : "DISABLE"}`;
  const { indexUpdates = [], streamViewType, tableClass, OnDemandThroughput } = change;
  if (streamViewType !== undefined) throw inUse(controlMessages.streamTwice(told));
  if (changesUnits(table, change)) throw inUse(controlMessages.besideStream("change table IOPS", told));
  if (tableClass !== undefined) throw inUse(controlMessages.besideStream("update table class", told));
  if (indexUpdates.some(isCreateOrDelete)) throw inUse(controlMessages.besideStream("create or delete an index", told));
  if (OnDemandThroughput !== undefined) throw inUse(controlMessages.maximaBesideStream);
}

/** A new index of a table that is there is given its place: its items come later, and are in nobody's way. */
export const isBeingPlaced = ({ status, backfilling }: Pick<GlobalIndex, "status" | "backfilling">): boolean =>
  status === "CREATING" && backfilling === false;

function assertBesideIndexes(table: Asked, change: TableUpdate): void {
  const { name, globalIndexes = [] } = table;
  const placed = globalIndexes.filter(isBeingPlaced).map((index) => index.name);
  const dying = globalIndexes.filter(({ status }) => status === "DELETING").map((index) => index.name);
  if (placed.length + dying.length === 0) return;
  for (const update of change.indexUpdates ?? []) {
    const index = update.kind === "create" ? update.request.IndexName : update.name;
    if (dying.includes(index)) throw inUse(controlMessages.indexBeingDeleted(name, index));
    if (placed.includes(index) && (update.kind === "throughput" || update.kind === "capacity"))
      throw inUse(controlMessages.indexWithoutPlace(name, index));
  }
  for (const [what, indexes] of [
    ["created", placed],
    ["deleted", dying],
  ] as const) {
    if (indexes.length === 0) continue;
    if (changesUnits(table, change)) throw inUse(controlMessages.besideIndex("table IOPS", what, name, indexes));
    if (what === "created" && change.streamViewType !== undefined)
      throw inUse(controlMessages.besideIndex("stream status", what, name, indexes));
    if (change.OnDemandThroughput !== undefined) throw inUse(controlMessages.maximaBesideIndex(what, indexes));
  }
}
