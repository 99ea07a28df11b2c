import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { MemdsError } from "./core/errors.js";
import { integer } from "./options.js";

/**
 * A shared secret proves both sides to one another without travelling: hello(nonce C) -> challenge(nonce S, HMAC(secret, "server" C S)) ->
 * proof(HMAC(secret, "client" C S)). What follows is neither encrypted nor signed: this keeps strangers out, not somebody on the way.
 */
const nonceBytes = 16;
const macBytes = 32;

export function newHello(): Uint8Array {
  return randomBytes(nonceBytes);
}

export class Challenge {
  readonly payload: Uint8Array;
  readonly #expected: Uint8Array;

  constructor(secret: string, hello: Uint8Array) {
    if (hello.length !== nonceBytes) throw new MemdsError("ERR_MEMDS_PROTOCOL", `a hello of ${hello.length} bytes`);
    const nonce = randomBytes(nonceBytes);
    this.payload = Buffer.concat([nonce, mac(secret, "server", hello, nonce)]);
    this.#expected = mac(secret, "client", hello, nonce);
  }

  /** @throws MemdsError `ERR_MEMDS_UNAUTHORIZED` */
  check(proof: Uint8Array): void {
    if (proof.length !== macBytes || !timingSafeEqual(proof, this.#expected))
      throw unauthorized("the client's secret is not ours");
  }
}

/** @throws MemdsError `ERR_MEMDS_UNAUTHORIZED` where the server does not know the secret. */
export function proofFor(secret: string, hello: Uint8Array, challenge: Uint8Array): Uint8Array {
  const nonce = challenge.subarray(0, nonceBytes);
  const theirs = challenge.subarray(nonceBytes);
  if (theirs.length !== macBytes || !timingSafeEqual(theirs, mac(secret, "server", hello, nonce))) {
    throw unauthorized("the server's secret is not ours");
  }
  return mac(secret, "client", hello, nonce);
}

export function unauthorized(message: string): MemdsError {
  return new MemdsError("ERR_MEMDS_UNAUTHORIZED", message);
}

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkedSecret(secret: string | undefined): string | undefined {
  if (secret === undefined) return undefined;
  if (typeof secret !== "string")
    throw new MemdsError("ERR_MEMDS_ARGUMENT", `secret must be a string, not ${typeof secret}`);
  integer("secret.length", secret.length, 16, 1024);
  return secret;
}

function mac(secret: string, side: string, hello: Uint8Array, nonce: Uint8Array): Uint8Array {
  return createHmac("sha256", secret).update(`evenkeel-memds 1 ${side} `).update(hello).update(nonce).digest();
}
