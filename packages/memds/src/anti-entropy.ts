import { channel } from "node:diagnostics_channel";
import type { MemdsError } from "./core/errors.js";
import type { RemoteRoot } from "./core/sync-initiator.js";
import { type Followed, toMemdsError } from "./follower.js";
import { type MemdsAddress, PeerConnection, type PeerConnectionOptions } from "./peer-connection.js";
import { takeFrom } from "./take-from.js";

const diverged = channel("evenkeel:memds:diverged");

export interface AntiEntropyStats {
  readonly peers: number;
  /** Root hashes compared with a peer. */
  readonly rounds: number;
  /** Rounds after which this member held what its peer had. */
  readonly taken: number;
  readonly failed: number;
  readonly error: MemdsError | undefined;
}

/**
 * Compares roots with one peer after the other, for ever and at one pace, whether or not anything is amiss. A later version is taken over; an earlier
 * one is the peer's to mend. The same version with other content is an alarm: the feed decides, and without one the greater root hash does, so
 * that all decide alike.
 */
export class AntiEntropy {
  readonly #to: Followed;
  readonly #connect: Omit<PeerConnectionOptions, "address" | "signal" | "onPush">;
  readonly #everyMs: number;
  /** Settles a difference under one version where there is somebody to ask; false where there is not. */
  readonly #askFeed: () => boolean;
  readonly #ended = new AbortController();
  #peers: readonly MemdsAddress[];
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;
  #rounds = 0;
  #taken = 0;
  #failed = 0;
  #error: MemdsError | undefined;

  constructor(options: {
    readonly peers: readonly MemdsAddress[];
    readonly to: Followed;
    readonly connect: Omit<PeerConnectionOptions, "address" | "signal" | "onPush">;
    readonly everyMs: number;
    readonly askFeed: () => boolean;
  }) {
    this.#peers = options.peers;
    this.#to = options.to;
    this.#connect = options.connect;
    this.#everyMs = options.everyMs;
    this.#askFeed = options.askFeed;
    this.#again(0);
  }

  setPeers(peers: readonly MemdsAddress[]): void {
    this.#peers = peers;
  }

  stats(): AntiEntropyStats {
    return {
      peers: this.#peers.length,
      rounds: this.#rounds,
      taken: this.#taken,
      failed: this.#failed,
      error: this.#error,
    };
  }

  close(): void {
    this.#ended.abort();
    clearTimeout(this.#timer);
  }

  #again(afterMs: number): void {
    if (this.#ended.signal.aborted) return;
    this.#timer = setTimeout(() => {
      void this.#round().finally(() => this.#again(this.#everyMs));
    }, afterMs).unref();
  }

  async #round(): Promise<void> {
    const address = this.#peers[this.#turn++ % Math.max(1, this.#peers.length)];
    if (address === undefined) return;
    const connection = new PeerConnection({ ...this.#connect, address, signal: this.#ended.signal });
    try {
      await this.#compare(connection);
      this.#rounds++;
      this.#error = undefined;
    } catch (error) {
      this.#failed++;
      this.#error = toMemdsError(error);
    } finally {
      connection.close();
    }
  }

  async #compare(connection: PeerConnection): Promise<void> {
    const held = this.#to.held();
    let theirs: RemoteRoot | undefined;
    const next = await takeFrom(
      connection,
      held,
      (entries, bytes) => this.#to.checkRoom(entries, bytes),
      (remote) => {
        theirs = remote;
        if (held === undefined || remote.version > held.version) return true;
        if (remote.version < held.version) return false;
        const order = Buffer.compare(remote.rootHash, held.tree.rootHash);
        if (order === 0) return false;
        diverged.publish({ version: held.version, peer: connection.name });
        return !this.#askFeed() && order > 0;
      },
    );
    const now = this.#to.held();
    if (next !== undefined && (now === undefined || next.version > now.version || now === held)) {
      this.#to.replace(next);
      this.#taken++;
    }
    if (theirs?.isReady && (this.#to.held()?.version ?? -1) >= theirs.version) this.#to.caughtUp();
  }
}
