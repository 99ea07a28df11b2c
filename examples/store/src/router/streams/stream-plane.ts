import { ApiError } from "../../api/errors.js";
import { streamMessages } from "../../api/streams/messages.js";
import type { StreamRecord, StreamShard } from "../../api/streams/model.js";
import { streamArn } from "../../api/streams/names.js";
import type { ItemChange } from "../../api/streams/records.js";
import { type StreamPosition, slotEnd } from "../../api/streams/sequence-numbers.js";
import { itemOf } from "../../item-of.js";
import { METADATA_PARTITION, type PartitionRecord } from "../../metadata/records.js";
import type { Caller, Method, Params, Result } from "../../rpc/protocol.js";
import type { Change, ChangePage } from "../../storage-node/changes.js";
import { StoreError } from "../../storage-node/errors.js";
import type { LeaderCalls } from "../leader-calls.js";
import type { Routes } from "../routes.js";
import { told } from "../told-error.js";
import type { ShardPage, StreamName, StreamsBackend } from "./backend.js";

/** About as much as the service hands out at once. */
const PAGE_BYTES_MAX = 1024 * 1024;
/** What leads nowhere is tried again after this. */
const PAUSE_MS = 20;
/** And no longer than this, in which routes, metadata and nodes come to say the same. */
const SOUGHT_MS_MAX = 10_000;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface StreamPlaneOptions {
  readonly leaders: LeaderCalls;
  readonly nodes: {
    readonly routes: Routes;
    readonly callerTo: (nodeId: string) => Caller;
    /** All nodes. */
    readonly members: readonly string[];
  };
}

const codeOf = (error: unknown): unknown => (error instanceof StoreError ? error.code : undefined);

/** The partition has gone on to other things, is not there, or is there no more and not yet in the archive as a whole. */
const ELSEWHERE: ReadonlySet<unknown> = new Set([
  "ERR_STORE_CONFLICT",
  "ERR_STORE_UNKNOWN_PARTITION",
  "ERR_STORE_BEHIND",
]);

/** A shard, and the stream that it is of. */
interface Place {
  readonly stream: StreamRecord;
  readonly shard: StreamShard;
}

/**
 * The storage side of the operations on streams. Shards and routes come from the routing cache, which may be behind; so the leader of a shard's partition is told
 * which stream it is asked about, and where that is not on any more, or the partition is not there, the metadata say what became of the shard. As long as they do not
 * agree the shard is looked for again: an empty page says that nothing was found there, and not that nobody knew where.
 */
export class StreamPlane implements StreamsBackend {
  readonly #leaders: LeaderCalls;
  readonly #nodes: StreamPlaneOptions["nodes"];

  constructor({ leaders, nodes }: StreamPlaneOptions) {
    this.#leaders = leaders;
    this.#nodes = nodes;
  }

  async list(request: Params<"listStreams">): Promise<Result<"listStreams">> {
    return await this.#metadata("listStreams", request);
  }

  async describe({ tableName, label }: StreamName): Promise<StreamRecord> {
    return await this.#metadata("describeStream", { tableName, label });
  }

  async shard(name: StreamName, shardId: string): Promise<{ stream: StreamRecord; shard: StreamShard }> {
    const find = (stream: StreamRecord | undefined) => {
      const shard = stream?.shards.find(({ id }) => id === shardId);
      return stream === undefined || shard === undefined ? undefined : { stream, shard };
    };
    // What has just begun is known to the metadata first.
    const found = find(await this.#nodes.routes.stream(name.tableName, name.label)) ?? find(await this.describe(name));
    if (found !== undefined) return found;
    const arn = streamArn(name.tableName, name.label);
    throw new ApiError("ResourceNotFoundException", streamMessages.shardNotFound(shardId, arn));
  }

  async begin(stream: StreamRecord, shard: StreamShard, slot: number): Promise<StreamPosition> {
    const params = { partition: shard.partition, slot };
    // Whoever cannot say so now says it to who reads there.
    const found = await this.#ofShard(stream, shard, "changesBeginning", params, () =>
      this.#atAny("archivedBeginning", params),
    ).catch(() => ({ slot }));
    return slotEnd(Math.min(found.slot, shard.throughSlot ?? found.slot));
  }

  async end(stream: StreamRecord, shard: StreamShard): Promise<StreamPosition> {
    return await this.#sought({ stream, shard }, async ({ stream, shard }) => {
      if (shard.throughSlot !== undefined) return slotEnd(shard.throughSlot);
      const { partition, members } = await this.#partition(stream, shard);
      const { slot } = await this.#leaders.call(partition, members, "changesEnd", { partition });
      return slotEnd(slot);
    });
  }

  async read(stream: StreamRecord, shard: StreamShard, after: StreamPosition, recordsMax: number): Promise<ShardPage> {
    const limits = { changesMax: recordsMax, bytesMax: PAGE_BYTES_MAX };
    return await this.#sought({ stream, shard }, async ({ stream, shard }) =>
      pageOf(shard, await this.#changes(stream, shard, after, limits)),
    );
  }

  /** Runs `use` with the shard as it is known, and as long as that leads nowhere, again with it as the metadata have it. */
  async #sought<T>(known: Place, use: (place: Place) => Promise<T>): Promise<T> {
    const giveUpAt = performance.now() + SOUGHT_MS_MAX;
    for (let place = known; ; ) {
      try {
        return await use(place);
      } catch (error) {
        if (!ELSEWHERE.has(codeOf(error)) || performance.now() > giveUpAt) refuse(error);
        const { throughSlot } = place.shard;
        place = await this.#asWritten(place);
        if (place.shard.throughSlot === throughSlot) await wait(PAUSE_MS);
      }
    }
  }

  async #changes(
    stream: StreamRecord,
    shard: StreamShard,
    after: StreamPosition,
    limits: { changesMax: number; bytesMax: number },
  ): Promise<ChangePage> {
    const { partition, throughSlot } = shard;
    const params =
      throughSlot === undefined
        ? { partition, after, limits, stream: stream.label }
        : { partition, after, limits: { ...limits, throughSlot } };
    return await this.#ofShard(stream, shard, "changes", params, (throughSlot) =>
      this.#atAny("archivedChanges", { partition, after, throughSlot, limits }),
    );
  }

  /**
   * Asks a shard's partition. That of a closed one may be there still, or may have been split since: then it is asked where its parts are, until it is in the archive as a whole and nobody has it any more.
   * @param archived asks the archive, of a shard that is closed
   */
  async #ofShard<M extends "changes" | "changesBeginning">(
    stream: StreamRecord,
    { partition, throughSlot, hashFrom }: StreamShard,
    method: M,
    params: Params<M>,
    archived: (throughSlot: number) => Promise<Result<M>>,
  ): Promise<Result<M>> {
    const { tableId, tableName, tableGone } = stream;
    if (throughSlot === undefined) {
      const { members } = await this.#partition(stream, { hashFrom, partition });
      return await this.#leaders.call(partition, members, method, params);
    }
    if (tableGone) return await archived(throughSlot);
    const record = await this.#nodes.routes.partition(tableId, hashFrom);
    if (record === undefined)
      throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", `partition ${partition} of ${tableName} is not known`);
    try {
      return await this.#leaders.call(partition, record.members, method, params);
    } catch (error) {
      if (codeOf(error) !== "ERR_STORE_UNKNOWN_PARTITION" || record.partition === partition) throw error;
      return await archived(throughSlot);
    }
  }

  /** Where the shard's partition is, whoever holds it now. */
  async #partition(
    { tableId, tableName }: StreamRecord,
    { hashFrom, partition }: Pick<StreamShard, "hashFrom" | "partition">,
  ): Promise<PartitionRecord> {
    const record = await this.#nodes.routes.partition(tableId, hashFrom);
    if (record?.partition === partition) return record;
    throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", `partition ${partition} of ${tableName} is not known`);
  }

  /** As the metadata have it now; as it was where it has been forgotten there. */
  async #asWritten({ stream: { tableName, label }, shard: known }: Place): Promise<Place> {
    const stream = await this.describe({ tableName, label });
    return { stream, shard: stream.shards.find(({ id }) => id === known.id) ?? known };
  }

  /** Any node that answers. */
  async #atAny<M extends Method>(method: M, params: Params<M>): Promise<Result<M>> {
    let failure: unknown;
    for (const node of this.#nodes.members) {
      try {
        return await this.#nodes.callerTo(node).call(method, params);
      } catch (error) {
        if (codeOf(error) === "ERR_STORE_TRIMMED") throw error;
        failure = error;
      }
    }
    throw failure;
  }

  async #metadata<M extends "listStreams" | "describeStream">(method: M, params: Params<M>): Promise<Result<M>> {
    try {
      return await this.#leaders.call(METADATA_PARTITION, this.#nodes.members, method, params);
    } catch (error) {
      throw told(error);
    }
  }
}

function refuse(error: unknown): never {
  if (codeOf(error) === "ERR_STORE_TRIMMED") throw new ApiError("TrimmedDataAccessException");
  throw told(error);
}

function pageOf({ partition, throughSlot }: StreamShard, { changes, through, atEnd }: ChangePage): ShardPage {
  const items = changes.map((change: Change): ItemChange => {
    const { slot, index, timeMs, before, after, expired } = change;
    const images = { ...(before && { before: itemOf(before.bytes) }), ...(after && { after: itemOf(after.bytes) }) };
    return { partition, slot, index, timeMs, expired, ...images };
  });
  return { changes: items, through, ended: atEnd && throughSlot !== undefined };
}
