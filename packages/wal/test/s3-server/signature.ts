import { createHash, createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Refusal } from "./refusal.js";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const skewMaxMs = 15 * 60_000;

/**
 * AWS Signature Version 4, from the specification and not from the SDK, so that a request is believed only if somebody with the secret signed exactly
 * this method, path, query, these headers and this payload hash.
 */
export function verifySignature(request: IncomingMessage, credentials: Credentials, nowMs: number): void {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      request.headers.authorization ?? "",
    );
  if (match === null) throw new Refusal(403, "AccessDenied", "the request is not signed by Signature Version 4");
  const [, accessKeyId = "", day = "", region = "", names = "", signature = ""] = match;
  if (accessKeyId !== credentials.accessKeyId) throw new Refusal(403, "InvalidAccessKeyId");
  const signed = names.split(";");
  const unsigned = Object.keys(request.headers).filter((name) => name.startsWith("x-amz-") && !signed.includes(name));
  if (unsigned.length > 0 || !signed.includes("host")) throw new Refusal(403, "AccessDenied", `unsigned: ${unsigned}`);
  const at = String(request.headers["x-amz-date"]);
  const atMs = Date.parse(at.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (!(Math.abs(atMs - nowMs) <= skewMaxMs) || !at.startsWith(day)) throw new Refusal(403, "RequestTimeTooSkewed");
  const canonical = [
    request.method,
    canonicalPath(request.url ?? ""),
    canonicalQuery(request.url ?? ""),
    ...signed.map((name) => `${name}:${String(request.headers[name]).trim().replace(/ +/g, " ")}`),
    "",
    names,
    request.headers["x-amz-content-sha256"],
  ].join("\n");
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", at, scope, hex(canonical)].join("\n");
  const key = [day, region, "s3", "aws4_request"].reduce<string | Buffer>(
    (secret, part) => createHmac("sha256", secret).update(part).digest(),
    `AWS4${credentials.secretAccessKey}`,
  );
  if (createHmac("sha256", key).update(text).digest("hex") !== signature)
    throw new Refusal(403, "SignatureDoesNotMatch");
}

/** The hash that was signed is the hash of what arrived. Only whole, signed payloads: nothing else is sent by what is tested here. */
export function verifyPayload(request: IncomingMessage, body: Buffer): void {
  const announced = String(request.headers["x-amz-content-sha256"]);
  if (announced === "UNSIGNED-PAYLOAD") return;
  if (announced.startsWith("STREAMING-")) throw new Refusal(501, "NotImplemented", announced);
  if (createHash("sha256").update(body).digest("hex") !== announced)
    throw new Refusal(400, "XAmzContentSHA256Mismatch");
}

function hex(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function canonicalPath(url: string): string {
  const [path = ""] = url.split("?");
  return path
    .split("/")
    .map((part) => encode(decodeURIComponent(part)))
    .join("/");
}

function canonicalQuery(url: string): string {
  const query = url.split("?")[1] ?? "";
  if (query === "") return "";
  return query
    .split("&")
    .map((pair) => {
      const [name = "", value = ""] = pair.split("=");
      return `${encode(decodeURIComponent(name))}=${encode(decodeURIComponent(value))}`;
    })
    .sort()
    .join("&");
}
