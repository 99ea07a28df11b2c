import { createHash } from "node:crypto";
import { channel } from "node:diagnostics_channel";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { mustSay } from "./s3-errors.js";

export interface MultipartUpload {
  readonly client: S3Client;
  readonly bucket: string;
  readonly key: string;
  readonly bytes: Uint8Array;
  readonly metadata: Record<string, string>;
  readonly createOnly: boolean;
  readonly checksums: boolean;
  readonly partBytes: number;
  readonly partsInFlightMax: number;
  readonly signal: AbortSignal | undefined;
}

const partsMax = 10_000;
/** How long giving up an upload may take; what remains then is for the bucket's lifecycle rule. */
const abortTimeoutMs = 10_000;

const leftBehind = channel("evenkeel:wal:archive-upload-left");

/**
 * Uploads in parts, each with its own checksum, and joins them only where nothing is. An upload that fails is aborted, so that its parts cost nothing;
 * where even that fails `evenkeel:wal:archive-upload-left` says which one is left. Rejects with whatever the SDK threw.
 */
export async function uploadInParts(upload: MultipartUpload): Promise<void> {
  const { client, bucket, key, signal, checksums } = upload;
  const names = { Bucket: bucket, Key: key };
  const { UploadId } = await client.send(
    new CreateMultipartUploadCommand({
      ...names,
      Metadata: upload.metadata,
      ...(checksums ? { ChecksumAlgorithm: "SHA256" } : {}),
    }),
    sendOptions(signal),
  );
  mustSay(UploadId);
  const uploaded = { ...names, UploadId };
  try {
    const parts = await uploadParts(upload, uploaded);
    const { ETag } = await client.send(
      new CompleteMultipartUploadCommand({
        ...uploaded,
        MultipartUpload: { Parts: parts },
        ...(upload.createOnly ? { IfNoneMatch: "*" } : {}),
      }),
      sendOptions(signal),
    );
    mustSay(ETag);
  } catch (error) {
    await abortUpload(client, uploaded);
    throw error;
  }
}

type Uploaded = { readonly Bucket: string; readonly Key: string; readonly UploadId: string | undefined };
type Part = { readonly PartNumber: number; readonly ETag: string | undefined; readonly ChecksumSHA256?: string };

/** The first part that fails stops the others, and all have ended when this rejects: no part arrives behind the abort. */
async function uploadParts(upload: MultipartUpload, uploaded: Uploaded): Promise<Part[]> {
  const partBytes = Math.max(upload.partBytes, Math.ceil(upload.bytes.length / partsMax));
  const count = Math.ceil(upload.bytes.length / partBytes);
  const parts: Part[] = [];
  const stop = new AbortController();
  const signal = upload.signal === undefined ? stop.signal : AbortSignal.any([upload.signal, stop.signal]);
  let failure: { readonly error: unknown } | undefined;
  let next = 0;
  const worker = async (): Promise<void> => {
    while (failure === undefined && next < count) {
      const at = next++;
      const Body = upload.bytes.subarray(at * partBytes, (at + 1) * partBytes);
      const sum = upload.checksums ? { ChecksumSHA256: createHash("sha256").update(Body).digest("base64") } : undefined;
      try {
        const command = new UploadPartCommand({ ...uploaded, PartNumber: at + 1, Body, ...sum });
        const { ETag } = await upload.client.send(command, sendOptions(signal));
        mustSay(ETag);
        parts[at] = { PartNumber: at + 1, ETag, ...sum };
      } catch (error) {
        failure ??= { error };
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, upload.partsInFlightMax) }, worker));
  if (failure !== undefined) throw failure.error;
  return parts;
}

/** Not under the caller's signal: that it aborted may be why we are here. */
async function abortUpload(client: S3Client, uploaded: Uploaded): Promise<void> {
  try {
    const command = new AbortMultipartUploadCommand(uploaded);
    await client.send(command, { abortSignal: AbortSignal.timeout(abortTimeoutMs) });
  } catch (error) {
    if ((error as { name?: unknown }).name === "NoSuchUpload") return;
    if (leftBehind.hasSubscribers)
      leftBehind.publish({ bucket: uploaded.Bucket, key: uploaded.Key, uploadId: uploaded.UploadId, error });
  }
}

export function sendOptions(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
