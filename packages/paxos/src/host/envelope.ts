import { badArgument, PaxosError } from "../core/errors.js";

/*
 * What one node has to say to another in one turn, for all groups:
 *
 *   version u8 = 1, then for each message:
 *   group id (u8 length + utf8) | length u32 little-endian | message as the core's codec wrote it
 *
 * The transport's frame around it carries the checksum.
 */
export const envelopeVersion = 1;
export const groupIdBytesMax = 255;

/**
 * The id of a group as it stands in envelopes.
 * @throws PaxosError ERR_PAXOS_ARGUMENT
 */
export function wireGroupId(groupId: string): Buffer {
  const bytes = typeof groupId === "string" ? Buffer.from(groupId, "utf8") : Buffer.alloc(0);
  if (bytes.length < 1 || bytes.length > groupIdBytesMax)
    throw badArgument("groupId", "a name of 1 to 255 bytes", groupId);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

/** What a node knows a group by in envelopes, and what is found there. */
export interface Addressee {
  /** Its id as it goes onto the wire, length byte included. */
  readonly wireId: Uint8Array;
}

/** Finds who is meant by an id on the wire, without making a string of it for each message. */
export class Addressees<T extends Addressee> {
  readonly #byHash = new Map<number, T | T[]>();

  add(one: T): void {
    const hash = hashOf(one.wireId, 0, one.wireId.length);
    const there = this.#byHash.get(hash);
    if (there === undefined) this.#byHash.set(hash, one);
    else this.#byHash.set(hash, [...(Array.isArray(there) ? there : [there]), one]);
  }

  remove(one: T): void {
    const hash = hashOf(one.wireId, 0, one.wireId.length);
    const there = this.#byHash.get(hash);
    const left = Array.isArray(there) ? there.filter((other) => other !== one) : there === one ? [] : there;
    if (Array.isArray(left)) {
      if (left.length === 0) this.#byHash.delete(hash);
      else this.#byHash.set(hash, left);
    }
  }

  /** The id stands in `bytes` from `from` on, its length first. */
  find(bytes: Uint8Array, from: number): T | undefined {
    const to = from + 1 + (bytes[from] as number);
    const there = this.#byHash.get(hashOf(bytes, from, to));
    if (there === undefined) return undefined;
    if (!Array.isArray(there)) return same(there.wireId, bytes, from, to) ? there : undefined;
    return there.find(({ wireId }) => same(wireId, bytes, from, to));
  }
}

function same(id: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  if (id.length !== to - from) return false;
  for (let i = 0; i < id.length; i++) if (id[i] !== bytes[from + i]) return false;
  return true;
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash | 0;
}

/**
 * Calls `take` for each message: where the id of its group stands, length first, and where the message does.
 * @throws PaxosError ERR_PAXOS_UNSUPPORTED, ERR_PAXOS_CORRUPT
 */
export function openEnvelope(bytes: Uint8Array, take: (idAt: number, from: number, to: number) => void): void {
  if (bytes[0] !== envelopeVersion) {
    throw new PaxosError(
      "ERR_PAXOS_UNSUPPORTED",
      `an envelope of version ${bytes[0]}, this release reads ${envelopeVersion}`,
    );
  }
  const { length } = bytes;
  let at = 1;
  while (at < length) {
    const nameEnd = at + 1 + (bytes[at] as number);
    const start = nameEnd + 4;
    if (start > length) throw damaged();
    const end =
      start +
      (bytes[nameEnd] as number) +
      (bytes[nameEnd + 1] as number) * 0x100 +
      (bytes[nameEnd + 2] as number) * 0x1_0000 +
      (bytes[nameEnd + 3] as number) * 0x100_0000;
    if (end > length) throw damaged();
    take(at, start, end);
    at = end;
  }
}

function damaged(): PaxosError {
  return new PaxosError("ERR_PAXOS_CORRUPT", "an envelope of the wrong shape");
}
