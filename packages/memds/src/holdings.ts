import { channel } from "node:diagnostics_channel";
import type { Entry } from "./core/block.js";
import type { Change } from "./core/diff.js";
import { MemdsError } from "./core/errors.js";
import { checkIterable, RangeTree } from "./core/range-tree.js";
import { checkRangeUpdates, type OwnedRange, type RangeUpdate, rangeChanges } from "./core/ranges.js";
import { checkVersion, decodeSnapshot, encodeSnapshot, type Snapshot } from "./core/snapshot.js";
import { crc32, sha256 } from "./digest.js";
import { checkOptions } from "./options.js";

const nothing = new Uint8Array(0);
const diverged = channel("evenkeel:memds:diverged");

/** What leads from one version to the next. */
export interface Update {
  /** The version that it leads to: the one held and 1. */
  readonly version: number;
  /** Keys put and removed. */
  readonly changes?: readonly Change[];
  /** Splits, merges and other changes of ranges, checked against what is held; after `changes`. */
  readonly ranges?: readonly RangeUpdate[];
}

const updateNames: Record<keyof Update, 0> = { version: 0, changes: 0, ranges: 0 };

/** Everything that there is at one version. */
export interface Load {
  /** 0 to 2^53 - 1, not below the version held. */
  readonly version: number;
  /** In any order, each key once. */
  readonly entries: Iterable<Entry>;
}

const loadNames: Record<keyof Load, 0> = { version: 0, entries: 0 };

/** What a server knows: one version of the tree, and the rules by which a feed moves it on. All decisions are synchronous. */
export class Holdings {
  readonly #entriesMax: number;
  readonly #bytesMax: number;
  #held: Snapshot | undefined;

  constructor({ entriesMax, bytesMax }: { readonly entriesMax: number; readonly bytesMax: number }) {
    this.#entriesMax = entriesMax;
    this.#bytesMax = bytesMax;
  }

  get held(): Snapshot | undefined {
    return this.#held;
  }

  load(load: Load): void {
    const { version, entries } = checkOptions("load", load, loadNames);
    checkVersion(version);
    checkIterable(entries);
    this.#checkNotOlder(version);
    this.#replace({ version, tree: RangeTree.from(this.#bounded(entries), sha256) });
  }

  loadSnapshot(bytes: Uint8Array): void {
    const snapshot = decodeSnapshot(bytes, { hash: sha256, checksum: crc32 });
    this.#checkNotOlder(snapshot.version);
    this.checkSize(snapshot.tree.size, snapshot.tree.bytes);
    this.#replace(snapshot);
  }

  snapshot(): Uint8Array {
    return encodeSnapshot(this.ready(), crc32);
  }

  /** Takes what another member holds. @throws MemdsError `ERR_MEMDS_FULL` */
  replace(snapshot: Snapshot): void {
    this.checkSize(snapshot.tree.size, snapshot.tree.bytes);
    this.#replace(snapshot);
  }

  /** @returns the changes that were made; undefined for a repetition of what is held. */
  apply(update: Update): readonly Change[] | undefined {
    const { version, changes = [], ranges = [] } = checkOptions("apply", update, updateNames);
    checkVersion(version);
    checkRangeUpdates(ranges);
    const held = this.ready();
    if (version < held.version) {
      throw new MemdsError("ERR_MEMDS_STALE", `update ${version} is older than version ${held.version}, which is held`);
    }
    if (version > held.version + 1) {
      throw new MemdsError(
        "ERR_MEMDS_GAP",
        `update ${version} does not follow version ${held.version}; load a snapshot`,
      );
    }
    if (version === held.version) {
      if (isHeld(held.tree, changes, ranges)) return undefined;
      diverged.publish({ version });
      throw new MemdsError(
        "ERR_MEMDS_DIVERGED",
        `update ${version} says something else than the version ${version} that is held; load a snapshot`,
      );
    }
    let tree = held.tree.apply(changes);
    // What each change of ranges is in entries depends on those before it; the last word on a key counts.
    const made = new Map(ranges.length === 0 ? [] : changes.map((change) => [change.key.join(), change]));
    for (const update of ranges) {
      const steps = rangeChanges(tree, update);
      tree = tree.apply(steps);
      for (const change of steps) made.set(change.key.join(), change);
    }
    this.checkSize(tree.size, tree.bytes);
    this.#held = { version, tree };
    return ranges.length === 0 ? changes : [...made.values()];
  }

  /** @throws MemdsError `ERR_MEMDS_NOT_READY` */
  ready(): Snapshot {
    if (this.#held === undefined) throw new MemdsError("ERR_MEMDS_NOT_READY", "no snapshot was loaded yet");
    return this.#held;
  }

  forget(): void {
    this.#held = undefined;
  }

  /** A whole snapshot is the word of the feed, so under the same version it wins; that two were told apart is worth an alarm. */
  #replace(next: Snapshot): void {
    const held = this.#held;
    if (held !== undefined && held.version === next.version && !sameHash(held.tree, next.tree)) {
      diverged.publish({ version: next.version });
    }
    this.#held = next;
  }

  #checkNotOlder(version: number): void {
    if (this.#held !== undefined && version < this.#held.version) {
      throw new MemdsError(
        "ERR_MEMDS_STALE",
        `snapshot ${version} is older than version ${this.#held.version}, which is held`,
      );
    }
  }

  *#bounded(entries: Iterable<Entry>): Generator<Entry> {
    let count = 0;
    let bytes = 0;
    for (const entry of entries) {
      bytes += (entry?.key?.length ?? 0) + (entry?.value?.length ?? 0);
      this.checkSize(++count, bytes);
      yield entry;
    }
  }

  /** @throws MemdsError `ERR_MEMDS_FULL` */
  checkSize(entries: number, bytes: number): void {
    const bound =
      entries > this.#entriesMax
        ? `${this.#entriesMax} entries (entriesMax)`
        : bytes > this.#bytesMax
          ? `${this.#bytesMax} bytes of keys and values (bytesMax)`
          : undefined;
    if (bound === undefined) return;
    throw new MemdsError("ERR_MEMDS_FULL", `more than ${bound}; what was held is still served`);
  }
}

/** Whether an update has nothing to say that is not held already: how its repetition is told from another one of the same version. */
function isHeld(tree: RangeTree, changes: readonly Change[], ranges: readonly RangeUpdate[]): boolean {
  const owned = (range: OwnedRange) => {
    const found = tree.rangeOf(range.from);
    return (
      found !== undefined &&
      Buffer.compare(found.from, range.from) === 0 &&
      Buffer.compare(found.to ?? nothing, range.to ?? nothing) === 0 &&
      Buffer.compare(found.value, range.value) === 0
    );
  };
  return (
    tree.apply(changes) === tree &&
    ranges.every(({ replace, by }) =>
      by.length > 0 ? by.every(owned) : replace.every(({ from }) => tree.rangeOf(from) === undefined),
    )
  );
}

function sameHash(a: RangeTree, b: RangeTree): boolean {
  return Buffer.compare(a.rootHash, b.rootHash) === 0;
}
