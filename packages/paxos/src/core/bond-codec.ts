import type { BondMessage, Release } from "./bonds.js";
import { ByteReader, ByteWriter, corrupt } from "./bytes.js";
import { readBallot, readBond, writeBallot, writeBond } from "./codec-parts.js";
import { PaxosError } from "./errors.js";

const bondMessageVersion = 1;
/** Second byte, apart from those of the core's messages and the hosts'. */
const bondMessageType = 96;

/** The bytes of one beat, without checksum (the frame around it has that). ARCHITECTURE.md draws them. */
export function encodeBondMessage({ life, sentMs, echo, released }: BondMessage): Uint8Array {
  const out = new ByteWriter(64 + 48 * released.length);
  out.byte(bondMessageVersion);
  out.byte(bondMessageType);
  out.varint(life);
  out.float64(sentMs);
  out.byte(echo === undefined ? 0 : 1);
  if (echo !== undefined) {
    out.varint(echo.life);
    out.float64(echo.sentMs);
    writeBond(out, echo.bond);
  }
  out.varint(released.length);
  for (const { group, ballot } of released) {
    out.text(group);
    writeBallot(out, ballot);
  }
  return out.take();
}

/** @throws PaxosError ERR_PAXOS_UNSUPPORTED, ERR_PAXOS_CORRUPT */
export function decodeBondMessage(bytes: Uint8Array): BondMessage {
  const input = new ByteReader(bytes);
  const [version, type] = [input.byte(), input.byte()];
  if (version !== bondMessageVersion || type !== bondMessageType) {
    const what = `a node's message of version ${version} and type ${type}`;
    throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `${what}, this release reads ${bondMessageVersion}`);
  }
  const life = input.varint();
  const sentMs = input.float64();
  const flags = input.byte();
  if (flags > 1) throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `a node's message with flags ${flags}`);
  const echo = flags === 0 ? {} : { echo: { life: input.varint(), sentMs: input.float64(), bond: readBond(input) } };
  const released: Release[] = [];
  for (let left = input.varint(); left > 0; left--) released.push({ group: input.text(), ballot: readBallot(input) });
  if (input.left > 0) throw corrupt(`${input.left} bytes too many`);
  return { life, sentMs, ...echo, released };
}

export function isBondMessage(bytes: Uint8Array): boolean {
  return bytes[1] === bondMessageType;
}
