import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { ArchiveError } from "../errors.js";
import { checkKey, checkPut, isKey, type ObjectStore, type PutOptions, sha256 } from "../object-store.js";
import { proveCreateOnly, settleConflicts } from "./create-only.js";
import { sendOptions, uploadInParts } from "./multipart.js";
import {
  errorName,
  httpStatus,
  isNoSuchObject,
  isPreconditionFailed,
  mustSay,
  s3Error,
  wasRepeated,
} from "./s3-errors.js";
import { resolveOptions, type S3ObjectStoreOptions } from "./s3-options.js";

/**
 * What a reader checks an object against. Kept as metadata because that comes back with every read from every server, also for objects uploaded in
 * parts, whose own checksum S3 keeps in a form that cannot be computed from the bytes alone.
 */
const sumName = "evenkeel-sha256";

export interface S3ObjectStoreStats {
  /** Calls that succeeded. Of a listing each page counts. */
  readonly puts: number;
  readonly gets: number;
  readonly pages: number;
  readonly deletes: number;
  /** Calls that failed, for whatever reason but a signal; that a key is taken counts too. */
  readonly failures: number;
  readonly bytesPut: number;
  readonly bytesGot: number;
}

type Wanted = { readonly signal?: AbortSignal } | undefined;
type Doing = "puts" | "gets" | "pages" | "deletes";
const words: Readonly<Record<Doing, string>> = { puts: "put", gets: "get", pages: "list", deletes: "delete" };

/**
 * An object store in S3, or in whatever speaks its language. `put` is atomic and create-only by `If-None-Match`; the server checks what arrived
 * against its SHA-256, and `get` checks it again on the way back. Large objects go in parts. Objects that something else put there, without
 * the metadata `evenkeel-sha256`, are checked for their length alone.
 */
export class S3ObjectStore implements ObjectStore {
  readonly #options: ReturnType<typeof resolveOptions>;
  readonly #counted = { puts: 0, gets: 0, pages: 0, deletes: 0, failures: 0, bytesPut: 0, bytesGot: 0 };
  #proof: Promise<void> | undefined;

  constructor(options: S3ObjectStoreOptions) {
    this.#options = resolveOptions(options);
  }

  stats(): S3ObjectStoreStats {
    return { ...this.#counted };
  }

  /** Frees the connections, unless the client was handed in. Calls under way fail. */
  close(): void {
    if (this.#options.client.own) this.#client.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    options.signal?.throwIfAborted();
    checkPut(key, bytes, options);
    if (bytes.length > this.#options.objectBytesMax) throw this.#tooLarge(key, bytes.length);
    await this.#under(options, "puts", key, async () => {
      if (options.createOnly === true) await this.#createOnlyProven(options.signal);
      const doubt = { mayBeStored: false };
      await settleConflicts(options.signal, () => this.#write(key, bytes, options, doubt));
      this.#counted.bytesPut += bytes.length;
    });
  }

  async get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array | undefined> {
    options?.signal?.throwIfAborted();
    checkKey(key);
    return this.#under(options, "gets", key, async () => {
      try {
        return await this.#read(key, options?.signal);
      } catch (error) {
        // A second look tells damage on the way from rot in the store, which is a matter for people.
        if (!(error instanceof ArchiveError) || error.code !== "ERR_ARCHIVE_CORRUPT") throw error;
        return await this.#read(key, options?.signal);
      }
    });
  }

  async *list(
    prefix: string,
    options?: { readonly after?: string; readonly signal?: AbortSignal },
  ): AsyncGenerator<string, void, undefined> {
    let before = options?.after;
    let token: string | undefined;
    do {
      options?.signal?.throwIfAborted();
      const page = await this.#under(options, "pages", prefix, () => this.#page(prefix, options, token));
      for (const { Key: name = "" } of page.Contents ?? []) {
        const key = name.slice(this.#options.prefix.length);
        if (!isKey(key)) continue;
        if (before !== undefined && key <= before) throw this.#disordered(prefix, before, key);
        before = key;
        yield key;
        options?.signal?.throwIfAborted();
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
      // Without a token there is no way on, and to stop here would hide the rest.
      if (page.IsTruncated === true && token === undefined) throw this.#disordered(prefix, before, undefined);
    } while (token !== undefined);
  }

  async delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void> {
    options?.signal?.throwIfAborted();
    checkKey(key);
    await this.#under(options, "deletes", key, async () => {
      try {
        await this.#client.send(new DeleteObjectCommand(this.#named(key)), sendOptions(options?.signal));
      } catch (error) {
        if (!isNoSuchObject(error)) throw error;
      }
    });
  }

  get #client() {
    return this.#options.client.client;
  }

  #named(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#options.prefix + key };
  }

  async #write(key: string, bytes: Uint8Array, options: PutOptions, doubt: { mayBeStored: boolean }): Promise<void> {
    const createOnly = options.createOnly === true;
    const inParts = bytes.length > this.#options.multipartBytes;
    // S3 would tell only after all parts have been uploaded.
    let taken = createOnly && inParts && (await this.#stored(key, options.signal)) !== undefined;
    let cause: unknown;
    try {
      if (!taken && inParts) return await this.#writeInParts(key, bytes, options);
      if (!taken) return await this.#writeWhole(key, bytes, options);
    } catch (error) {
      // The answer to an earlier attempt may have been lost: what is in the way may be our own.
      doubt.mayBeStored ||= wasRepeated(error);
      taken = isPreconditionFailed(error);
      if (!taken && errorName(error) !== "NoSuchUpload") throw error;
      cause = error;
    }
    if (doubt.mayBeStored && (await this.#stored(key, options.signal)) === options.sha256) return;
    throw taken ? new ArchiveError("ERR_ARCHIVE_EXISTS", `${key} exists already`, { key, cause }) : cause;
  }

  async #writeWhole(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    const command = new PutObjectCommand({
      ...this.#named(key),
      Body: bytes,
      ContentLength: bytes.length,
      Metadata: { [sumName]: options.sha256 },
      ...(this.#options.checksums ? { ChecksumSHA256: Buffer.from(options.sha256, "hex").toString("base64") } : {}),
      ...(options.createOnly === true ? { IfNoneMatch: "*" } : {}),
    });
    mustSay((await this.#client.send(command, sendOptions(options.signal))).ETag);
  }

  async #writeInParts(key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
    const { Bucket, Key } = this.#named(key);
    await uploadInParts({
      ...this.#options,
      client: this.#client,
      bucket: Bucket,
      key: Key,
      bytes,
      metadata: { [sumName]: options.sha256 },
      createOnly: options.createOnly === true,
      signal: options.signal,
    });
  }

  /** The checksum of what is stored, "" when it carries none, undefined when there is nothing. */
  async #stored(key: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    try {
      const { ETag, Metadata } = await this.#client.send(new HeadObjectCommand(this.#named(key)), sendOptions(signal));
      mustSay(ETag);
      return Metadata?.[sumName] ?? "";
    } catch (error) {
      // To HEAD a server cannot say what is missing; a missing bucket comes out with the next request.
      if (httpStatus(error) === 404) return undefined;
      throw error;
    }
  }

  async #read(key: string, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    let answer: GetObjectCommandOutput;
    try {
      answer = await this.#client.send(new GetObjectCommand(this.#named(key)), sendOptions(signal));
    } catch (error) {
      if (isNoSuchObject(error)) return undefined;
      throw error;
    }
    if (answer.ETag === undefined) discard(answer);
    mustSay(answer.ETag);
    const bytes = await this.#body(key, answer);
    this.#counted.bytesGot += bytes.length;
    const sum = answer.Metadata?.[sumName];
    if (sum === undefined || sum === sha256(bytes)) return bytes;
    throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key}: what came back is not what was stored`, { key });
  }

  async #body(key: string, answer: GetObjectCommandOutput): Promise<Uint8Array> {
    const { Body, ContentLength } = answer;
    if (Body === undefined) return new Uint8Array();
    if (ContentLength === undefined || ContentLength > this.#options.objectBytesMax) {
      discard(answer);
      throw this.#tooLarge(key, ContentLength);
    }
    try {
      const bytes = await Body.transformToByteArray();
      if (bytes.length === ContentLength) return bytes;
    } catch (cause) {
      // What fails on the way has a code or is a time-out. What has neither is the SDK's own check, if the client was told to make it.
      const { code, name } = cause as { code?: unknown; name?: unknown };
      if (code !== undefined || name === "TimeoutError" || name === "AbortError") throw cause;
      throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key}: what came back is not what was stored`, { key, cause });
    }
    const message = `${key}: the answer ended before its ${ContentLength} bytes`;
    throw new ArchiveError("ERR_ARCHIVE_STORE", message, { key, retryable: true });
  }

  async #page(
    prefix: string,
    options: { readonly after?: string; readonly signal?: AbortSignal } | undefined,
    token: string | undefined,
  ): Promise<ListObjectsV2CommandOutput> {
    const { bucket, keysPerPageMax } = this.#options;
    const from = options?.after === undefined ? {} : { StartAfter: this.#options.prefix + options.after };
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: this.#options.prefix + prefix,
      MaxKeys: keysPerPageMax,
      ...(token === undefined ? from : { ContinuationToken: token }),
    });
    const page = await this.#client.send(command, sendOptions(options?.signal));
    // Taken for a listing it would be an empty one.
    mustSay(page.IsTruncated ?? page.Contents);
    return page;
  }

  /** One proof for all who wait; none of them can abort it for the others. What it could not find out is asked again. */
  async #createOnlyProven(signal: AbortSignal | undefined): Promise<void> {
    if (this.#options.createOnly === "trust") return;
    this.#proof ??= proveCreateOnly({ ...this.#options, client: this.#client }).catch((error: unknown) => {
      this.#proof = undefined;
      throw error;
    });
    await unlessAborted(this.#proof, signal);
  }

  async #under<T>(options: Wanted, doing: Doing, key: string, work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      this.#counted[doing]++;
      return result;
    } catch (error) {
      options?.signal?.throwIfAborted();
      this.#counted.failures++;
      throw s3Error(words[doing], key, error);
    }
  }

  #tooLarge(key: string, bytes: number | undefined): ArchiveError {
    const seen = bytes === undefined ? "an unknown number of" : String(bytes);
    const message = `${key} has ${seen} bytes; objectBytesMax is ${this.#options.objectBytesMax}`;
    return new ArchiveError("ERR_ARCHIVE_UNSUPPORTED", message, { key });
  }

  #disordered(prefix: string, before: string | undefined, key: string | undefined): ArchiveError {
    const what = key === undefined ? "and does not say how to go on" : `${key} behind it`;
    const message = `the server lists ${before ?? prefix} and ${what}: listings must be in order and whole (directory buckets' are not)`;
    return new ArchiveError("ERR_ARCHIVE_UNSUPPORTED", message, { key: prefix });
  }
}

/** Nobody reads its body. */
function discard({ Body }: GetObjectCommandOutput): void {
  (Body as { destroy?: () => void } | undefined)?.destroy?.();
}

/** Leaves what others wait for too, without ending it. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}
