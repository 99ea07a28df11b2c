import type { Digest, Entry, KeyRange, SplitOptions } from "@evenkeel/scrubber";
import type { Backup, BackupListRequest } from "../api/control/backups.js";
import type { TableUpdate } from "../api/control/settings.js";
import type { Page, PageRequest, Sizes, TableDefinition } from "../api/model.js";
import type { StreamRecord } from "../api/streams/model.js";
import type { StreamPosition } from "../api/streams/sequence-numbers.js";
import type { WantedTimeToLive } from "../api/time-to-live.js";
import type { HashRange, PartitionRecord } from "../metadata/records.js";
import type { RestoreSource, VersionedTable } from "../metadata/service.js";
import type { StreamListRequest, StreamName } from "../metadata/stream-service.js";
import type { AtOnceRequest, AtOnceResult } from "../storage-node/at-once.js";
import type { ChangeLimits, ChangePage } from "../storage-node/changes.js";
import type { Write } from "../storage-node/command.js";
import type { PartitionDescription } from "../storage-node/description.js";
import type { LogPlace, LogStretch } from "../storage-node/log-scrub.js";
import type { IndexToKeep } from "../storage-node/maintained-index.js";
import type { NodeWriteOp } from "../storage-node/node-write-op.js";
import type { PrepareRequest, PrepareResult, ResolveRequest, VersionedItems } from "../storage-node/participant.js";
import type { PartitionSizes } from "../storage-node/size-methods.js";
import type { FillStep } from "../storage-node/split-feed.js";
import type { SplitPoint } from "../storage-node/split-point.js";
import type { SplitProgress } from "../storage-node/split-progress.js";
import type { NodeStatus } from "../storage-node/status.js";
import type { WriteResult } from "../storage-node/writer.js";

/** How far a partition that is being filled is, and when it was last written to (Unix ms). */
export interface Filled {
  readonly progress: SplitProgress | null;
  readonly timeMs: number;
}

/** Of one of an index's partitions. */
export interface IndexLeader {
  readonly partition: number;
  readonly node: string;
}

/** What a storage node answers. One entry a method: what goes in, what comes out. */
export interface NodeMethods {
  write: { params: { partition: number; key: Uint8Array; op: NodeWriteOp }; result: WriteResult };
  get: {
    params: { partition: number; key: Uint8Array; consistent: boolean };
    result: { json?: Uint8Array; itemSizeBytes: number };
  };
  /** The node's member of the memds fleet: from a look-up's frame to its answer's. */
  lookUp: { params: { frame: Uint8Array }; result: Uint8Array };
  /** Any replica: how much the partition holds; see `Tally`. */
  sizes: { params: { partition: number }; result: PartitionSizes };
  page: { params: { partition: number; request: PageRequest }; result: Page };
  submit: { params: { partition: number; writes: readonly Write[] }; result: { slot: number } };

  /** A partition's part in a transaction; see `Participant`. Each may be asked for again. */
  prepare: { params: { partition: number } & PrepareRequest; result: PrepareResult };
  resolve: { params: { partition: number } & ResolveRequest; result: { resolved: number } };
  /** A transaction that is all the partition's own, in one entry; see `AtOnce`. `transactAgain`: it may have been asked for before. */
  transact: { params: { partition: number } & AtOnceRequest; result: AtOnceResult };
  transactAgain: { params: { partition: number } & AtOnceRequest; result: AtOnceResult };
  /** It is not to be carried out any more, if it was not. */
  abandon: { params: { partition: number; transaction: string }; result: AtOnceResult };
  /** Items as they are committed, with what says whether they have changed when they are read again. */
  getVersioned: { params: { partition: number; keys: readonly Uint8Array[] }; result: VersionedItems };
  /** To an index's partition: what `source` has to tell through one of its records, unless that was told already. The last part is noted as told. */
  tellIndex: {
    params: { partition: number; source: number; through: number; last: boolean; writes: readonly Write[] };
    result: null;
  };
  /** To a table's partition: resolves when global indexes were told of what is decided there by now, or soon in any case. Who leads the index's partitions, as far as is known. */
  indexTold: { params: { partition: number; indexId: string }; result: { leaders: readonly IndexLeader[] } };
  /** The partition keeps the index from now on, if it does not yet. */
  keepIndex: { params: { partition: number; index: IndexToKeep }; result: { backfilled: boolean } };
  dropIndex: { params: { partition: number; number: number }; result: null };

  /**
   * The metadata's leader only: the partition is split at a hash, or where its items have half of their bytes. Resolves when that is written down; with nothing while
   * that hash is still being looked for: to be asked again.
   */
  splitPartition: { params: { partition: number; at?: number }; result: { splitting?: PartitionRecord } };
  /** The partition's leader: how much it holds, and at which hash it is best split. Nothing while it is still looking: to be asked again. */
  splitPoint: { params: { partition: number; range: HashRange }; result: { found?: SplitPoint } };
  /** The leader of a partition that is split: fills in one step more of a part. `progress`: how far it is known to be. */
  feedPart: {
    params: { partition: number; part: PartitionRecord; progress?: SplitProgress | undefined; bytesMax?: number };
    result: Filled & { behind: number };
  };
  /** The part's leader: how far it is, after this step if it was the next one. */
  fillPart: { params: { partition: number; step?: FillStep }; result: Filled };
  /** The leader of a partition that is split: no writes any more. Nothing where a transaction has something prepared: to be asked again. */
  sealPartition: {
    params: { partition: number };
    result: { sealed?: { slot: number; timeMs: number; told: boolean; inherited: Write[] } };
  };
  /** The part's leader: it is filled, and nothing is written to it before that moment. */
  openPart: { params: { partition: number; sinceMs: number; inherited: readonly Write[] }; result: { slot: number } };

  /** Each request has a table id of its own, under which it may be asked for again. */
  createTable: {
    params: { definition: TableDefinition; tableId: string; restore?: RestoreSource };
    result: VersionedTable;
  };
  deleteTable: { params: { name: string }; result: VersionedTable };
  createBackup: { params: { tableName: string; name: string; untilMs: number; sizes?: Sizes }; result: Backup };
  deleteBackup: { params: { id: string }; result: Backup };
  describeBackup: { params: { id: string }; result: Backup };
  listBackups: { params: BackupListRequest; result: { backups: Backup[]; more: boolean } };
  updateTable: { params: { name: string; change: TableUpdate }; result: VersionedTable };
  describeTable: { params: { name: string }; result: VersionedTable };
  listTables: { params: { after?: string | undefined; limitMax: number }; result: { names: string[]; more: boolean } };

  /** Of all its partitions, or of those named. */
  status: { params: { readonly only?: readonly number[] }; result: NodeStatus };
  /** Leader only. `afterMs` (Unix time): the mark and all that comes behind it is later than that. */
  mark: { params: { partition: number; afterMs?: number }; result: { slot: number } };
  /** `gently`, here and below: nobody waits for it, and requests come first. */
  digests: {
    params: { partition: number; slot: number; ranges: readonly KeyRange[]; gently?: boolean };
    result: { digests: readonly Digest[] };
  };
  splits: {
    params: { partition: number; slot: number; range: KeyRange; options: SplitOptions; gently?: boolean };
    result: { keys: readonly Uint8Array[] };
  };
  entries: {
    params: { partition: number; slot: number; range: KeyRange; bytesMax: number };
    result: { entries: Entry[]; more: boolean };
  };
  releaseMark: { params: { partition: number; slot: number }; result: null };
  repair: {
    params: {
      partition: number;
      key: Uint8Array;
      asOfSlot: number;
      expected?: { json: Uint8Array; itemSizeBytes: number };
    };
    result: { rewritten: boolean };
  };
  /**
   * Leader only. What the partition says of itself from the answered slot on. Of one whose table is being deleted nothing where a transaction has something prepared: to be
   * asked again.
   */
  describePartition: { params: { partition: number; description: PartitionDescription }; result: { slot?: number } };
  /**
   * Leader only: the partition's recorded changes behind a position, everything that was acknowledged before the call among them. With `stream` as long as it is that stream that
   * is on, else ERR_STORE_CONFLICT.
   */
  changes: {
    params: { partition: number; after: StreamPosition; limits: ChangeLimits; stream?: string };
    result: ChangePage;
  };
  /** Any member: behind which slot reading can begin, if not behind this one. What is before it is lost. */
  changesBeginning: { params: { partition: number; slot: number }; result: { slot: number } };
  /** Leader only: how far the partition's log is, and the time of its last entry (Unix ms). */
  changesEnd: { params: { partition: number }; result: { slot: number; timeMs: number } };
  /** Any node: as `changesBeginning`, of a partition that is no more. */
  archivedBeginning: { params: { partition: number; slot: number }; result: { slot: number } };
  /** Any node: the changes of a partition that is no more, from the archive. */
  archivedChanges: {
    params: { partition: number; after: StreamPosition; throughSlot: number; limits: ChangeLimits };
    result: ChangePage;
  };
  setTimeToLive: { params: { name: string; wanted: WantedTimeToLive }; result: VersionedTable };
  describeStream: { params: StreamName; result: StreamRecord };
  listStreams: { params: StreamListRequest; result: { streams: StreamName[]; more: boolean } };
  archive: { params: { partition: number; throughSlot?: number }; result: { archivedThrough: number } };
  /** The metadata's leader only: the node will not come back, and need not be waited for. */
  giveUpNode: { params: { nodeId: string }; result: null };
  /** The group's leader only: gives the failed member's place in the group to a log replica, or a log replica's to a replica on the same node, and takes out whoever is gone. */
  replaceMember: { params: { partition: number; failed: string; by: string }; result: null };
  promoteMember: { params: { partition: number; node: string; gone: readonly string[] }; result: null };
  /** Reads a stretch of the node's own log, and says what of it cannot be believed. */
  scrubLog: { params: { after?: LogPlace; bytesMax: number }; result: LogStretch };
  /** Chosen entries of slots `first` to `through` as the node's log holds them: see `chosenEntries`. ERR_STORE_BEHIND where it does not hold all of them. */
  logDigests: {
    params: { partition: number; first: number; through: number; ranges: readonly KeyRange[]; gently?: boolean };
    result: { digests: readonly Digest[] };
  };
  logEntries: {
    params: { partition: number; first: number; through: number; range: KeyRange; bytesMax: number };
    result: { entries: Entry[]; more: boolean };
  };
  /**
   * The group's leader only: makes the object that begins with this entry anew out of the log; `next` begins the one behind it. A leader that is none of `nodes`, whose logs go back so far,
   * hands its place over to one of them, and answers ERR_STORE_NOT_LEADER.
   */
  mendArchive: {
    params: { partition: number; first: number; next?: number; nodes: readonly string[] };
    result: { key: string };
  };
  /**
   * The group's leader only: has the archive say what the log says, from the object that begins with `first` to the archive's end, `through`. `digest` is what the logs of `nodes` say in between; a leader that is none of them, or whose own says something else,
   * hands its place over, and answers ERR_STORE_NOT_LEADER.
   */
  archiveAgain: {
    params: { partition: number; first: number; through: number; digest: Digest; nodes: readonly string[] };
    result: { objects: number };
  };
  /** Writes the partition's state beside its archived log, now. `isAwaited`: false has it take the time that it takes unasked. */
  snapshot: {
    params: { partition: number; isAwaited?: boolean };
    result: { slot: number; bytes: number; timeMs: number };
  };
}

export type Method = keyof NodeMethods;
export type Params<M extends Method> = NodeMethods[M]["params"];
export type Result<M extends Method> = NodeMethods[M]["result"];

export type Handlers = { readonly [M in Method]: (params: Params<M>) => Promise<Result<M>> | Result<M> };

/** A way to one storage node: over TCP or in the same process, with the same encoding. */
export interface Caller {
  /**
   * Rejects with the error that the node threw (StoreError or ApiError), with ERR_STORE_UNREACHABLE when the request was surely not sent, with
   * ERR_STORE_UNKNOWN_OUTCOME when it may have been.
   */
  call<M extends Method>(method: M, params: Params<M>, options?: { readonly timeoutMs?: number }): Promise<Result<M>>;
  close(): Promise<void>;
}
