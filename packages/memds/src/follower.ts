import { setTimeout as delay } from "node:timers/promises";
import type { Change } from "./core/diff.js";
import { MemdsError } from "./core/errors.js";
import { decodeHead, decodeUpdate, encodeSubscribe, type FeedHead } from "./core/feed-messages.js";
import { type Frame, frameType } from "./core/frame.js";
import type { Snapshot } from "./core/snapshot.js";
import { type MemdsAddress, PeerConnection, type PeerConnectionOptions } from "./peer-connection.js";
import { takeFrom } from "./take-from.js";

/** What a follower moves. */
export interface Followed {
  held(): Snapshot | undefined;
  /** @returns false for a repetition. Throws `ERR_MEMDS_DIVERGED`, `ERR_MEMDS_FULL`. */
  apply(version: number, changes: readonly Change[]): boolean;
  replace(snapshot: Snapshot): void;
  /** What is held is all that the feed has. */
  caughtUp(): void;
  checkRoom(entries: number, bytes: number): void;
}

export interface FollowerStats {
  readonly isConnected: boolean;
  /** The feed's latest version, as far as it said. */
  readonly headVersion: number | undefined;
  /** How often updates were missing and asked for again. */
  readonly gaps: number;
  /** How often the whole was compared with the feed's. */
  readonly comparisons: number;
  /** Why it last stopped, until it goes on. */
  readonly error: MemdsError | undefined;
}

/** Updates that came too early and wait for those before them; with more, what is missing is asked for at once. */
const earlyMax = 1024;
const earlyBytesMax = 8 * 1024 * 1024;
const reorderMax = 32;

/**
 * Follows another server: its updates as they come, in the order of their versions whatever order they came in. What is missing is asked for again;
 * what the other one no longer has in steps is compared hash by hash. One connection, made again after `retryMs` when it ends.
 */
export class Follower {
  readonly #address: MemdsAddress;
  readonly #to: Followed;
  readonly #connect: Omit<PeerConnectionOptions, "address" | "signal" | "onPush">;
  readonly #retryMs: number;
  readonly #ended = new AbortController();
  readonly #early = new Map<number, { readonly changes: readonly Change[]; readonly bytes: number }>();
  #earlyBytes = 0;
  #isConnected = false;
  #headVersion: number | undefined;
  #gaps = 0;
  #comparisons = 0;
  #error: MemdsError | undefined;
  /** What has to be asked for: the updates behind what is held, or a comparison. */
  #want: "updates" | "comparison" | undefined;
  #wake: () => void = () => {};
  /** The version held when the feed last said where it stands, or was asked again. */
  #progress = -1;

  constructor(options: {
    readonly address: MemdsAddress;
    readonly to: Followed;
    readonly connect: Omit<PeerConnectionOptions, "address" | "signal" | "onPush">;
    readonly retryMs: number;
  }) {
    this.#address = options.address;
    this.#to = options.to;
    this.#connect = options.connect;
    this.#retryMs = options.retryMs;
    void this.#run();
  }

  stats(): FollowerStats {
    return {
      isConnected: this.#isConnected,
      headVersion: this.#headVersion,
      gaps: this.#gaps,
      comparisons: this.#comparisons,
      error: this.#error,
    };
  }

  /** What is held is in doubt: compare it with the feed's. */
  compare(): void {
    this.#ask("comparison");
  }

  close(): void {
    this.#ended.abort();
    this.#wake();
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      const connection = new PeerConnection({
        ...this.#connect,
        address: this.#address,
        signal,
        onPush: (frame) => this.#received(frame),
      });
      let isOver = false;
      void connection.closed.then(() => {
        isOver = true;
        this.#wake();
      });
      try {
        this.#want = "updates";
        while (!isOver) await this.#step(connection);
        this.#error = await connection.closed;
      } catch (error) {
        this.#error = toMemdsError(error);
      }
      this.#isConnected = false;
      connection.close();
      await delay(this.#retryMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  /** Does what has to be done, then waits for more. */
  async #step(connection: PeerConnection): Promise<void> {
    const held = this.#to.held();
    const want = held === undefined ? "comparison" : this.#want;
    this.#want = undefined;
    if (want === "comparison") {
      this.#comparisons++;
      const next = await takeFrom(connection, held, (entries, bytes) => this.#to.checkRoom(entries, bytes));
      const now = this.#to.held();
      // The feed's word is the truth, also under the version that is held.
      if (next !== undefined && (now === undefined || next.version >= now.version)) this.#to.replace(next);
      this.#drain();
      // What was amiss meanwhile is settled, or is found again behind what is held now.
      this.#want = undefined;
    }
    if (want !== undefined) {
      const after = this.#to.held()?.version ?? 0;
      this.#progress = after;
      await connection.send(frameType.subscribe, encodeSubscribe(after));
    }
    if (this.#want !== undefined) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #ask(want: "updates" | "comparison"): void {
    if (this.#want !== "comparison") this.#want = want;
    this.#wake();
  }

  #received({ type, payload }: Frame): void {
    this.#isConnected = true;
    if (type === frameType.head) this.#heardHead(decodeHead(payload));
    else {
      const { version, changes } = decodeUpdate(payload);
      const held = this.#to.held()?.version ?? -1;
      if (version < held) return;
      if (version > held + 1) {
        this.#keep(version, changes, payload.length);
        if (this.#early.size > reorderMax && this.#progress !== held) this.#missing(held);
        return;
      }
      this.#take(version, changes);
      this.#drain();
    }
  }

  #heardHead({ version, rootHash, isGone }: FeedHead): void {
    this.#headVersion = version;
    const held = this.#to.held();
    if (held === undefined) return;
    if (isGone) this.#ask("comparison");
    else if (held.version === version && Buffer.compare(held.tree.rootHash, rootHash) !== 0) this.#ask("comparison");
    else if (held.version >= version) {
      this.#error = undefined;
      this.#to.caughtUp();
    } else if (held.version === this.#progress) this.#missing(held.version);
    this.#progress = held.version;
  }

  #missing(held: number): void {
    this.#gaps++;
    this.#progress = held;
    this.#ask("updates");
  }

  #take(version: number, changes: readonly Change[]): void {
    try {
      this.#to.apply(version, changes);
      if (version === this.#headVersion) this.#to.caughtUp();
    } catch (error) {
      this.#error = toMemdsError(error);
      // A full member stays where it is and keeps serving; anything else is settled by comparing.
      if (this.#error.code !== "ERR_MEMDS_FULL") this.#ask("comparison");
    }
  }

  /** Applies what came early and follows now. */
  #drain(): void {
    for (;;) {
      const next = (this.#to.held()?.version ?? -1) + 1;
      const update = this.#early.get(next);
      if (update === undefined) break;
      this.#take(next, update.changes);
      if ((this.#to.held()?.version ?? -1) < next) break;
    }
    const held = this.#to.held()?.version ?? -1;
    for (const [version, { bytes }] of this.#early) {
      if (version > held) continue;
      this.#early.delete(version);
      this.#earlyBytes -= bytes;
    }
  }

  #keep(version: number, changes: readonly Change[], bytes: number): void {
    if (this.#early.has(version) || this.#early.size === earlyMax || this.#earlyBytes + bytes > earlyBytesMax) return;
    this.#early.set(version, { changes, bytes });
    this.#earlyBytes += bytes;
  }
}

export function toMemdsError(error: unknown): MemdsError {
  return error instanceof MemdsError
    ? error
    : new MemdsError("ERR_MEMDS_PROTOCOL", (error as Error)?.message ?? String(error), { cause: error });
}
