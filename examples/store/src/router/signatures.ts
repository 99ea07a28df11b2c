/** Signature Version 4, verified: each request is signed anew with AWS's own library, and must come to the signature that it carries. */
import { createHash, createHmac, type Hash, type Hmac, timingSafeEqual } from "node:crypto";
import { getCanonicalHeaders, SignatureV4 } from "@smithy/signature-v4";
import { ApiError } from "../api/errors.js";
import { messages } from "../api/messages.js";
import { StoreError } from "../storage-node/errors.js";
import { assertSigned, queryOf, type SignedRequest } from "./authentication.js";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials: a request must carry it. */
  readonly sessionToken?: string;
}

const ALGORITHM = "AWS4-HMAC-SHA256";
const SERVICE = "dynamodb";
const TERMINATOR = "aws4_request";
/** How far a client's clock may be from ours, either way. */
const SKEW_MINUTES = 15;
const SKEW_MS = SKEW_MINUTES * 60_000;
const EXPIRES_SECONDS_MAX = 7 * 24 * 3600;
const DATE = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** What a request says of its signature, from its Authorization header or from its query. */
interface Claim {
  readonly algorithm: string;
  readonly credential: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly date: string;
  readonly token: string | undefined;
  /** Of a presigned request: for how long. */
  readonly expires: string | undefined;
}

export class Signatures {
  readonly #signers = new Map<string, { readonly signer: Signer; readonly token: string | undefined }>();
  readonly #nowMs: () => number;

  /** @throws StoreError ERR_STORE_ARGUMENT for credentials that are none */
  constructor(credentials: readonly Credentials[], nowMs: () => number) {
    this.#nowMs = nowMs;
    for (const { accessKeyId, secretAccessKey, sessionToken } of credentials) {
      if (!/^[\w-]{1,128}$/.test(accessKeyId) || secretAccessKey === "") {
        const why = "expected an access key id of letters, digits, _ and -, and a secret access key that is not empty";
        throw new StoreError("ERR_STORE_ARGUMENT", `credentials: ${why}; got the id ${JSON.stringify(accessKeyId)}`);
      }
      if (this.#signers.has(accessKeyId)) {
        throw new StoreError("ERR_STORE_ARGUMENT", `credentials: the access key id ${accessKeyId} is there twice`);
      }
      const signer = new Signer({
        credentials: { accessKeyId, secretAccessKey },
        // Whatever region a client believes this to be: it is part of what it signs.
        region: "local",
        service: SERVICE,
        sha256: Sha256,
      });
      this.#signers.set(accessKeyId, { signer, token: sessionToken });
    }
  }

  /**
   * In the service's order: form, date, headers, algorithm, scope, key, signature, token.
   * @throws ApiError MissingAuthenticationTokenException, IncompleteSignatureException, InvalidSignatureException or UnrecognizedClientException
   */
  async verify(request: SignedRequest): Promise<void> {
    assertSigned(request.headers, request.url);
    const query = queryOf(request.url);
    const claim = query.has("X-Amz-Algorithm") ? ofQuery(query) : ofHeaders(request.headers);
    const signingDate = this.#dated(claim);
    if (!claim.signedHeaders.includes("host")) throw invalid(messages.hostNotSigned);
    if (claim.algorithm !== ALGORITHM) throw incomplete(messages.algorithmUnsupported(claim.algorithm));
    const { keyId, region } = scopeOf(claim);
    const known = this.#signers.get(keyId);
    if (known === undefined) throw new ApiError("UnrecognizedClientException");
    const signature = await signed(known.signer, request, query, claim, signingDate, region);
    if (signature === undefined || !sameText(signature, claim.signature)) throw invalid();
    if (!sameText(known.token ?? "", claim.token ?? ""))
      throw new ApiError("UnrecognizedClientException", claim.token ? messages.unrecognizedToken : undefined);
  }

  #dated({ date, expires }: Claim): Date {
    const parts = DATE.exec(date);
    const atMs = parts === null ? Number.NaN : Date.parse(date.replace(DATE, "$1-$2-$3T$4:$5:$6Z"));
    if (Number.isNaN(atMs)) throw incomplete(messages.signatureDate(date.slice(0, 32)));
    const nowMs = this.#nowMs();
    const patienceMs = expires === undefined ? SKEW_MS : Number(expires) * 1000;
    if (!(patienceMs > 0 && patienceMs <= EXPIRES_SECONDS_MAX * 1000)) throw incomplete(messages.signatureExpires);
    if (atMs < nowMs - patienceMs) {
      const span = `${basic(nowMs)} - ${Math.round(patienceMs / 60_000)} min.`;
      throw invalid(messages.signatureExpired(date, basic(nowMs - patienceMs), span));
    }
    if (atMs > nowMs + SKEW_MS) {
      const span = `${basic(nowMs)} + ${SKEW_MINUTES} min.`;
      throw invalid(messages.signatureEarly(date, basic(nowMs + SKEW_MS), span));
    }
    return new Date(atMs);
  }
}

/** The signature that the request should carry; undefined where what it says of its payload is not so. */
async function signed(
  signer: Signer,
  { headers, url, body }: SignedRequest,
  query: URLSearchParams,
  { signedHeaders }: Claim,
  signingDate: Date,
  signingRegion: string,
): Promise<string | undefined> {
  // The service sums the payload itself. It takes nobody's word for it, so "unsigned" and "streaming" payloads are not for this protocol.
  const told = headers["x-amz-content-sha256"];
  const sum = createHash("sha256").update(body).digest("hex");
  if (told !== undefined && told !== sum) return undefined;
  const names = new Set(signedHeaders);
  const kept: Record<string, string> = {};
  for (const name of names) {
    const value = headers[name];
    if (value !== undefined) kept[name] = Array.isArray(value) ? value.join(",") : value;
  }
  const at = url.indexOf("?");
  const asked = {
    method: "POST",
    protocol: "http:",
    hostname: "",
    path: at < 0 ? url : url.slice(0, at),
    query: Object.fromEntries([...new Set(query.keys())].map((name) => [name, query.getAll(name)])),
    headers: kept,
  };
  return signer.signatureOf(asked, names, sum, { signingDate, signingRegion });
}

/** AWS's own, for the fields that a request has signed: by itself it would sign some that a client did not, and not the `Date` that others sign. */
class Signer extends SignatureV4 {
  async signatureOf(
    request: Parameters<typeof getCanonicalHeaders>[0],
    names: Set<string>,
    payloadSum: string,
    options: { readonly signingDate: Date; readonly signingRegion: string },
  ): Promise<string> {
    const { longDate, shortDate } = this.formatDate(options.signingDate);
    const fields = getCanonicalHeaders(request, undefined, names);
    const canonical = this.createCanonicalRequest(request, fields, payloadSum);
    const scope = `${shortDate}/${options.signingRegion}/${SERVICE}/${TERMINATOR}`;
    return this.sign(await this.createStringToSign(longDate, scope, canonical, ALGORITHM), options);
  }
}

function ofHeaders(headers: SignedRequest["headers"]): Claim {
  const [algorithm = "", ...rest] = (headers.authorization ?? "").trim().split(/[, ]+/);
  const parameters = new Map(
    rest.map((part): [string, string] => {
      const at = part.indexOf("=");
      return [part.slice(0, at), part.slice(at + 1)];
    }),
  );
  const token = headers["x-amz-security-token"];
  return {
    algorithm,
    credential: parameters.get("Credential") ?? "",
    signedHeaders: (parameters.get("SignedHeaders") ?? "").toLowerCase().split(";"),
    signature: parameters.get("Signature") ?? "",
    date: String(headers["x-amz-date"] ?? headers.date ?? ""),
    token: typeof token === "string" ? token : undefined,
    expires: undefined,
  };
}

function ofQuery(query: URLSearchParams): Claim {
  const of = (name: string) => query.get(name) ?? "";
  return {
    algorithm: of("X-Amz-Algorithm"),
    credential: of("X-Amz-Credential"),
    signedHeaders: of("X-Amz-SignedHeaders").toLowerCase().split(";"),
    signature: of("X-Amz-Signature"),
    date: of("X-Amz-Date"),
    token: query.get("X-Amz-Security-Token") ?? undefined,
    expires: query.get("X-Amz-Expires") ?? String(SKEW_MS / 1000),
  };
}

function scopeOf({ credential, date }: Claim): { keyId: string; region: string } {
  const parts = credential.replace(/\/+$/, "").split("/");
  if (parts.length !== 5) throw incomplete(messages.credentialParts(credential.slice(0, 256)));
  const [keyId, day, region, service, terminator] = parts as [string, string, string, string, string];
  let problem = "";
  if (region === "") problem += messages.scopeRegion;
  if (service !== SERVICE) problem += messages.scopeService(SERVICE);
  if (terminator !== TERMINATOR) problem += messages.scopeTerminator(TERMINATOR, terminator);
  if (day !== date.slice(0, 8)) problem += messages.scopeDate(day, date.slice(0, 8), date);
  if (problem !== "") throw invalid(problem);
  return { keyId, region };
}

function invalid(message?: string): ApiError {
  return new ApiError("InvalidSignatureException", message);
}

function incomplete(message: string): ApiError {
  return new ApiError("IncompleteSignatureException", message);
}

/** As ISO 8601 has it in its basic format. */
function basic(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "");
}

/** In a time that does not tell where they differ. */
function sameText(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Node's own SHA-256, as the library asks for one. */
class Sha256 {
  readonly #secret: string | Uint8Array | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    if (secret === undefined || typeof secret === "string") this.#secret = secret;
    else if (ArrayBuffer.isView(secret))
      this.#secret = new Uint8Array(secret.buffer, secret.byteOffset, secret.byteLength);
    else this.#secret = new Uint8Array(secret);
    this.#hash = this.#begun();
  }

  #begun(): Hash | Hmac {
    return this.#secret === undefined ? createHash("sha256") : createHmac("sha256", this.#secret);
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    this.#hash = this.#begun();
  }
}
