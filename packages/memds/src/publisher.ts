import type { Change } from "./core/diff.js";
import { encodeHead, encodeUpdate } from "./core/feed-messages.js";
import { frameType } from "./core/frame.js";
import type { Snapshot } from "./core/snapshot.js";

/** Somebody who follows this server. */
export interface Subscriber {
  /** Sends; false while what was sent before waits to go out. */
  push(type: number, payload: Uint8Array): boolean;
}

interface Following {
  after: number;
  isBlocked: boolean;
}

/**
 * Keeps the latest updates, encoded once, and gives them to each follower as fast as it takes them. Nothing is queued for a slow one: it goes on
 * from where it is, and where that is no longer kept it is told so.
 */
export class Publisher {
  readonly #bytesMax: number;
  readonly #updateBytesMax: number;
  readonly #held: () => Snapshot | undefined;
  readonly #followers = new Map<Subscriber, Following>();
  #updates = new Map<number, Uint8Array>();
  #bytes = 0;
  #oldest = 0;

  constructor({
    bytesMax,
    updateBytesMax,
    held,
  }: {
    readonly bytesMax: number;
    /** What fits in a frame. */
    readonly updateBytesMax: number;
    readonly held: () => Snapshot | undefined;
  }) {
    this.#bytesMax = bytesMax;
    this.#updateBytesMax = updateBytesMax;
    this.#held = held;
  }

  get followers(): number {
    return this.#followers.size;
  }

  /** An update was applied. */
  add(version: number, changes: readonly Change[]): void {
    const payload = encodeUpdate({ version, changes });
    if (payload.length > this.#updateBytesMax) {
      this.clear();
      return;
    }
    if (this.#updates.size === 0) this.#oldest = version;
    this.#updates.set(version, payload);
    for (this.#bytes += payload.length; this.#bytes > this.#bytesMax; this.#oldest++) {
      this.#bytes -= this.#updates.get(this.#oldest)?.length ?? 0;
      this.#updates.delete(this.#oldest);
    }
    for (const follower of this.#followers.keys()) this.resume(follower, false);
  }

  /** Everything was replaced, or nearly so: there are no steps that lead there. */
  clear(): void {
    this.#updates = new Map();
    this.#bytes = 0;
    this.announce();
  }

  subscribe(follower: Subscriber, after: number): void {
    this.#followers.set(follower, { after, isBlocked: false });
    this.resume(follower);
    this.#tell(follower);
  }

  unsubscribe(follower: Subscriber): void {
    this.#followers.delete(follower);
  }

  /** The follower takes more. */
  resume(follower: Subscriber, isDrained = true): void {
    const following = this.#followers.get(follower);
    const head = this.#held()?.version;
    if (following === undefined || head === undefined) return;
    if (isDrained) following.isBlocked = false;
    while (!following.isBlocked && following.after < head) {
      const update = this.#updates.get(following.after + 1);
      if (update === undefined) {
        this.#tell(follower);
        return;
      }
      following.after++;
      following.isBlocked = !follower.push(frameType.update, update);
    }
  }

  /** Tells all followers where this server stands. */
  announce(): void {
    for (const follower of this.#followers.keys()) this.#tell(follower);
  }

  #tell(follower: Subscriber): void {
    const following = this.#followers.get(follower);
    const held = this.#held();
    if (following === undefined || held === undefined || following.isBlocked) return;
    const isGone = following.after < held.version && !this.#updates.has(following.after + 1);
    following.isBlocked = !follower.push(
      frameType.head,
      encodeHead({ version: held.version, rootHash: held.tree.rootHash, isGone }),
    );
  }
}
