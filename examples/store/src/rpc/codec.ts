import { Packr, Unpackr } from "msgpackr";
import { ApiError } from "../api/errors.js";
import { StoreError, type StoreErrorCode } from "../storage-node/errors.js";

const packr = new Packr({ useRecords: false, copyBuffers: true });

export const msgpack = (value: unknown): Buffer => packr.pack(value);

/** The packer's reader calls a field `__proto__` `__proto_`, but an attribute's name is the client's own: such payloads are read as maps. */
const mapReader = new Unpackr({ useRecords: false, copyBuffers: true, mapsAsObjects: false });
const PROTO = "__proto__";

export function unmsgpack(bytes: Buffer): unknown {
  return bytes.includes(PROTO) ? objectsOf(mapReader.unpack(bytes)) : packr.unpack(bytes);
}

function objectsOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(objectsOf);
  if (!(value instanceof Map)) return value;
  // Unlike an assignment, this makes `__proto__` a field like any other.
  return Object.fromEntries([...value].map(([name, inner]) => [name, objectsOf(inner)]));
}

const API_ERROR = 1;
const STORE_ERROR = 2;
const OTHER_ERROR = 3;

export function errorCode(error: unknown): number {
  return error instanceof ApiError ? API_ERROR : error instanceof StoreError ? STORE_ERROR : OTHER_ERROR;
}

export function errorToData(error: unknown): unknown {
  if (error instanceof ApiError) return error.toData();
  if (error instanceof StoreError) return { code: error.code, message: error.message, leader: error.leader };
  return { message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}

export function errorOf(code: number, data: unknown): Error {
  if (code === API_ERROR) return ApiError.fromData(data as ReturnType<ApiError["toData"]>);
  const { code: storeCode, message, leader } = data as { code: StoreErrorCode; message: string; leader?: string };
  return code === STORE_ERROR ? new StoreError(storeCode, message, { leader }) : new Error(message);
}
