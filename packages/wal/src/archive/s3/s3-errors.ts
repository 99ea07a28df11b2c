import { ArchiveError, type ArchiveErrorCode } from "../errors.js";

/** What the SDK's errors have in common, and Node's below them. */
interface Failure {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly attempts?: number };
  /** There where the SDK could not make sense of the answer's body. */
  readonly $responseBodyText?: unknown;
}

const damagedOnTheWay = new Set(["BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"]);
const denied = new Set(["ExpiredToken", "CredentialsProviderError"]);
const full = new Set(["QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"]);
/** By name, because an error may come late, in the body of an answer that began as 200. */
const transient = new Set([
  // The caller's signal is heard before: this is a time limit of the store's own.
  "AbortError",
  "InternalError",
  // Somebody cleared it away under our hands; a new upload is a new chance.
  "NoSuchUpload",
  "RequestLimitExceeded",
  "RequestTimeout",
  "ServiceUnavailable",
  "SlowDown",
  "ThrottlingException",
  "TimeoutError",
]);
const transientStatus = new Set([408, 409, 429]);
/** What is not S3's answer, though its status is that of success: a page for people from a proxy in between. That passes. */
const notFromS3 = "NotFromS3";
const transientSystem = new Set([
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ERR_STREAM_PREMATURE_CLOSE",
  "ETIMEDOUT",
]);

/** Turns whatever the SDK threw into an error of ours, judged by its code and status, never by its words. */
export function s3Error(doing: string, key: string, cause: unknown): ArchiveError {
  if (cause instanceof ArchiveError) return cause;
  const { code, retryable } = judge(cause as Failure);
  return new ArchiveError(code, `cannot ${doing} ${key}: ${described(cause as Failure)}`, { key, cause, retryable });
}

function judge(failure: Failure): { code: ArchiveErrorCode; retryable: boolean } {
  const name = String(failure.name);
  const status = httpStatus(failure);
  if (damagedOnTheWay.has(name)) return { code: "ERR_ARCHIVE_CORRUPT", retryable: true };
  if (denied.has(name)) return { code: "ERR_ARCHIVE_DENIED", retryable: false };
  if (full.has(name) || status === 507) return { code: "ERR_ARCHIVE_FULL", retryable: false };
  const isGarbled = name === notFromS3 || (status === 200 && failure.$responseBodyText !== undefined);
  if (isGarbled || transient.has(name) || transientSystem.has(String(failure.code)))
    return { code: "ERR_ARCHIVE_STORE", retryable: true };
  if (status === 401 || status === 403) return { code: "ERR_ARCHIVE_DENIED", retryable: false };
  if (status === 501) return { code: "ERR_ARCHIVE_UNSUPPORTED", retryable: false };
  return {
    code: "ERR_ARCHIVE_STORE",
    retryable: status !== undefined && (status >= 500 || transientStatus.has(status)),
  };
}

/** What S3 says in each answer of a kind, and nobody else: a header of its own, or an element. Without it nothing was done that the status speaks of. */
export function mustSay(said: unknown): void {
  if (said !== undefined) return;
  throw Object.assign(new Error("the answer is not S3's own: does a proxy stand in between?"), { name: notFromS3 });
}

/** `NoSuchKey: The specified key does not exist. (404)`; an error page of a proxy has no more than its status. */
function described(failure: Failure): string {
  const status = httpStatus(failure);
  const words = [failure.name, failure.message].filter((word) => word !== undefined && word !== "").join(": ");
  return status === undefined ? words : `${words} (HTTP ${status})`;
}

export function httpStatus(failure: unknown): number | undefined {
  return (failure as Failure | undefined)?.$metadata?.httpStatusCode;
}

/** Whether the SDK tried more than once before this: then an earlier attempt may have done what this one met. */
export function wasRepeated(failure: unknown): boolean {
  return ((failure as Failure | undefined)?.$metadata?.attempts ?? 1) > 1;
}

export function errorName(failure: unknown): string {
  return String((failure as Failure | undefined)?.name);
}

/** The key is taken. */
export function isPreconditionFailed(failure: unknown): boolean {
  return httpStatus(failure) === 412;
}

/** Others wrote or deleted the key at the same moment; S3 wants the whole upload to be made again. */
export function isConflict(failure: unknown): boolean {
  return httpStatus(failure) === 409;
}

/** A missing object, and not a missing bucket: that is a mistake, never an empty archive. */
export function isNoSuchObject(failure: unknown): boolean {
  return httpStatus(failure) === 404 && ["NoSuchKey", "NotFound"].includes(errorName(failure));
}
