import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { badArchiveArgument, checkArchiveOptions } from "../errors.js";

export interface S3ObjectStoreOptions {
  /** The bucket's name; it has to exist. */
  readonly bucket: string;
  /** Stands before every key: `"backup/"`. Default none. */
  readonly prefix?: string;
  /** A client of your own, which stays yours to destroy. Without one, the store makes its own from the next seven options. */
  readonly client?: S3Client;
  /** Any S3-compatible server: `"http://127.0.0.1:9000"`. Default: AWS. */
  readonly endpoint?: string;
  /** The bucket in the path instead of the host's name, as MinIO and most others want it. Default false. */
  readonly forcePathStyle?: boolean;
  /** Default: what the SDK finds; `us-east-1` where an `endpoint` is given. */
  readonly region?: string;
  /** Default: what the SDK finds (environment, profile, instance). */
  readonly credentials?: S3ClientConfig["credentials"];
  /** How often the SDK tries each request before the call fails; a `PatientObjectStore` around it tries the call again. Default 3, 1 to 100. */
  readonly attemptsMax?: number;
  /** A connection that takes longer is given up, and tried again. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** A connection on which nothing moves for so long is given up, and the request tried again. Default 30,000. */
  readonly idleTimeoutMs?: number;
  /** Objects larger than this are uploaded in parts. Default 16 MiB, 0 to 5 GiB. */
  readonly multipartBytes?: number;
  /** Size of a part. Default 8 MiB, 5 MiB to 5 GiB; larger by itself where 10,000 parts would not do. */
  readonly partBytes?: number;
  /** Parts of one object under way at once. Default 4, 1 to 100. */
  readonly partsInFlightMax?: number;
  /** The largest object that is put or read; each is in memory as a whole. Default 1 GiB, up to 4 GiB. */
  readonly objectBytesMax?: number;
  /** Keys that one request for a listing asks for. Default 1,000, the most that S3 gives. */
  readonly keysPerPageMax?: number;
  /** Whether to send `x-amz-checksum-sha256`. Default true; false for servers that refuse what they do not know. */
  readonly checksums?: boolean;
  /**
   * `"prove"` (the default) tries once, before the first create-only put, whether the server honours it, and refuses with `ERR_ARCHIVE_UNSUPPORTED` if
   * not. `"trust"` leaves that out: whoever is wrong about it loses objects to a second writer.
   */
  readonly createOnly?: "prove" | "trust";
}

const optionNames: Record<keyof S3ObjectStoreOptions, 0> = {
  bucket: 0,
  prefix: 0,
  client: 0,
  endpoint: 0,
  forcePathStyle: 0,
  region: 0,
  credentials: 0,
  attemptsMax: 0,
  connectTimeoutMs: 0,
  idleTimeoutMs: 0,
  multipartBytes: 0,
  partBytes: 0,
  partsInFlightMax: 0,
  objectBytesMax: 0,
  keysPerPageMax: 0,
  checksums: 0,
  createOnly: 0,
};

const MiB = 1024 * 1024;

/** Everything checked, nothing left open. */
export function resolveOptions(options: S3ObjectStoreOptions) {
  options = checkArchiveOptions("S3ObjectStore", options, optionNames);
  const { bucket, prefix = "", createOnly = "prove", checksums = true } = options;
  if (typeof bucket !== "string" || bucket === "") throw badArchiveArgument("bucket", "a bucket's name", bucket);
  if (!/^(?:[\w%~=+@,-][\w%~=+@,.-]*\/)*$/.test(prefix) || prefix.length > 100) {
    throw badArchiveArgument("prefix", 'empty or a path that ends in "/", up to 100 characters', prefix);
  }
  if (createOnly !== "prove" && createOnly !== "trust")
    throw badArchiveArgument("createOnly", '"prove" or "trust"', createOnly);
  if (typeof checksums !== "boolean") throw badArchiveArgument("checksums", "true or false", checksums);
  const whole = (name: keyof S3ObjectStoreOptions, preset: number, min: number, max: number): number => {
    const value = options[name] ?? preset;
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
    throw badArchiveArgument(name, `a whole number from ${min} to ${max}`, value);
  };
  return {
    bucket,
    prefix,
    createOnly,
    checksums,
    multipartBytes: whole("multipartBytes", 16 * MiB, 0, 5 * 1024 * MiB),
    partBytes: whole("partBytes", 8 * MiB, 5 * MiB, 5 * 1024 * MiB),
    partsInFlightMax: whole("partsInFlightMax", 4, 1, 100),
    objectBytesMax: whole("objectBytesMax", 1024 * MiB, 0, 4096 * MiB),
    keysPerPageMax: whole("keysPerPageMax", 1000, 1, 1000),
    client: clientFor(options, {
      attemptsMax: whole("attemptsMax", 3, 1, 100),
      connectTimeoutMs: whole("connectTimeoutMs", 5_000, 1, 2 ** 31 - 1),
      idleTimeoutMs: whole("idleTimeoutMs", 30_000, 1, 2 ** 31 - 1),
    }),
  };
}

const clientOptions = [
  "endpoint",
  "forcePathStyle",
  "region",
  "credentials",
  "attemptsMax",
  "connectTimeoutMs",
  "idleTimeoutMs",
] as const;

interface Limits {
  readonly attemptsMax: number;
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

function clientFor(options: S3ObjectStoreOptions, limits: Limits): { client: S3Client; own: boolean } {
  if (options.client !== undefined) {
    const both = clientOptions.find((name) => options[name] !== undefined);
    if (both !== undefined) throw badArchiveArgument(both, "left out where a client is given", options[both]);
    return { client: options.client, own: false };
  }
  const { endpoint, forcePathStyle, credentials, region = endpoint === undefined ? undefined : "us-east-1" } = options;
  const config: S3ClientConfig = {
    maxAttempts: limits.attemptsMax,
    // By default the SDK sets no limit, and a server that stopped answering holds its caller for ever.
    requestHandler: { connectionTimeout: limits.connectTimeoutMs, socketTimeout: limits.idleTimeoutMs },
    // The store sends and checks SHA-256 itself. Left to its default, the SDK adds CRC-32 to every request and wants one back, which a number of
    // S3-compatible servers refuse.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(forcePathStyle === undefined ? {} : { forcePathStyle }),
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
  };
  return { client: new S3Client(config), own: true };
}
