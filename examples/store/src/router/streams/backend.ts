import type { StreamRecord, StreamShard } from "../../api/streams/model.js";
import type { ItemChange } from "../../api/streams/records.js";
import type { StreamPosition } from "../../api/streams/sequence-numbers.js";

export interface StreamName {
  readonly tableName: string;
  readonly label: string;
}

export interface ShardPage {
  readonly changes: readonly ItemChange[];
  /** Everything through here was looked at. */
  readonly through: StreamPosition;
  /** The shard is closed, and there is nothing more in it. */
  readonly ended: boolean;
}

/** What the operations on streams ask of the storage side. Errors are as those of `Backend`. */
export interface StreamsBackend {
  list(request: {
    readonly tableName?: string | undefined;
    readonly after?: StreamName | undefined;
    readonly limitMax: number;
  }): Promise<{ streams: StreamName[]; more: boolean }>;
  /** As the metadata have it now. @throws ResourceNotFoundException */
  describe(name: StreamName): Promise<StreamRecord>;
  /** A shard as the routing cache knows it, or else the metadata. Its stream may have ended meanwhile: `read` sees to that. @throws ResourceNotFoundException */
  shard(name: StreamName, shardId: string): Promise<{ readonly stream: StreamRecord; readonly shard: StreamShard }>;
  /** The first place from which on the shard can be read, not before the end of a slot: what the archive has lost is passed over. */
  begin(stream: StreamRecord, shard: StreamShard, slot: number): Promise<StreamPosition>;
  /** Behind everything that was acknowledged by now. */
  end(stream: StreamRecord, shard: StreamShard): Promise<StreamPosition>;
  /** The next changes behind a position, at most `recordsMax` and about 1 MB. @throws TrimmedDataAccessException */
  read(stream: StreamRecord, shard: StreamShard, after: StreamPosition, recordsMax: number): Promise<ShardPage>;
}
