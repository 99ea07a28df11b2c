import { ByteReader, ByteWriter } from "../core/bytes.js";
import { PaxosError } from "../core/errors.js";
import type { WalStreamLike } from "./wal-like.js";

/** Where a log's end was lost, as `uncertainFrom` of a `Wal` says it. */
export interface UncertainTailLike {
  readonly file: string;
  readonly offset: number;
  readonly batch: number;
}

/*
 * A stream of the node's own, beside those of its groups:
 *
 *   version u8 = 1
 *   kind u8        1 doubt      varint batch, varint offset, text file       from here on every group of this log is in doubt
 *                  2 assured    text group                                   this one is not any more
 *
 * A doubt takes the place of everything before it. Releases that do not know of doubts never look at this stream.
 */
const version = 1;
const kinds = { doubt: 1, assured: 2 } as const;

/**
 * Which groups may have lost their last write. A log whose end was torn says so whenever it is opened until it is told that this has been written down;
 * here it stays until the group has made good what it may have forgotten. No group is loaded in between.
 */
export class Doubts {
  readonly #stream: WalStreamLike;
  readonly #tail: UncertainTailLike | undefined;
  readonly #settle: () => Promise<void> | undefined;
  #batch: number | undefined;
  readonly #assured = new Set<string>();
  #noted: Promise<void> | undefined;

  /** `settle`: the log need not say it again. */
  constructor(
    stream: WalStreamLike,
    tail: UncertainTailLike | undefined,
    settle: () => Promise<void> | undefined = () => undefined,
  ) {
    this.#stream = stream;
    this.#tail = tail;
    this.#settle = settle;
    // At once, for logs that say it once only. A failure is told to whoever asks.
    this.noted().catch(() => {});
  }

  /** Resolves when it is on disk who is in doubt. */
  noted(): Promise<void> {
    this.#noted ??= this.#note();
    return this.#noted;
  }

  /** Ask only after `noted`. */
  has(groupId: string): boolean {
    return this.#batch !== undefined && !this.#assured.has(groupId);
  }

  /** Resolves when it is durable that this group has nothing to have forgotten: so has everything that it wrote before. */
  async assured(groupId: string): Promise<void> {
    if (!this.has(groupId)) return;
    this.#assured.add(groupId);
    const out = new ByteWriter(320);
    out.byte(version);
    out.byte(kinds.assured);
    out.text(groupId);
    await this.#stream.append([out.take()]);
  }

  async #note(): Promise<void> {
    const stream = this.#stream;
    if (stream.lastSequence >= stream.firstSequence) {
      for await (const { data } of stream.read()) this.#read(new ByteReader(data));
    }
    const tail = this.#tail;
    if (tail === undefined) return;
    // The crash may have come between the note and the log's hearing of it. No later end is torn at this batch: the note itself stands there or behind.
    if (this.#batch !== tail.batch) await this.#write(tail);
    await this.#settle();
  }

  async #write(tail: UncertainTailLike): Promise<void> {
    const out = new ByteWriter(320);
    out.byte(version);
    out.byte(kinds.doubt);
    out.varint(tail.batch);
    out.varint(tail.offset);
    out.text(tail.file);
    this.#batch = tail.batch;
    this.#assured.clear();
    await this.#stream.truncateBefore(await this.#stream.append([out.take()]));
  }

  #read(input: ByteReader): void {
    const [found, kind] = [input.byte(), input.byte()];
    if (found !== version || (kind !== kinds.doubt && kind !== kinds.assured)) {
      const what = `a note of version ${found} and kind ${kind} about what this log may have lost`;
      throw new PaxosError("ERR_PAXOS_UNSUPPORTED", `${what}: run the release that wrote it, or a later one`);
    }
    if (kind === kinds.assured) {
      this.#assured.add(input.text());
      return;
    }
    this.#batch = input.varint();
    this.#assured.clear();
  }
}
