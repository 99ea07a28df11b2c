/** Content codings: those a body may come in, and the one its answer goes out in. */
import { promisify } from "node:util";
import { deflate, gunzip, gzip, inflate } from "node:zlib";
import { type Body, bytesOf } from "./answer-room.js";

/** In the order in which one is chosen for whoever takes any. */
const CODINGS = ["gzip", "deflate"] as const;
export type Coding = (typeof CODINGS)[number];

/** A shorter answer goes out as it is. */
const CODED_BYTES_MIN = 4_097;

const ENCODE = { gzip: promisify(gzip), deflate: promisify(deflate) } as const;
const DECODE = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const;

/**
 * The body of a request as it was before it was coded, decoded outside the main thread.
 * @param coding as its Content-Encoding says
 * @param bytesMax that it may have decoded
 * @returns "broken" for another coding, and for bytes that are not of this one or not all there
 */
export async function decoded(
  coding: string,
  body: Buffer,
  bytesMax: number,
): Promise<Buffer | "too-large" | "broken"> {
  const known = CODINGS.find((name) => name === coding.trim().toLowerCase());
  if (known === undefined) return "broken";
  try {
    return await DECODE[known](body, { maxOutputLength: bytesMax });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE" ? "too-large" : "broken";
  }
}

/** Done outside the main thread. */
export function encoded(coding: Coding, body: Body): Promise<Buffer> {
  return ENCODE[coding](bytesOf(body));
}

/**
 * The coding of an answer; undefined: it goes out as it is.
 * @param accepted the first Accept-Encoding that was sent
 */
export function codingOf(accepted: string | undefined, body: Body): Coding | undefined {
  return accepted === undefined || !isLong(body) ? undefined : preferred(accepted);
}

function isLong(body: Body): boolean {
  if (typeof body === "string") return Buffer.byteLength(body) >= CODED_BYTES_MIN;
  if (body instanceof Uint8Array) return body.length >= CODED_BYTES_MIN;
  return body.reduce((bytes, part) => bytes + part.length, 0) >= CODED_BYTES_MIN;
}

/** The heaviest, of equal ones the first named, those that only `*` names last. That nothing may be coded is never demanded. */
function preferred(accepted: string): Coding | undefined {
  const weights = new Map<string, number>();
  for (const entry of accepted.split(",")) {
    const semicolon = entry.indexOf(";");
    const name = (semicolon < 0 ? entry : entry.slice(0, semicolon)).trim().toLowerCase();
    if (!weights.has(name)) weights.set(name, semicolon < 0 ? 1 : weight(entry.slice(semicolon)));
  }
  const any = weights.get("*") ?? 0;
  for (const coding of CODINGS) if (!weights.has(coding)) weights.set(coding, any);
  let chosen: Coding | undefined;
  let most = 0;
  for (const [name, its] of weights) {
    const coding = CODINGS.find((known) => known === name);
    if (coding === undefined || its <= most) continue;
    chosen = coding;
    most = its;
  }
  return chosen;
}

/** Of `;q=0.5`. The service takes the first `q=` there is, even at the end of a longer name, and 1 for what it cannot read. */
function weight(parameters: string): number {
  const at = parameters.indexOf("q=");
  if (at < 0) return 1;
  const [value = ""] = parameters.slice(at + 2).split(";", 1);
  const number = value.trim() === "" ? Number.NaN : Number(value);
  return Number.isNaN(number) ? 1 : Math.min(1, number);
}
