import type { ArchiveObject, ArchiveObjectBuilder } from "../core/archive-object.js";
import type { Compression } from "../core/stored-body.js";
import { pack } from "./codec.js";
import { sha256InTurns } from "./hashing.js";
import { objectKey } from "./keys.js";
import { type Manifest, manifestFormat, noPrevious } from "./manifest.js";
import { verifyCanonical } from "./object.js";

/** What the next object follows from. */
export interface Tip {
  readonly last: number;
  readonly sha256: string;
  readonly timeMaxMs: number;
}

export const noTip: Tip = { last: 0, sha256: noPrevious, timeMaxMs: 0 };

/** An object as this replica would archive it: complete and verified. */
export interface Draft {
  readonly object: ArchiveObject;
  /** Canonical form. */
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly before: Tip;
  readonly after: Tip;
}

/** Nothing is added to `builder` meanwhile. */
export async function draftOf(builder: ArchiveObjectBuilder, stream: string, before: Tip): Promise<Draft> {
  const { bytes } = builder.finish(before.sha256);
  const hash = await sha256InTurns(bytes);
  const object = await verifyCanonical(bytes, stream, before.last + 1, undefined, true);
  const after = { last: object.last, sha256: hash, timeMaxMs: Math.max(before.timeMaxMs, object.timeMaxMs) };
  return { object, bytes, sha256: hash, before, after };
}

/** What is to be stored for a draft. */
export interface PackedDraft {
  readonly compression: Compression;
  readonly stored: Uint8Array;
  readonly storedSha256: string;
}

export async function packDraft(draft: Draft, wanted: Compression): Promise<PackedDraft> {
  const { compression, stored } = await pack(draft.bytes, draft.sha256, wanted, false);
  return { compression, stored, storedSha256: stored === draft.bytes ? draft.sha256 : await sha256InTurns(stored) };
}

/** What is stored for the canonical bytes of `draft`, by us or by another. */
export interface StoredAs {
  readonly compression: Compression;
  readonly storedBytes: number;
  readonly storedSha256: string;
}

export function describe(draft: Omit<Draft, "before">, as: StoredAs): Manifest {
  const { object, bytes, after } = draft;
  return {
    format: manifestFormat,
    stream: object.stream,
    object: objectKey(object.stream, object.first),
    first: object.first,
    last: object.last,
    firstTimeMs: object.firstTimeMs,
    lastTimeMs: object.lastTimeMs,
    timeMaxMs: after.timeMaxMs,
    count: object.count,
    bytes: bytes.length,
    sha256: draft.sha256,
    previousSha256: object.previousSha256,
    compression: as.compression,
    storedBytes: as.storedBytes,
    storedSha256: as.storedSha256,
  };
}
