import { MemdsError } from "./core/errors.js";
import { decodeSubscribe } from "./core/feed-messages.js";
import { type Frame, frameType } from "./core/frame.js";
import type { Snapshot } from "./core/snapshot.js";
import { SyncResponder } from "./core/sync-responder.js";
import { syncEdge } from "./digest.js";
import type { Publisher, Subscriber } from "./publisher.js";

/** What other members may ask of this one on a connection: its feed, and to compare trees with it. */
export class PeerSession {
  readonly #held: () => Snapshot;
  readonly #isReady: () => boolean;
  readonly #publisher: Publisher;
  readonly #subscriber: Subscriber;
  readonly #answerBytesMax: number;
  #sync: SyncResponder | undefined;

  constructor(options: {
    /** Throws `ERR_MEMDS_NOT_READY` while there is nothing. */
    readonly held: () => Snapshot;
    readonly isReady: () => boolean;
    readonly publisher: Publisher;
    readonly subscriber: Subscriber;
    readonly frameBytesMax: number;
  }) {
    this.#held = options.held;
    this.#isReady = options.isReady;
    this.#publisher = options.publisher;
    this.#subscriber = options.subscriber;
    // An answer ends with the entry that exceeds this, and an entry has at most 70 KB.
    this.#answerBytesMax = Math.min(1 << 20, options.frameBytesMax >>> 2);
  }

  /** @returns the answer; undefined where it comes by itself. */
  handle({ type, request, payload }: Frame): Frame | undefined {
    if (type === frameType.subscribe) {
      this.#held();
      // Whoever follows has done with comparing: the version that was held for that may go.
      this.#sync = undefined;
      this.#publisher.subscribe(this.#subscriber, decodeSubscribe(payload));
      return undefined;
    }
    return { type: frameType.syncAnswer, request, payload: this.#answer(type, payload) };
  }

  drained(): void {
    this.#publisher.resume(this.#subscriber);
  }

  close(): void {
    this.#publisher.unsubscribe(this.#subscriber);
    this.#sync = undefined;
  }

  #answer(type: number, payload: Uint8Array): Uint8Array {
    if (type === frameType.root) {
      this.#sync = new SyncResponder(this.#held(), {
        ...syncEdge,
        isReady: this.#isReady(),
        answerBytesMax: this.#answerBytesMax,
      });
      return this.#sync.root();
    }
    const what = steps[type];
    if (what === undefined) throw new MemdsError("ERR_MEMDS_PROTOCOL", `a server does not take frames of type ${type}`);
    if (this.#sync === undefined) throw new MemdsError("ERR_MEMDS_PROTOCOL", "trees are compared from their roots on");
    return this.#sync[what](payload);
  }
}

const steps: Readonly<Record<number, "split" | "buckets" | "descend" | "fetch" | "whole">> = {
  [frameType.split]: "split",
  [frameType.buckets]: "buckets",
  [frameType.descend]: "descend",
  [frameType.fetch]: "fetch",
  [frameType.whole]: "whole",
};
