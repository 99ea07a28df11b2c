import { Packr, Unpackr } from "msgpackr";
import { ApiError } from "../api/errors.js";
import { StoreError, type StoreErrorCode } from "../storage-node/errors.js";

const packr = new Packr({ useRecords: false, copyBuffers: true });

/** Payload of a request frame: `[id, method, params]`; of an answer: `[id, 0, result]` or `[id, kind, error]`. */
export type RequestMessage = [id: number, method: string, params: unknown];
export type AnswerMessage = [id: number, kind: 0 | 1 | 2 | 3, body: unknown];

export const pack = (message: RequestMessage | AnswerMessage): Buffer => packr.pack(message);

/** The packer's reader calls a field `__proto__` `__proto_`, but an attribute's name is the client's own: such payloads are read as maps. */
const mapReader = new Unpackr({ useRecords: false, copyBuffers: true, mapsAsObjects: false });
const PROTO = "__proto__";

export function unpack(payload: Uint8Array): unknown {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  return bytes.includes(PROTO) ? objectsOf(mapReader.unpack(payload)) : packr.unpack(payload);
}

function objectsOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(objectsOf);
  if (!(value instanceof Map)) return value;
  // Unlike an assignment, this makes `__proto__` a field like any other.
  return Object.fromEntries([...value].map(([name, inner]) => [name, objectsOf(inner)]));
}

export function answerOfError(id: number, error: unknown): AnswerMessage {
  if (error instanceof ApiError) return [id, 1, error.toData()];
  if (error instanceof StoreError) return [id, 2, { code: error.code, message: error.message, leader: error.leader }];
  return [id, 3, { message: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }];
}

export function errorOfAnswer([, kind, body]: AnswerMessage): Error {
  if (kind === 1) return ApiError.fromData(body as ReturnType<ApiError["toData"]>);
  const { code, message, leader } = body as { code: StoreErrorCode; message: string; leader?: string };
  if (kind === 2) return new StoreError(code, message, { leader });
  return new Error(message);
}
