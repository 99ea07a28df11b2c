import type { Page, PageRequest, TableDefinition, WriteOp } from "../api/model.js";
import type { VersionedTable } from "../metadata/service.js";
import type { NodeStatus } from "../storage-node/status.js";
import type { WriteResult } from "../storage-node/writer.js";
import type { Write } from "../storage-node/command.js";

/** Keys from `from` (included) to `to` (left out); absent: without that bound. */
export interface RangeParams {
  readonly from?: Uint8Array | undefined;
  readonly to?: Uint8Array | undefined;
}

export interface RawValue {
  readonly key: Uint8Array;
  /** The stored value, header and checksum included. */
  readonly bytes: Uint8Array;
}

/** What a storage node answers. One entry a method: what goes in, what comes out. */
export interface NodeMethods {
  write: { params: { partition: number; key: Uint8Array; op: WriteOp }; result: WriteResult };
  get: {
    params: { partition: number; key: Uint8Array; consistent: boolean };
    result: { json?: Uint8Array; itemSizeBytes: number };
  };
  page: { params: { partition: number; request: PageRequest }; result: Page };
  submit: { params: { partition: number; writes: readonly Write[] }; result: { slot: number } };

  createTable: { params: { definition: TableDefinition; restore?: { source: string; untilMs: number } }; result: VersionedTable };
  deleteTable: { params: { name: string }; result: VersionedTable };
  describeTable: { params: { name: string }; result: VersionedTable };
  listTables: { params: { after?: string | undefined; limitMax: number }; result: { names: string[]; more: boolean } };

  status: { params: Record<string, never>; result: NodeStatus };
  mark: { params: { partition: number; markId: number }; result: { slot: number } };
  digest: { params: { partition: number; markId: number; range: RangeParams }; result: { digest: Uint8Array; count: number; bytes: number } };
  boundaries: { params: { partition: number; markId: number; range: RangeParams; parts: number }; result: { keys: Uint8Array[] } };
  values: { params: { partition: number; markId: number; range: RangeParams; limitMax: number }; result: { values: RawValue[]; more: boolean } };
  releaseMark: { params: { partition: number; markId: number }; result: null };
  repair: {
    params: { partition: number; key: Uint8Array; asOfSlot: number; expected?: { json: Uint8Array; itemSizeBytes: number } };
    result: { rewritten: boolean };
  };
  archive: { params: { partition: number; throughSlot?: number }; result: { archivedThrough: number } };
  trim: { params: { partition: number; throughSlot: number }; result: { trimmedThrough: number } };
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
