import { channel } from "node:diagnostics_channel";
import type { Entry } from "./core/block.js";
import type { Change } from "./core/diff.js";
import { MemdsError } from "./core/errors.js";
import { RangeTree } from "./core/range-tree.js";
import { checkVersion, decodeSnapshot, encodeSnapshot, type Snapshot } from "./core/snapshot.js";
import { crc32, sha256 } from "./digest.js";

const diverged = channel("evenkeel:memds:diverged");

/** What a server knows: one version of the tree, and the rules by which a feed moves it on. All decisions are synchronous. */
export class Holdings {
  readonly #entriesMax: number;
  #held: Snapshot | undefined;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get held(): Snapshot | undefined {
    return this.#held;
  }

  load(version: number, entries: Iterable<Entry>): void {
    checkVersion(version);
    this.#checkNotOlder(version);
    this.#replace({ version, tree: RangeTree.from(this.#bounded(entries), sha256) });
  }

  loadSnapshot(bytes: Uint8Array): void {
    const snapshot = decodeSnapshot(bytes, { hash: sha256, checksum: crc32 });
    this.#checkNotOlder(snapshot.version);
    this.#checkSize(snapshot.tree.size);
    this.#replace(snapshot);
  }

  snapshot(): Uint8Array {
    return encodeSnapshot(this.ready(), crc32);
  }

  /** @returns false for a repetition of what is held. */
  apply(version: number, changes: readonly Change[]): boolean {
    checkVersion(version);
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
    const tree = held.tree.apply(changes);
    if (version === held.version) {
      if (tree === held.tree) return false;
      diverged.publish({ version });
      throw new MemdsError(
        "ERR_MEMDS_DIVERGED",
        `update ${version} says something else than the version ${version} that is held; load a snapshot`,
      );
    }
    this.#checkSize(tree.size);
    this.#held = { version, tree };
    return true;
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
    for (const entry of entries) {
      this.#checkSize(++count);
      yield entry;
    }
  }

  #checkSize(entries: number): void {
    if (entries > this.#entriesMax) {
      throw new MemdsError(
        "ERR_MEMDS_FULL",
        `more than ${this.#entriesMax} entries (entriesMax); what was held is still served`,
      );
    }
  }
}

function sameHash(a: RangeTree, b: RangeTree): boolean {
  return Buffer.compare(a.rootHash, b.rootHash) === 0;
}
