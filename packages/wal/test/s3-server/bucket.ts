import { createHash } from "node:crypto";
import { Refusal } from "./refusal.js";

const knownChecksums = ["x-amz-checksum-algorithm", "x-amz-checksum-crc32", "x-amz-checksum-sha256"];

export interface StoredObject {
  readonly bytes: Buffer;
  readonly metadata: Readonly<Record<string, string>>;
  readonly etag: string;
  /** Base64; "sum-of-sums-N" for an object that came in N parts. */
  readonly checksum: string | undefined;
}

interface Upload {
  readonly key: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly checksums: boolean;
  readonly parts: Map<number, StoredObject>;
}

const partBytesMin = 5 * 1024 * 1024;
const digest = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest();

/** What S3 keeps and in what order it decides, without any of the HTTP around it. */
export class Bucket {
  readonly objects = new Map<string, StoredObject>();
  readonly uploads = new Map<string, Upload>();
  /** When each key was last written or deleted, in writes of this bucket. */
  readonly #changes = new Map<string, number>();
  #clock = 0;
  #uploads = 0;

  /** What a request has to remember from when it began, to be told that somebody came between. */
  get now(): number {
    return this.#clock;
  }

  put(key: string, object: StoredObject, condition: { readonly ifNoneMatch: boolean; readonly since: number }): void {
    if (condition.ifNoneMatch) {
      if ((this.#changes.get(key) ?? 0) > condition.since) throw new Refusal(409, "ConditionalRequestConflict");
      if (this.objects.has(key)) throw new Refusal(412, "PreconditionFailed");
    }
    this.objects.set(key, object);
    this.#changes.set(key, ++this.#clock);
  }

  delete(key: string): void {
    this.objects.delete(key);
    this.#changes.set(key, ++this.#clock);
  }

  begin(key: string, metadata: Readonly<Record<string, string>>, checksums: boolean): string {
    const id = `upload-${++this.#uploads}`;
    this.uploads.set(id, { key, metadata, checksums, parts: new Map() });
    return id;
  }

  upload(id: string, key: string): Upload {
    const upload = this.uploads.get(id);
    if (upload === undefined || upload.key !== key) throw new Refusal(404, "NoSuchUpload");
    return upload;
  }

  /** The object that the named parts make, if they are all there, in order, large enough, and what was uploaded. */
  joined(
    id: string,
    key: string,
    named: readonly { readonly number: number; readonly etag: string; readonly checksum: string | undefined }[],
  ): StoredObject {
    const { parts, metadata, checksums } = this.upload(id, key);
    const chosen = named.map(({ number, etag, checksum }, at) => {
      if (at > 0 && number <= (named[at - 1]?.number ?? 0)) throw new Refusal(400, "InvalidPartOrder");
      const part = parts.get(number);
      if (part === undefined || part.etag !== etag || (checksums && part.checksum !== checksum))
        throw new Refusal(400, "InvalidPart");
      if (at < named.length - 1 && part.bytes.length < partBytesMin) throw new Refusal(400, "EntityTooSmall");
      return part;
    });
    if (chosen.length === 0) throw new Refusal(400, "MalformedXML");
    const sums = Buffer.concat(chosen.map((part) => Buffer.from(part.checksum ?? "", "base64")));
    return {
      bytes: Buffer.concat(chosen.map((part) => part.bytes)),
      metadata,
      etag: `"${digest("md5", Buffer.concat(chosen.map((part) => digest("md5", part.bytes)))).toString("hex")}-${chosen.length}"`,
      checksum: checksums ? `${digest("sha256", sums).toString("base64")}-${chosen.length}` : undefined,
    };
  }
}

/** Refuses bytes that are not what their checksum says; what is announced and not understood is refused too, never ignored. */
export function storedObject(
  bytes: Buffer,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): StoredObject {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith("x-amz-meta-")) metadata[name.slice("x-amz-meta-".length)] = String(value);
    if (name.startsWith("x-amz-checksum-") && !knownChecksums.includes(name))
      throw new Refusal(501, "NotImplemented", name);
  }
  const sum = digest("sha256", bytes).toString("base64");
  const announced = headers["x-amz-checksum-sha256"];
  if (announced !== undefined && announced !== sum) throw new Refusal(400, "BadDigest");
  return {
    bytes,
    metadata,
    etag: `"${digest("md5", bytes).toString("hex")}"`,
    checksum: announced === undefined ? undefined : sum,
  };
}
