import { bufferOf } from "../buffer-of.js";
import type { NodeWriteOp } from "../storage-node/node-write-op.js";
import { errorCode, errorOf, errorToData, msgpack, unmsgpack } from "./codec.js";
import type { Method, Params, Result } from "./protocol.js";

/*
 * What one side has to say in one turn of the event loop is one frame. Its payload (numbers big-endian):
 *
 *   u8 version = 1, then for each message: u32 length of what follows | u32 id | u8 code | body
 *
 *   request   1 get     u32 partition | u8 1: consistent | key
 *             2 write   u32 partition | u16 key length | key | u8 0: operation in msgpack
 *                                                            u8 1: a put without conditions: u32 item size | item (JSON)
 *             3 lookUp  a frame of memds
 *             0         [method, params] in msgpack
 *   answer    0 result  of get:   u32 item size | u8 1: found | item (JSON)
 *                       of write: u32 bytes before | u32 bytes after | attributes in msgpack, where asked for; with the first bit of "bytes
 *                                 before" set: [attributes or null, write units by index or null, bytes of the item's collection] in msgpack,
 *                                 the last one where the table has local indexes
 *                       of lookUp: a frame of memds
 *                       of all others: msgpack
 *             1 ApiError, 2 StoreError, 3 any other: msgpack
 *
 * The methods that nearly all requests are have an encoding of their own: items pass as the bytes that they are stored as.
 */
const VERSION = 1;
const HEAD_BYTES = 9;
const GET = 1;
const WRITE = 2;
const LOOK_UP = 3;
const OTHER = 0;
const RESULT = 0;
const BY_MSGPACK = 0;
const PLAIN_PUT = 1;
/** No item has as many bytes. */
const INDEXED = 0x8000_0000;

/** Where messages are written: room is asked for, then filled. */
export interface MessageSink {
  readonly buffer: Buffer;
  /** Makes room for so many bytes in `buffer` and returns where it begins. */
  reserve(bytes: number): number;
}

export interface Request {
  readonly id: number;
  readonly method: string;
  readonly params: unknown;
}

/** Writes the version where a payload begins, and returns its length. */
export function beginPayload(buffer: Buffer, at: number): number {
  buffer[at] = VERSION;
  return 1;
}

function begin(sink: MessageSink, id: number, code: number, bodyBytes: number): number {
  const at = sink.reserve(HEAD_BYTES + bodyBytes);
  const { buffer } = sink;
  buffer.writeUInt32BE(HEAD_BYTES - 4 + bodyBytes, at);
  buffer.writeUInt32BE(id, at + 4);
  buffer[at + 8] = code;
  return at + HEAD_BYTES;
}

function writeBytes(sink: MessageSink, id: number, code: number, bytes: Uint8Array): void {
  const at = begin(sink, id, code, bytes.length);
  sink.buffer.set(bytes, at);
}

const writeMsgpack = (sink: MessageSink, id: number, code: number, value: unknown): void =>
  writeBytes(sink, id, code, msgpack(value));

export function writeRequest<M extends Method>(sink: MessageSink, id: number, method: M, params: Params<M>): void {
  if (method === "get") writeGet(sink, id, params as Params<"get">);
  else if (method === "write") writeWrite(sink, id, params as Params<"write">);
  else if (method === "lookUp") writeBytes(sink, id, LOOK_UP, (params as Params<"lookUp">).frame);
  else writeMsgpack(sink, id, OTHER, [method, params]);
}

function writeGet(sink: MessageSink, id: number, { partition, key, consistent }: Params<"get">): void {
  const at = begin(sink, id, GET, 5 + key.length);
  const { buffer } = sink;
  buffer.writeUInt32BE(partition, at);
  buffer[at + 4] = consistent ? 1 : 0;
  buffer.set(key, at + 5);
}

function writeWrite(sink: MessageSink, id: number, { partition, key, op }: Params<"write">): void {
  const isPlain = op.kind === "put" && op.condition === undefined && op.returnValues === "NONE";
  const rest = isPlain ? op.json : msgpack(op);
  let at = begin(sink, id, WRITE, 7 + key.length + (isPlain ? 4 : 0) + rest.length);
  const { buffer } = sink;
  buffer.writeUInt32BE(partition, at);
  buffer.writeUInt16BE(key.length, at + 4);
  buffer.set(key, at + 6);
  at += 6 + key.length;
  buffer[at++] = isPlain ? PLAIN_PUT : BY_MSGPACK;
  if (isPlain) {
    buffer.writeUInt32BE(op.itemSizeBytes, at);
    at += 4;
  }
  buffer.set(rest, at);
}

export function writeResult(sink: MessageSink, id: number, method: string, result: unknown): void {
  if (method === "get") {
    const { json, itemSizeBytes } = result as Result<"get">;
    const at = begin(sink, id, RESULT, 5 + (json?.length ?? 0));
    sink.buffer.writeUInt32BE(itemSizeBytes, at);
    sink.buffer[at + 4] = json === undefined ? 0 : 1;
    if (json !== undefined) sink.buffer.set(json, at + 5);
  } else if (method === "write") {
    const { attributes, beforeBytes, afterBytes, indexUnits, collectionBytes } = result as Result<"write">;
    const indexed = indexUnits === undefined && collectionBytes === undefined ? 0 : INDEXED;
    const collection = collectionBytes === undefined ? [] : [collectionBytes];
    const said = indexed === 0 ? attributes : [attributes ?? null, indexUnits ?? null, ...collection];
    const rest = said === undefined ? undefined : msgpack(said);
    const at = begin(sink, id, RESULT, 8 + (rest?.length ?? 0));
    sink.buffer.writeUInt32BE(beforeBytes + indexed, at);
    sink.buffer.writeUInt32BE(afterBytes, at + 4);
    if (rest !== undefined) sink.buffer.set(rest, at + 8);
  } else if (method === "lookUp") writeBytes(sink, id, RESULT, result as Result<"lookUp">);
  else writeMsgpack(sink, id, RESULT, result ?? null);
}

export function writeError(sink: MessageSink, id: number, error: unknown): void {
  writeMsgpack(sink, id, errorCode(error), errorToData(error));
}

/** A message: who asks or is answered, what it is, and where in its payload its body stands. A view of each body would cost as much as all the rest of reading it. */
export type Message = [id: number, code: number, payload: Buffer, from: number, to: number];

/**
 * Calls `take` with each message.
 * @throws RangeError for a payload that is none
 */
export function eachMessage(payload: Uint8Array, take: (...message: Message) => void): void {
  const view = bufferOf(payload);
  if (view[0] !== VERSION)
    throw new RangeError(`a payload of version ${view[0]}; this program reads version ${VERSION}`);
  for (let at = 1; at < view.length; ) {
    const end = at + 4 + view.readUInt32BE(at);
    if (end > view.length || end < at + HEAD_BYTES) throw new RangeError("a message runs past its payload");
    take(view.readUInt32BE(at + 4), view[at + 8] as number, view, at + HEAD_BYTES, end);
    at = end;
  }
}

function assertLength(bytesMin: number, from: number, to: number): void {
  if (to - from < bytesMin) throw new RangeError(`a message of ${to - from} bytes; it has ${bytesMin} at least`);
}

/** @throws RangeError for what is no request */
export function readRequest(...[id, code, payload, from, to]: Message): Request {
  if (code === GET) {
    assertLength(5, from, to);
    const key = payload.subarray(from + 5, to);
    const params: Params<"get"> = { partition: payload.readUInt32BE(from), key, consistent: payload[from + 4] === 1 };
    return { id, method: "get", params };
  }
  const body = payload.subarray(from, to);
  if (code === WRITE) return { id, method: "write", params: readWrite(body) };
  if (code === LOOK_UP) return { id, method: "lookUp", params: { frame: body } };
  if (code !== OTHER) throw new RangeError(`a request of unknown code ${code}`);
  const [method, params] = unmsgpack(body) as [string, unknown];
  return { id, method, params };
}

function readWrite(body: Buffer): Params<"write"> {
  const partition = body.readUInt32BE(0);
  const keyEnd = 6 + body.readUInt16BE(4);
  const kind = body.readUInt8(keyEnd);
  const key = body.subarray(6, keyEnd);
  if (kind === BY_MSGPACK) return { partition, key, op: unmsgpack(body.subarray(keyEnd + 1)) as NodeWriteOp };
  if (kind !== PLAIN_PUT) throw new RangeError(`a write of unknown kind ${kind}`);
  const itemSizeBytes = body.readUInt32BE(keyEnd + 1);
  return { partition, key, op: { kind: "put", json: body.subarray(keyEnd + 5), itemSizeBytes, returnValues: "NONE" } };
}

/** What the other side answered to a request for `method`: its result, or the error that it threw. */
export function readAnswer(
  method: string,
  ...[, code, payload, from, to]: Message
): { result: unknown } | { error: Error } {
  if (code === RESULT && method === "get") {
    assertLength(5, from, to);
    const itemSizeBytes = payload.readUInt32BE(from);
    return {
      result: payload[from + 4] === 1 ? { json: payload.subarray(from + 5, to), itemSizeBytes } : { itemSizeBytes },
    };
  }
  const body = payload.subarray(from, to);
  if (code !== RESULT) return { error: errorOf(code, unmsgpack(body)) };
  if (method === "write") {
    const indexed = body.readUInt32BE(0) >= INDEXED;
    const beforeBytes = body.readUInt32BE(0) % INDEXED;
    const afterBytes = body.readUInt32BE(4);
    if (body.length === 8) return { result: { beforeBytes, afterBytes } };
    const said = unmsgpack(body.subarray(8));
    if (!indexed) return { result: { attributes: said, beforeBytes, afterBytes } };
    const [attributes, indexUnits, collectionBytes] = said as [unknown, unknown, unknown];
    return {
      result: {
        beforeBytes,
        afterBytes,
        ...(attributes !== null && { attributes }),
        ...(indexUnits !== null && { indexUnits }),
        ...(collectionBytes !== undefined && { collectionBytes }),
      },
    };
  }
  return { result: method === "lookUp" ? body : unmsgpack(body) };
}
