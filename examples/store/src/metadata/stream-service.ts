import { ApiError, validationError } from "../api/errors.js";
import type { KeySchema } from "../api/model.js";
import { streamMessages } from "../api/streams/messages.js";
import type { LatestStream, StreamRecord, StreamViewType } from "../api/streams/model.js";
import { streamArn } from "../api/streams/names.js";
import type { Write } from "../storage-node/command.js";
import { putRecord, streamKey, type TableEntry } from "./records.js";
import type { MetadataService } from "./service.js";
import { labelTimeMs, streamLabel } from "./stream-label.js";
import { enabledStream, endedStream, isForgotten, markedStream, type PartitionSlot } from "./stream-lifetime.js";
import type { MetadataView } from "./view.js";

export interface StreamServiceOptions {
  readonly metadata: Pick<MetadataService, "change" | "read">;
  readonly nowMs: () => number;
}

export interface StreamName {
  readonly tableName: string;
  readonly label: string;
}

export interface StreamListRequest {
  readonly tableName?: string | undefined;
  readonly after?: StreamName | undefined;
  readonly limitMax: number;
}

/** A stream that begins, and what its table says of it. */
export function newStream(
  view: Pick<MetadataView, "streams">,
  { name, tableId, keySchema }: { name: string; tableId: string; keySchema: KeySchema },
  viewType: StreamViewType,
  nowMs: number,
): { latestStream: LatestStream; write: Write } {
  const labels = [...view.streams.values()].filter(({ tableName }) => tableName === name).map(({ label }) => label);
  const label = streamLabel(nowMs, labels.sort().at(-1));
  const createdAtMs = labelTimeMs(label);
  const record: StreamRecord = {
    tableName: name,
    tableId,
    keySchema,
    label,
    viewType,
    status: "ENABLING",
    createdAtMs,
    shards: [],
  };
  return { latestStream: { label, viewType, enabled: true }, write: putStream(record) };
}

const keyOf = ({ tableName, label }: StreamName): string => streamKey(tableName, label).toString();
export const putStream = (record: StreamRecord): Write => putRecord(streamKey(record.tableName, record.label), record);
const dropStream = ({ tableName, label }: StreamName): Write => ({ op: "delete", key: streamKey(tableName, label) });

/** Whether there is a slot of every partition that the table has now. */
function tellOfAll(view: MetadataView, tableId: string, slots: readonly PartitionSlot[]): boolean {
  const told = new Set(slots.map(({ partition }) => partition));
  return view.partitionsOf(tableId).every(({ partition }) => told.has(partition));
}

/** Its table's streams that are on end. */
export const endingStreams = (view: Pick<MetadataView, "streamsOf">, tableId: string): Write[] =>
  view
    .streamsOf(tableId)
    .filter(({ status }) => status === "ENABLING" || status === "ENABLED")
    .map((record) => putStream({ ...record, status: "DISABLING" }));

/**
 * A table whose stream begins with this view type, or (null) ends, and what is to be written besides. The table is UPDATING until its partitions know. @throws ApiError
 * @param viewType absent: everything stays as it is
 */
export function withStream(
  view: Pick<MetadataView, "streams" | "streamsOf">,
  table: TableEntry,
  viewType: StreamViewType | null | undefined,
  nowMs: number,
): { table: TableEntry; writes: readonly Write[] } {
  if (viewType === undefined) return { table, writes: [] };
  const { name, latestStream } = table;
  if (viewType === null) {
    if (latestStream?.enabled !== true) throw validationError(streamMessages.noneToDisable(name));
    const ended: TableEntry = { ...table, status: "UPDATING", latestStream: { ...latestStream, enabled: false } };
    return { table: ended, writes: endingStreams(view, table.tableId) };
  }
  if (latestStream?.enabled === true) throw validationError(streamMessages.alreadyEnabled(name));
  const stream = newStream(view, table, viewType, nowMs);
  return { table: { ...table, status: "UPDATING", latestStream: stream.latestStream }, writes: [stream.write] };
}

/** Changes to streams, decided at the leader of the metadata's group as those to tables are. */
export class StreamService {
  readonly #options: StreamServiceOptions;

  constructor(options: StreamServiceOptions) {
    this.#options = options;
  }

  /** Every partition of a table knows by now which of its streams is on, from or through its slot. */
  async settled({ tableId }: TableEntry, slots: readonly PartitionSlot[]): Promise<void> {
    const { metadata, nowMs } = this.#options;
    await metadata.change((view) => {
      // One of them was split meanwhile: its parts are asked at the next turn.
      if (!tellOfAll(view, tableId, slots)) return [];
      return view.streamsOf(tableId).flatMap((record) => {
        if (record.status === "ENABLING") return [putStream(enabledStream(record, slots, nowMs()))];
        if (record.status === "DISABLING") return [putStream(endedStream(record, slots, nowMs(), false))];
        return [];
      });
    });
  }

  /** The table's partitions are about to go, and all that was recorded through these slots is in the archive; absent: it is not, and its streams go too. */
  async tableGoes({ tableId }: TableEntry, slots: readonly PartitionSlot[] | undefined): Promise<void> {
    const { metadata, nowMs } = this.#options;
    await metadata.change((view) => {
      // One of them was split meanwhile: its parts are asked at the next turn.
      if (slots !== undefined && !tellOfAll(view, tableId, slots)) return [];
      return view.streamsOf(tableId).map((record) => {
        // One that never began has nothing in it.
        if (slots === undefined || record.shards.length === 0) return dropStream(record);
        return putStream(endedStream(record, slots, record.endedAtMs ?? nowMs(), true));
      });
    });
  }

  /** How far the logs are by now: what is older than a day is told from what is not by that. */
  async marked(stream: StreamRecord, ends: ReadonlyMap<number, number>): Promise<void> {
    const { metadata, nowMs } = this.#options;
    await metadata.change((view) => {
      const record = view.streams.get(keyOf(stream));
      return record === undefined ? [] : [putStream(markedStream(record, ends, nowMs()))];
    });
  }

  /** Nobody can read it any more. */
  async forget(stream: StreamRecord): Promise<void> {
    const { metadata, nowMs } = this.#options;
    await metadata.change((view) => {
      const record = view.streams.get(keyOf(stream));
      return record !== undefined && isForgotten(record, nowMs()) ? [dropStream(record)] : [];
    });
  }

  /** @throws ResourceNotFoundException */
  async describe(tableName: string, label: string): Promise<StreamRecord> {
    const { metadata } = this.#options;
    const record = await metadata.read((view) => view.streams.get(keyOf({ tableName, label })));
    if (record !== undefined) return record;
    throw new ApiError("ResourceNotFoundException", streamMessages.notFound(streamArn(tableName, label)));
  }

  /** By table and label, those of one table where one is named. */
  async list({ tableName, after, limitMax }: StreamListRequest): Promise<{ streams: StreamName[]; more: boolean }> {
    const { metadata } = this.#options;
    return await metadata.read((view) => {
      const keys = [...view.streams.keys()].filter((key) => after === undefined || key > keyOf(after)).sort();
      const names = keys.map((key) => view.streams.get(key) as StreamRecord);
      const found = names.filter((stream) => tableName === undefined || stream.tableName === tableName);
      const streams = found.slice(0, limitMax).map(({ tableName, label }) => ({ tableName, label }));
      return { streams, more: found.length > limitMax };
    });
  }
}
