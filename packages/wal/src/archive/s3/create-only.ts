import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { ArchiveError } from "../errors.js";
import { isConflict, isPreconditionFailed, mustSay } from "./s3-errors.js";

const conflictAttemptsMax = 6;
const backoffMs = 25;

/**
 * S3 answers 409 when others wrote or deleted the same key meanwhile, and says nothing about who won: the upload has to be made again, and then is
 * stored or meets the winner. Bounded, with full jitter, so that many writers of one key do not meet again and again.
 */
export async function settleConflicts<T>(signal: AbortSignal | undefined, write: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      if (!isConflict(error) || attempt >= conflictAttemptsMax) throw error;
      const waitMs = Math.random() * backoffMs * 2 ** attempt;
      await delay(waitMs, undefined, signal === undefined ? {} : { signal });
    }
  }
}

/** No key of an archive begins with a dot, so this one is nobody's, and no listing shows it. */
export const probeKey = ".evenkeel/create-only";

const probeText = "Shows whether this server honours If-None-Match. Never overwritten; may be deleted.\n";
/** All wait for it, so it must end also with a client that has no time-outs. */
const probeTimeoutMs = 30_000;

/**
 * Many a server that speaks S3 ignores `If-None-Match` and overwrites. That shows only when it is too late, so it is tried on an object of no
 * value: one that exists must not be created. The object stays, so that the next process needs a single request.
 */
export async function proveCreateOnly(target: {
  readonly client: S3Client;
  readonly bucket: string;
  readonly prefix: string;
  readonly checksums: boolean;
}): Promise<void> {
  const { client, bucket } = target;
  const command = {
    Bucket: bucket,
    Key: `${target.prefix}${probeKey}`,
    Body: probeText,
    IfNoneMatch: "*",
    // A bucket with object lock takes nothing without one.
    ...(target.checksums ? { ChecksumSHA256: createHash("sha256").update(probeText).digest("base64") } : {}),
  };
  const created = () =>
    settleConflicts(undefined, async () => {
      try {
        const put = new PutObjectCommand(command);
        mustSay((await client.send(put, { abortSignal: AbortSignal.timeout(probeTimeoutMs) })).ETag);
        return true;
      } catch (error) {
        if (isPreconditionFailed(error)) return false;
        throw error;
      }
    });
  if (!(await created()) || !(await created())) return;
  const message = `the server of bucket ${bucket} ignores If-None-Match and overwrites what exists; an archive there is not safe from a second writer`;
  throw new ArchiveError("ERR_ARCHIVE_UNSUPPORTED", message, { key: probeKey });
}
