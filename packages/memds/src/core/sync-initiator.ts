import type { Entry } from "./block.js";
import { compareBytes } from "./bytes.js";
import type { Change } from "./diff.js";
import { Elements } from "./elements.js";
import { MemdsError } from "./errors.js";
import { type Hash, Inner, type Node } from "./node.js";
import { everything, keysBeside, type Position, readSplit, shortDigest, subtreeAt } from "./positions.js";
import type { RangeTree } from "./range-tree.js";
import { decodeSnapshot, type Snapshot } from "./snapshot.js";
import { entriesNamedAtOnceMax, packBits, type SyncEdge, treeFormat, unpackedBytesMax } from "./sync-responder.js";
import { Reader, Writer } from "./wire.js";

export interface RemoteRoot {
  readonly isReady: boolean;
  readonly version: number;
  readonly size: number;
  readonly bytes: number;
  readonly rootHash: Uint8Array;
}

/** The other side's session: one payload to one payload, in order. */
export interface SyncChannel {
  ask(what: "root" | "split" | "buckets" | "descend" | "fetch" | "whole", payload: Uint8Array): Promise<Uint8Array>;
}

/** What the asking side needs of the platform: `random` gives 32 random bits. */
export interface AskingEdge extends SyncEdge {
  readonly random: () => number;
}

/** Places that are looked into one by one; with more, what differs is all over the tree, and buckets find it in fewer bytes. */
const frontierMax = 256;
/** How often what differs is searched, before everything is asked for. Each time leaves about one in thirty to the next. */
const attemptsMax = 8;

export async function askRoot(channel: SyncChannel): Promise<RemoteRoot> {
  const reader = new Reader(await channel.ask("root", new Uint8Array(0)), "ERR_MEMDS_PROTOCOL");
  const format = reader.u8();
  if (format !== treeFormat) {
    throw new MemdsError(
      "ERR_MEMDS_UNSUPPORTED",
      `trees of format ${format} cannot be compared with those of format ${treeFormat}`,
    );
  }
  const isReady = (reader.u8() & 1) === 1;
  return {
    isReady,
    version: reader.u64(),
    size: reader.varint(),
    bytes: reader.varint(),
    rootHash: reader.copy(32),
  };
}

/**
 * The tree that the other side holds, made from our own by asking for what differs. The bytes that go over the wire follow what differs: Merkle
 * hashes narrow it down to places of the tree while it stands in few, then buckets of hashed keys find the entries, six to nine bytes for each.
 * Short hashes may miss some; the whole root hash tells, and the next attempt finds them. Nothing is returned whose root is not the other's.
 */
export async function reconcile(
  own: RangeTree | undefined,
  remote: RemoteRoot,
  channel: SyncChannel,
  edge: AskingEdge,
): Promise<RangeTree> {
  let tree = own;
  // Who holds little would name nearly all entries one by one.
  for (let attempt = 0; tree !== undefined && tree.size * 2 >= remote.size && attempt < attemptsMax; attempt++) {
    if (compareBytes(tree.rootHash, remote.rootHash) === 0) return tree;
    const { places, removed } = await narrow(tree, channel, edge.hash);
    const changes = await exchange(tree.root, places, channel, edge);
    const put = new Set(changes.map(({ key }) => key.join()));
    tree = tree.apply([...changes, ...removed.filter(({ key }) => !put.has(key.join()))]);
  }
  if (tree !== undefined && compareBytes(tree.rootHash, remote.rootHash) === 0) return tree;
  const { tree: whole } = await fetchWhole(channel, edge, remote);
  if (compareBytes(whole.rootHash, remote.rootHash) === 0) return whole;
  throw new MemdsError("ERR_MEMDS_PROTOCOL", "what was sent does not have the root hash that was announced");
}

interface Place extends Position {
  /** Its number among all that the other side offered. */
  readonly index: number;
}

/** Follows differing digests down both trees. */
async function narrow(
  tree: RangeTree,
  channel: SyncChannel,
  hash: Hash,
): Promise<{ places: Place[]; removed: Change[] }> {
  const places: Place[] = [];
  const removed: Change[] = [];
  let offered = 1;
  let frontier: Place[] = [{ ...everything, index: 0 }];
  while (frontier.length > 0 && frontier.length <= frontierMax) {
    const inner = frontier.filter((place) => {
      const isInner = subtreeAt(tree.root, place) instanceof Inner;
      if (!isInner) places.push(place);
      return isInner;
    });
    if (inner.length === 0) return { places: inOrder(places), removed };
    const reader = new Reader(await channel.ask("split", indices(new Writer(), inner)), "ERR_MEMDS_PROTOCOL");
    frontier = [];
    for (const place of inner) {
      const split = readSplit(reader, place);
      if (split === undefined) {
        places.push(place);
        continue;
      }
      const left: Place = { ...split.left, index: offered++ };
      const right: Place = { ...split.right, index: offered++ };
      // Keys of ours that leave the way before it divides are only ours.
      for (const key of keysBeside(subtreeAt(tree.root, place)!, split.at)) removed.push({ key, value: null });
      for (const [side, digest] of [
        [left, split.leftDigest],
        [right, split.rightDigest],
      ] as const) {
        const ours = subtreeAt(tree.root, side);
        if (ours === undefined) places.push(side);
        else if (shortDigest(ours, hash) !== digest) frontier.push(side);
      }
    }
    reader.end();
  }
  return { places: inOrder([...places, ...frontier]), removed };
}

/** What differs below some places, found through buckets of hashed keys. */
async function exchange(
  root: Node,
  places: readonly Place[],
  channel: SyncChannel,
  edge: AskingEdge,
): Promise<Change[]> {
  if (places.length === 0) return [];
  const seed = edge.random() >>> 0;
  const own = new Elements(
    places.map((place) => subtreeAt(root, place)).filter((node) => node !== undefined),
    seed,
  );
  const request = new Writer();
  request.u32(seed);
  const opening = new Reader(await channel.ask("buckets", indices(request, places)), "ERR_MEMDS_PROTOCOL");
  const isSmall = opening.varint() <= entriesNamedAtOnceMax;
  let level = opening.u8();
  const lastLevel = opening.u8();
  if (lastLevel > 32 || level > lastLevel || opening.remaining !== 2 ** level)
    throw opening.fault(`level ${level} of ${lastLevel}`);

  // Buckets that differ, and what the other side folds them to.
  let frontier: number[] = [];
  let folds: number[] = [];
  let flags: boolean[] = [];
  for (let bucket = 0; bucket < 2 ** level; bucket++) {
    const fold = opening.u8();
    // The only bucket is known to differ.
    const differs = level === 0 || fold !== own.fold(level, bucket);
    flags.push(differs);
    if (!differs) continue;
    frontier.push(bucket);
    folds.push(fold);
  }
  let answer = new Reader(await channel.ask("descend", packBits(flags)), "ERR_MEMDS_PROTOCOL");
  for (; level < lastLevel; level++) {
    const next: number[] = [];
    const nextFolds: number[] = [];
    flags = [];
    for (let i = 0; i < frontier.length; i++) {
      const left = answer.u8();
      const right = left ^ folds[i]!;
      for (const [half, fold] of [left, right].entries()) {
        const bucket = frontier[i]! * 2 + half;
        const differs = fold !== own.fold(level + 1, bucket);
        flags.push(differs);
        if (!differs) continue;
        next.push(bucket);
        nextFolds.push(fold);
      }
    }
    answer.end();
    frontier = next;
    folds = nextFolds;
    answer = new Reader(await channel.ask("descend", packBits(flags)), "ERR_MEMDS_PROTOCOL");
  }
  return fetchEntries(own, { frontier, level, isSmall, named: answer }, channel, edge);
}

interface Named {
  readonly frontier: readonly number[];
  readonly level: number;
  readonly isSmall: boolean;
  /** For each bucket how many entries the other side has in it, and a hash of each. */
  readonly named: Reader;
}

function unpacked(bytes: Uint8Array, edge: AskingEdge): Uint8Array {
  const rest = bytes.subarray(1);
  return bytes[0] === 1 ? edge.inflate(rest, unpackedBytesMax) : rest;
}

async function fetchEntries(
  own: Elements,
  { frontier, level, isSmall, named }: Named,
  channel: SyncChannel,
  edge: AskingEdge,
): Promise<Change[]> {
  const changes: Change[] = [];
  /** For each bucket which of the other side's entries are wanted, and what of ours that side does not have as it is. */
  const compared = frontier.map((bucket) => {
    const to = own.begin(level, bucket + 1);
    const from = own.begin(level, bucket);
    const unmatched = Array.from({ length: to - from }, (_, i) => from + i);
    const wanted: boolean[] = [];
    for (let left = named.varint(); left > 0; left--) {
      const mark = isSmall ? named.u32() : named.u8();
      const at = unmatched.findIndex((i) => (isSmall ? own.marks[i]! : own.marks[i]! & 255) === mark);
      if (at >= 0) unmatched.splice(at, 1);
      wanted.push(at < 0);
    }
    const count = wanted.filter(Boolean).length;
    for (const i of unmatched) changes.push({ key: own.entry(i).key, value: null });
    return { wanted, count, unmatched };
  });
  named.end();
  const buckets = compared.filter(({ wanted }) => wanted.length > 0);

  const put = new Map<string, Entry>();
  for (let first = 0; first < buckets.length; ) {
    const asked = buckets.slice(first, first + bucketsAskedMax);
    const asking = asked.filter(({ count }) => count > 0);
    const request = new Writer(1024);
    request.varint(first);
    request.varint(asked.length);
    request.raw(packBits(asked.flatMap(({ wanted }) => wanted)));
    request.raw(packBits(asking.map(({ unmatched }) => unmatched.length === 1)));
    for (const { unmatched } of asking) if (unmatched.length !== 1) request.varint(unmatched.length);
    for (const { unmatched } of asking) for (const i of unmatched) request.u8(own.keys[i]! & 0xff);
    const answer = new Reader(unpacked(await channel.ask("fetch", request.bytes()), edge), "ERR_MEMDS_PROTOCOL");
    const handled = answer.varint();
    if (handled < 1 || first + handled > buckets.length) throw answer.fault(`${handled} buckets answered`);
    let keysToCome = 0;
    for (const { count, unmatched } of buckets.slice(first, first + handled)) {
      for (let left = count; left > 0; left--) {
        const slot = answer.varint();
        if (slot === 0) {
          keysToCome++;
          continue;
        }
        const index = unmatched[slot - 1];
        if (index === undefined) throw answer.fault(`entry ${slot} of ${unmatched.length}`);
        const { key } = own.entry(index);
        put.set(key.join(), { key, value: answer.copy(answer.varint()) });
      }
    }
    let before: Uint8Array = new Uint8Array(0);
    for (; keysToCome > 0; keysToCome--) {
      const shared = answer.varint();
      if (shared > before.length) throw answer.fault(`${shared} bytes of a key of ${before.length}`);
      const rest = answer.raw(answer.varint());
      const key = new Uint8Array(shared + rest.length);
      key.set(before.subarray(0, shared));
      key.set(rest, shared);
      put.set(key.join(), { key, value: answer.copy(answer.varint()) });
      before = key;
    }
    answer.end();
    first += handled;
  }
  return [...changes.filter(({ key }) => !put.has(key.join())), ...put.values()];
}

const bucketsAskedMax = 16_384;

async function fetchWhole(channel: SyncChannel, edge: AskingEdge, remote: RemoteRoot): Promise<Snapshot> {
  const chunks: Uint8Array[] = [];
  let gathered = 0;
  for (let total = 1; gathered < total; ) {
    const request = new Writer(8);
    request.u64(gathered);
    const answer = new Reader(unpacked(await channel.ask("whole", request.bytes()), edge), "ERR_MEMDS_PROTOCOL");
    total = answer.u64();
    // No entry costs more beside its own bytes; who announced less than comes is not listened to for ever.
    if (total > remote.bytes + remote.size * 16 + 65_536) throw answer.fault(`a snapshot of ${total} bytes`);
    const chunk = answer.copy(answer.remaining);
    if (chunk.length === 0) throw answer.fault("an empty piece of a snapshot");
    chunks.push(chunk);
    gathered += chunk.length;
  }
  const bytes = new Uint8Array(gathered);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return decodeSnapshot(bytes, edge);
}

/** Places by their numbers, each as its distance from the one before. */
function indices(writer: Writer, places: readonly Place[]): Uint8Array {
  let last = -1;
  for (const { index } of places) {
    writer.varint(index - last - 1);
    last = index;
  }
  return writer.bytes();
}

function inOrder(places: Place[]): Place[] {
  return places.sort((a, b) => a.index - b.index);
}
