import { createHmac, timingSafeEqual } from "node:crypto";
import { PaxosError } from "../core/errors.js";

/*
 * Who speaks, before anything else is said. The dialling side D sends messages, the accepting side A receives them; each proves that it holds
 * the shared secret over both nonces, both names and the version, so a proof is of no use on another connection or in the other direction.
 *
 *   D -> A  hello      versionMin u8 | versionMax u8 | nonceD 32 | from (u8 length + utf8) | to (u8 length + utf8)
 *   A -> D  challenge  version u8 | nonceA 32 | hmac("A") 32
 *   D -> A  proof      hmac("D") 32                 and messages may follow at once
 *   A -> D  welcome    (empty)                      or refuse: utf8 reason, then the connection ends
 *
 * hmac(role) = HMAC-SHA256(secret, "evenkeel-paxos" | role | version | nonceD | nonceA | from | to), names with their length byte.
 * Without a secret the same steps run with an empty key: one path. It then only guards against mistakes, not against an adversary; and with
 * one, what follows the handshake is checksummed, not encrypted.
 */
export const messageVersion = 1;
export const nonceBytes = 32;
const macBytes = 32;

/** Frame kinds on a connection between nodes. */
export const kinds = {
  hello: 1,
  challenge: 2,
  proof: 3,
  welcome: 4,
  refuse: 5,
  ping: 6,
  pong: 7,
  message: 16,
} as const;

/** The largest payload taken from somebody who has not proved who he is. */
export const handshakeBytesMax = 1024;

export interface Hello {
  readonly versionMin: number;
  readonly versionMax: number;
  readonly nonce: Uint8Array;
  readonly from: string;
  readonly to: string;
}

export interface Challenge {
  readonly version: number;
  readonly nonce: Uint8Array;
  readonly mac: Uint8Array;
}

function name(text: string): Buffer {
  const bytes = Buffer.from(text, "utf8");
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}

export function encodeHello(hello: Hello): Buffer {
  return Buffer.concat([Buffer.of(hello.versionMin, hello.versionMax), hello.nonce, name(hello.from), name(hello.to)]);
}

export function decodeHello(payload: Uint8Array): Hello {
  const bytes = Buffer.from(payload);
  let at = 2 + nonceBytes;
  const text = (): string => {
    const length = bytes[at];
    if (length === undefined || length === 0) throw damaged("hello");
    const value = bytes.toString("utf8", at + 1, at + 1 + length);
    at += 1 + length;
    return value;
  };
  const from = text();
  const to = text();
  // Also where a name claims more than there is.
  if (at !== bytes.length) throw damaged("hello");
  return {
    versionMin: bytes[0] as number,
    versionMax: bytes[1] as number,
    nonce: bytes.subarray(2, 2 + nonceBytes),
    from,
    to,
  };
}

export function encodeChallenge(challenge: Challenge): Buffer {
  return Buffer.concat([Buffer.of(challenge.version), challenge.nonce, challenge.mac]);
}

export function decodeChallenge(payload: Uint8Array): Challenge {
  if (payload.length !== 1 + nonceBytes + macBytes) throw damaged("challenge");
  const bytes = Buffer.from(payload);
  return {
    version: bytes[0] as number,
    nonce: bytes.subarray(1, 1 + nonceBytes),
    mac: bytes.subarray(1 + nonceBytes),
  };
}

/** The version both sides speak, the highest one; undefined when there is none. */
export function agreeVersion(hello: Hello): number | undefined {
  return hello.versionMin <= messageVersion && messageVersion <= hello.versionMax ? messageVersion : undefined;
}

export function proofOf(
  secret: Uint8Array | undefined,
  role: "A" | "D",
  hello: Hello,
  challenge: { version: number; nonce: Uint8Array },
): Buffer {
  return createHmac("sha256", secret ?? new Uint8Array(0))
    .update(`evenkeel-paxos${role}`)
    .update(Buffer.of(challenge.version))
    .update(hello.nonce)
    .update(challenge.nonce)
    .update(name(hello.from))
    .update(name(hello.to))
    .digest();
}

export function sameProof(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function damaged(what: string): PaxosError {
  return new PaxosError("ERR_PAXOS_FRAME", `a ${what} of the wrong shape`);
}
