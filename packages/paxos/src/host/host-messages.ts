import { ByteReader, ByteWriter, corrupt } from "../core/bytes.js";
import { readPosition, writePosition } from "../core/configuration.js";
import { PaxosError } from "../core/errors.js";
import type { Position } from "../core/types.js";

/**
 * What hosts say to one another about a group: how a snapshot travels, and whose log is whose. Beside the protocol, in the same envelopes: the second byte of a message, from 64 on, tells
 * these from the core's. Any of them may be lost, doubled or late; the receiver asks again.
 */
export type HostMessage =
  /** "Give me a snapshot of this slot or a later one": of a replica whose state machine is behind its own log. */
  | { readonly type: "ask"; readonly fromSlot: number }
  | { readonly type: "offer"; readonly id: string; readonly position: Position; readonly sizeBytes: number }
  /** The same of a group that remembers clients: the first `tableBytes` of `sizeBytes` are the table of them. Who does not know of such tables must not take it. */
  | {
      readonly type: "offerWithClients";
      readonly id: string;
      readonly position: Position;
      readonly sizeBytes: number;
      readonly tableBytes: number;
    }
  | { readonly type: "fetch"; readonly id: string; readonly offset: number }
  /** `digest`: SHA-256 of the whole snapshot, with its last piece (which may be empty); empty before. */
  | {
      readonly type: "piece";
      readonly id: string;
      readonly offset: number;
      readonly bytes: Uint8Array;
      readonly digest: Uint8Array;
    }
  /** That snapshot is not to be had here any more. */
  | { readonly type: "gone"; readonly id: string }
  /** "My log was born under this mark; do you know another of mine?" */
  | { readonly type: "knock"; readonly birth: string }
  /** The answer: the mark under which the asker is remembered now. `blank`: the one who answers has never voted itself. */
  | {
      readonly type: "known";
      readonly birth: string;
      readonly blank: boolean;
      /** It reads answers that name marks, and remembers this one durably. Said only by who is not blank; earlier releases take it for that. */
      readonly readsMarks?: boolean;
    }
  /** "What is chosen now?" Of a replica that is read, to the leader. */
  | { readonly type: "freshness"; readonly question: number }
  /** The answer of one who led when the question had come: everything that was acknowledged before is at or below this slot. */
  | { readonly type: "fresh"; readonly question: number; readonly slot: number };

export type SnapshotMessage = Exclude<HostMessage, { readonly type: "knock" | "known" | "freshness" | "fresh" }>;

export const hostMessageVersion = 1;
const typeMin = 64;
/** Numbers on the wire, never renumbered. */
const codes = {
  ask: 64,
  offer: 65,
  fetch: 66,
  piece: 67,
  gone: 68,
  knock: 69,
  known: 70,
  offerWithClients: 80,
  freshness: 81,
  fresh: 82,
} as const satisfies Record<HostMessage["type"], number>;
const types = new Map<number, HostMessage["type"]>(
  Object.entries(codes).map(([type, code]) => [code, type as HostMessage["type"]]),
);

/** Whether these bytes are one of ours. Nothing else is checked. */
export function isHostMessage(bytes: Uint8Array, from = 0, to = bytes.length): boolean {
  return to - from >= 2 && (bytes[from + 1] as number) >= typeMin;
}

export function encodeHostMessage(message: HostMessage): Uint8Array {
  const out = new ByteWriter(message.type === "piece" ? message.bytes.length + 128 : 256);
  out.byte(hostMessageVersion);
  out.byte(codes[message.type]);
  if (message.type === "ask") out.varint(message.fromSlot);
  else if ("question" in message) out.varint(message.question);
  else out.text("id" in message ? message.id : message.birth);
  if (message.type === "fresh") out.varint(message.slot);
  if (message.type === "known") out.byte(message.blank ? 1 : message.readsMarks === true ? 2 : 0);
  if (message.type === "offer" || message.type === "offerWithClients") {
    writePosition(out, message.position);
    out.varint(message.sizeBytes);
    if (message.type === "offerWithClients") out.varint(message.tableBytes);
  } else if (message.type === "fetch") out.varint(message.offset);
  else if (message.type === "piece") {
    out.varint(message.offset);
    out.blob(message.bytes);
    out.blob(message.digest);
  }
  return out.take();
}

/**
 * Nothing in it refers to `bytes`.
 *
 * @throws PaxosError ERR_PAXOS_UNSUPPORTED, ERR_PAXOS_CORRUPT
 */
export function decodeHostMessage(bytes: Uint8Array): HostMessage {
  const input = new ByteReader(bytes);
  const version = input.byte();
  const code = input.byte();
  const type = types.get(code);
  if (version !== hostMessageVersion || type === undefined) {
    const what = `a host's message of version ${version} and type ${code}`;
    throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `${what}, this release reads version ${hostMessageVersion}`);
  }
  const message = readBody(input, type);
  if (input.left > 0) throw corrupt(`${input.left} bytes too many`);
  return message;
}

function readBody(input: ByteReader, type: HostMessage["type"]): HostMessage {
  if (type === "ask") return { type, fromSlot: input.varint() };
  if (type === "freshness") return { type, question: input.varint() };
  if (type === "fresh") return { type, question: input.varint(), slot: input.varint() };
  const id = input.text();
  switch (type) {
    case "knock":
      return { type, birth: id };
    case "known": {
      const flags = input.byte();
      return { type, birth: id, blank: flags === 1, ...(flags === 2 ? { readsMarks: true } : {}) };
    }
    case "offer":
      return { type, id, position: readPosition(input), sizeBytes: input.varint() };
    case "offerWithClients": {
      const [position, sizeBytes, tableBytes] = [readPosition(input), input.varint(), input.varint()];
      return { type, id, position, sizeBytes, tableBytes };
    }
    case "fetch":
      return { type, id, offset: input.varint() };
    case "piece":
      return { type, id, offset: input.varint(), bytes: copy(input.blob()), digest: copy(input.blob()) };
    case "gone":
      return { type, id };
  }
}

/** Not `slice`: that of a Node Buffer gives a view. */
function copy(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}
