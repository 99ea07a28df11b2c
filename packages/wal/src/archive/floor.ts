import { ArchiveError } from "./errors.js";
import { floorKey, floorPrefix, parseKey } from "./keys.js";
import { noPrevious } from "./manifest.js";
import { checkStore, type ObjectStore, sha256 } from "./object-store.js";
import { createObject, decodeSealedJson, encodeSealedJson, sameBytes, withSignal } from "./sealed-json.js";

/**
 * Where an archive begins. Retention says so before it deletes anything, create-only and numbered, so that a front that was let go is never mistaken
 * for one that was lost, a crash in the middle of deleting leaves nothing in doubt, and of two that run at once one gives way. Floors are never deleted.
 */
export interface Floor {
  /** 0: nothing was ever let go. */
  readonly generation: number;
  /** The state at this sequence is in a snapshot; what leads up to it may be gone. 0 where the archive begins with the first entry. */
  readonly sequence: number;
  /** SHA-256 of that state. */
  readonly snapshotSha256: string | undefined;
  /** First entry of the oldest object that is kept, the one that holds entry `sequence`. */
  readonly first: number;
  /** SHA-256 of the object before that one. */
  readonly previousSha256: string;
  /** What is lost behind the beginning, ascending. */
  readonly gaps: readonly Gap[];
}

/** Entries `from` to `first - 1` are lost: no object vouches for them. The one that begins with `first` follows from none. */
export interface Gap {
  readonly from: number;
  readonly first: number;
  /** No entry before `first` is later. */
  readonly timeMaxMs: number;
}

/** The gap that an entry is in. */
export function gapAt({ gaps }: Floor, sequence: number): Gap | undefined {
  return gaps.find(({ from, first }) => from <= sequence && sequence < first);
}

const floorFormat = "evenkeel-floor/1";
/** With gaps. Written only where there are some: whoever does not know of them must not read across. */
const gapsFormat = "evenkeel-floor/2";
const bottom: Floor = {
  generation: 0,
  sequence: 0,
  snapshotSha256: undefined,
  first: 1,
  previousSha256: noPrevious,
  gaps: [],
};

function encodeFloor(stream: string, floor: Floor): Uint8Array {
  const { generation, sequence, snapshotSha256, first, previousSha256, gaps } = floor;
  return encodeSealedJson({
    format: gaps.length === 0 ? floorFormat : gapsFormat,
    stream,
    generation,
    sequence,
    snapshotSha256,
    first,
    previousSha256,
    ...(gaps.length === 0
      ? {}
      : { gaps: gaps.map(({ from, first: behind, timeMaxMs }) => ({ from, first: behind, timeMaxMs })) }),
  });
}

async function getFloor(
  store: ObjectStore,
  stream: string,
  generation: number,
  signal: AbortSignal | undefined,
): Promise<Floor | undefined> {
  const key = floorKey(stream, generation);
  const bytes = await store.get(key, withSignal(signal));
  if (bytes === undefined) return undefined;
  const fields = decodeSealedJson(key, bytes, [floorFormat, gapsFormat]) as unknown as Partial<Pick<Floor, "gaps">> &
    Omit<Floor, "gaps"> & { readonly stream: string };
  const { sequence, snapshotSha256, first, previousSha256, gaps = [] } = fields;
  // Nothing was let go of yet where an archive has gaps and its beginning.
  const isBottom = gaps.length > 0 && sequence === 0 && first === 1;
  const isSound =
    (isBottom ||
      ([sequence, first].every((value) => Number.isSafeInteger(value) && value >= 1) && first <= sequence)) &&
    gaps.every((gap, at) => gap.from >= (gaps[at - 1]?.first ?? first) && gap.first > gap.from && gap.timeMaxMs >= 0);
  if (fields.stream !== stream || fields.generation !== generation || !isSound) {
    const message = `${key} speaks of generation ${fields.generation} of ${JSON.stringify(fields.stream)} at ${sequence}`;
    throw new ArchiveError("ERR_ARCHIVE_CORRUPT", message, { key });
  }
  return { generation, sequence, snapshotSha256, first, previousSha256, gaps };
}

/** The highest floor. A listing may be old: what follows is asked for by name until there is nothing. */
export async function readFloor(store: ObjectStore, stream: string, signal?: AbortSignal): Promise<Floor> {
  let listed = 0;
  for await (const key of checkStore(store).list(floorPrefix(stream), withSignal(signal))) {
    const parsed = parseKey(stream, key);
    if (parsed?.kind === "floor") listed = Math.max(listed, parsed.generation);
  }
  let floor = bottom;
  if (listed > 0) {
    const found = await getFloor(store, stream, listed, signal);
    const key = floorKey(stream, listed);
    if (found === undefined) {
      throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} is listed and cannot be read`, { key });
    }
    floor = found;
  }
  for (;;) {
    const next = await getFloor(store, stream, floor.generation + 1, signal);
    if (next === undefined) return floor;
    floor = next;
  }
}

/** Raises the floor, and resolves once the store's own read-back says so. Undefined: another floor was there first. */
export async function raiseFloor(
  store: ObjectStore,
  stream: string,
  floor: Floor,
  signal: AbortSignal | undefined,
): Promise<Floor | undefined> {
  const bytes = encodeFloor(stream, floor);
  const key = floorKey(stream, floor.generation);
  await createObject(store, key, bytes, sha256(bytes), signal);
  const stored = await store.get(key, withSignal(signal));
  if (stored === undefined) {
    throw new ArchiveError("ERR_ARCHIVE_HOLE", `${key} was stored and cannot be read back`, { key });
  }
  return sameBytes(stored, bytes) ? floor : undefined;
}
