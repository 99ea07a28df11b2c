import type { Compression } from "../core/stored-body.js";
import { divergence } from "./alarm.js";
import { unpacksTo } from "./codec.js";
import { type Draft, describe, type PackedDraft } from "./draft.js";
import { ArchiveError } from "./errors.js";
import { sha256InTurns } from "./hashing.js";
import { manifestKey, objectKey } from "./keys.js";
import { decodeManifest, encodeManifest, type Manifest, readManifest, sameManifest } from "./manifest.js";
import { verifyStored } from "./object.js";
import { type ObjectStore, sha256 } from "./object-store.js";
import { createObject, getExisting, sameBytes } from "./sealed-json.js";

/** What became of a draft. */
export type Settled =
  /** It is there, by whomever, and was read back: this is what may be said of it. */
  | { readonly kind: "stored"; readonly manifest: Manifest; readonly isVouchedFor: boolean }
  /** Another's object stands there and ends elsewhere. */
  | { readonly kind: "other"; readonly through: number };

/**
 * Stores the object where nothing is, and reads back what is there then. Where another replica's is vouched for already, its manifest is compared and
 * nothing is uploaded.
 */
export async function storeObject(
  store: ObjectStore,
  draft: Draft,
  packing: Promise<PackedDraft>,
  signal: AbortSignal | undefined,
): Promise<Settled> {
  const { stream, first, last } = draft.object;
  const key = objectKey(stream, first);
  const known = await readManifest(store, stream, first, signal);
  if (known !== undefined) {
    if (known.last !== last) return { kind: "other", through: known.last };
    if (sameManifest(describe(draft, known), known)) return { kind: "stored", manifest: known, isVouchedFor: true };
    throw divergence(stream, key, "what is archived is not what this replica has");
  }
  const packed = await packing;
  await createObject(store, key, packed.stored, packed.storedSha256, signal);
  const stored = await getExisting(store, key, signal);
  if (stored.length === packed.stored.length && sameBytes(stored, packed.stored)) {
    // Whether they can be unpacked again is part of the question, and nobody else will ask before the local copy is gone.
    if (packed.compression !== "none" && !(await unpacksTo(stored, draft.bytes))) {
      throw new ArchiveError("ERR_ARCHIVE_CORRUPT", `${key} does not unpack to what was packed`, { key });
    }
    return settled(draft, packed.compression, stored.length, packed.storedSha256);
  }
  const theirs = await verifyStored(stored, stream, first);
  if (theirs.object.last !== last) return { kind: "other", through: theirs.object.last };
  if (theirs.sha256 !== draft.sha256 || !sameBytes(theirs.bytes, draft.bytes)) {
    throw divergence(stream, key, "what is archived is not what this replica has");
  }
  return settled(draft, theirs.compression, stored.length, await sha256InTurns(stored));
}

function settled(draft: Draft, compression: Compression, storedBytes: number, storedSha256: string): Settled {
  const manifest = describe(draft, { compression, storedBytes, storedSha256 });
  return { kind: "stored", manifest, isVouchedFor: false };
}

/** Writes the manifest where nothing is, and makes sure that the one which is there then says the same. */
export async function vouchFor(store: ObjectStore, manifest: Manifest, signal: AbortSignal | undefined): Promise<void> {
  const key = manifestKey(manifest.stream, manifest.first);
  const bytes = encodeManifest(manifest);
  await createObject(store, key, bytes, sha256(bytes), signal);
  const stored = await getExisting(store, key, signal);
  if (sameBytes(stored, bytes)) return;
  if (sameManifest(decodeManifest(stored, manifest.stream, manifest.first), manifest)) return;
  throw divergence(manifest.stream, key, "what is archived is not what this replica has");
}
