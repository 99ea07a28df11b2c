/** Content codings: those a body may come in, and the one its answer goes out in. */
import { promisify } from "node:util";
import { deflate, gunzip, gzip, inflate, inflateRaw, type Zlib } from "node:zlib";
import { type Body, bytesOf } from "./answer-room.js";

/** In the order in which one is chosen for whoever takes any. */
const CODINGS = ["gzip", "deflate"] as const;
export type Coding = (typeof CODINGS)[number];

/** A shorter answer goes out as it is. */
const CODED_BYTES_MIN = 4_097;

const ENCODE = { gzip: promisify(gzip), deflate: promisify(deflate) } as const;
const DECODE = { gzip: promisify(gunzip), deflate: promisify(inflate) } as const;

/** What programs write before what they have deflated: no name, no comment. */
const GZIP_HEAD = Buffer.from([0x1f, 0x8b, 8, 0]);
const GZIP_HEAD_BYTES = 10;
const GZIP_END_BYTES = 8;
const inflatePart = (bytes: Buffer, maxOutputLength: number) =>
  promisify(inflateRaw)(bytes, { maxOutputLength, info: true }) as unknown as Promise<{ buffer: Buffer; engine: Zlib }>;

/**
 * The body of a request as it was before it was coded, decoded outside the main thread. What stands behind its end is let be, as the service does.
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
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_BUFFER_TOO_LARGE") return "too-large";
    return known === "gzip" && message === "incorrect header check" ? await firstPart(body, bytesMax) : "broken";
  }
}

/** Of gzip that was read, its checksum included, up to what is no other part of it. */
async function firstPart(body: Buffer, bytesMax: number): Promise<Buffer | "broken"> {
  if (!body.subarray(0, GZIP_HEAD.length).equals(GZIP_HEAD)) return "broken";
  const { buffer, engine } = await inflatePart(body.subarray(GZIP_HEAD_BYTES), bytesMax);
  const behind = body.subarray(GZIP_HEAD_BYTES + engine.bytesWritten + GZIP_END_BYTES);
  return behind.subarray(0, GZIP_HEAD.length).equals(GZIP_HEAD) ? "broken" : buffer;
}

/** Done outside the main thread. */
export function encoded(coding: Coding, body: Body): Promise<Buffer> {
  return ENCODE[coding](bytesOf(body));
}

/**
 * The coding of an answer; undefined: it goes out as it is.
 * @param accepted the last Accept-Encoding that was sent
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
    const [coding = "", ...parameters] = entry.split(";");
    const name = coding.trim().toLowerCase();
    weights.set(name, Math.max(weights.get(name) ?? 0, weight(parameters)));
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

/** Of ` q=0.5`, behind other parameters or none: 1 without any, and where it cannot be read. */
function weight(parameters: readonly string[]): number {
  const parameter = parameters.map((its) => its.trim()).find((its) => its.startsWith("q="));
  const value = parameter?.slice(2).trim();
  const number = value ? Number(value) : 1;
  return Number.isNaN(number) ? 1 : Math.min(1, number);
}
