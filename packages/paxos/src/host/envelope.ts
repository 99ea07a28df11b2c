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
 * Calls `take` for each message, a view on `bytes`.
 * @throws PaxosError ERR_PAXOS_UNSUPPORTED, ERR_PAXOS_CORRUPT
 */
export function openEnvelope(bytes: Uint8Array, take: (groupId: string, message: Uint8Array) => void): void {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view[0] !== envelopeVersion) {
    throw new PaxosError(
      "ERR_PAXOS_UNSUPPORTED",
      `an envelope of version ${view[0]}, this release reads ${envelopeVersion}`,
    );
  }
  let at = 1;
  while (at < view.length) {
    const nameEnd = at + 1 + (view[at] as number);
    if (nameEnd + 4 > view.length) throw damaged();
    const start = nameEnd + 4;
    const end = start + view.readUInt32LE(nameEnd);
    if (end > view.length) throw damaged();
    take(view.toString("utf8", at + 1, nameEnd), view.subarray(start, end));
    at = end;
  }
}

function damaged(): PaxosError {
  return new PaxosError("ERR_PAXOS_CORRUPT", "an envelope of the wrong shape");
}

/** A group's id as it stands in envelopes. */
export function wireGroupId(groupId: string): Buffer {
  const bytes = typeof groupId === "string" ? Buffer.from(groupId, "utf8") : Buffer.alloc(0);
  if (bytes.length < 1 || bytes.length > groupIdBytesMax)
    throw badArgument("groupId", "a name of 1 to 255 bytes", groupId);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}
