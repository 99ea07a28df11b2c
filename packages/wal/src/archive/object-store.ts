import { createHash } from "node:crypto";
import { ArchiveError, badArchiveArgument } from "./errors.js";

export interface PutOptions {
  /** SHA-256 of the bytes, as hex. A store that received something else stores nothing and rejects with `ERR_ARCHIVE_CORRUPT`. */
  readonly sha256: string;
  /** Rejects with `ERR_ARCHIVE_EXISTS` when the key is taken, atomically: of several at once one wins and its bytes stay. */
  readonly createOnly?: boolean;
  /** Gives up, with its reason. The bytes may be stored all the same, also later. */
  readonly signal?: AbortSignal;
}

/**
 * Where an archive is kept. Keys are `/`-separated, bytes are stored whole or not at all, and what a `put` resolved for is durable and returned by
 * the next `get`. `list` may be behind. A `put` that rejects with anything but `ERR_ARCHIVE_EXISTS` may have stored all the same, also later.
 * The store does not keep the caller's bytes, which must not change before `put` resolves; what `get` returns is the caller's.
 *
 * Errors are `ArchiveError`s; `retryable` says whether asking again may help. A call whose signal aborts rejects with the signal's reason.
 * No key is another one's folder: with `a/b` in the store, `a` is refused or kept apart, never mixed up with it.
 */
export interface ObjectStore {
  put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void>;
  /** Undefined when there is no such object; any other trouble rejects. */
  get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array | undefined>;
  /** Keys that begin with `prefix`, ascending by their UTF-16 code units; only those behind `after`, if that is given. */
  list(prefix: string, options?: { readonly after?: string; readonly signal?: AbortSignal }): AsyncIterable<string>;
  /** Fine when there is no such object. */
  delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void>;
}

const calls = ["put", "get", "list", "delete"] as const;

/** @throws ArchiveError ERR_ARCHIVE_ARGUMENT for what is no store at all: a call to it would look like a store that is out of order */
export function checkStore(store: ObjectStore): ObjectStore {
  if (calls.every((call) => typeof store?.[call] === "function")) return store;
  throw badArchiveArgument("store", "an object store, with put, get, list and delete", store);
}

/** In hex, as `PutOptions` has it. */
export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** For implementations: refuses keys that no store should be asked for, and bytes that are not what the caller meant. */
export function checkPut(key: string, bytes: Uint8Array, options: PutOptions): void {
  checkKey(key);
  checkSum(key, sha256(bytes), options);
}

/** @throws ArchiveError ERR_ARCHIVE_CORRUPT where what the bytes have is not what was announced */
export function checkSum(key: string, seen: string, options: Pick<PutOptions, "sha256">): void {
  if (seen === options.sha256) return;
  throw new ArchiveError(
    "ERR_ARCHIVE_CORRUPT",
    `${key}: the bytes have SHA-256 ${seen}, announced was ${options.sha256}`,
    { key },
  );
}

/** What S3 (1,024 bytes) and file systems (4,096) take, with room for a prefix in front. */
const keyLengthMax = 900;

/** For implementations: refuses what is no key. @throws ArchiveError ERR_ARCHIVE_ARGUMENT */
export function checkKey(key: string): void {
  if (isKey(key)) return;
  const expected = `/-separated names of letters, digits and %~=+@,.-_, up to ${keyLengthMax} characters, none beginning with a dot`;
  throw badArchiveArgument("key", expected, key);
}

/** For implementations: whether a name found in a store is a key, or something that does not belong to the archive. */
export function isKey(key: string): boolean {
  if (typeof key !== "string" || key.length > keyLengthMax) return false;
  return key.split("/").every((part) => /^[\w%~=+@,-][\w%~=+@,.-]*$/.test(part) && part.length <= 250);
}
