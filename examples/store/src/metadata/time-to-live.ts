import { being, restored } from "../api/control/admission.js";
import { controlMessages } from "../api/control/messages.js";
import { ApiError } from "../api/errors.js";
import { messages } from "../api/messages.js";
import { changedTimeToLive, type WantedTimeToLive } from "../api/time-to-live.js";
import { putRecord, type TableEntry, tableKey } from "./records.js";
import type { MetadataService, VersionedTable } from "./service.js";

/** Says from when on, or that no longer, a table's items go when their time is up. */
export async function setTimeToLive(
  metadata: Pick<MetadataService, "change">,
  name: string,
  wanted: WantedTimeToLive,
  { nowMs, cooldownMs }: { readonly nowMs: number; readonly cooldownMs: number },
): Promise<VersionedTable> {
  let changed!: TableEntry;
  const version = await metadata.change((view) => {
    const table = view.tables.get(name);
    if (table === undefined) throw new ApiError("ResourceNotFoundException", messages.tableNotFoundNamed(name));
    if (table.status !== "ACTIVE" && table.status !== "UPDATING") throw timeToLiveNotNow(table);
    changed = { ...table, timeToLive: changedTimeToLive(table.timeToLive, wanted, nowMs, cooldownMs) };
    return [putRecord(tableKey(name), changed)];
  });
  return { table: changed, version };
}

function timeToLiveNotNow(table: TableEntry): ApiError {
  const { name, status } = restored(table);
  return new ApiError("ResourceInUseException", controlMessages.tableBeingSaidLater(being(status), name));
}
