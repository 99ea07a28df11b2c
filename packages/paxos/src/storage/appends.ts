import type { Gate } from "./gate.js";
import { encodeRecord, type LogRecord, lendRecord } from "./record.js";
import type { AppendWaiterLike, WalStreamLike } from "./wal-like.js";

/** For a record that comes alone. The log copies what it is given before it returns. */
const lent: Uint8Array[] = [];

/** A write that is on its way to the disk. */
interface Appending {
  readonly records: readonly LogRecord[];
  /** Of each record; of the only one. */
  readonly sizes: number | readonly number[];
  readonly bytes: number;
  readonly caller: AppendCaller;
}

// In the place of lists that are empty, for all groups; never written to.
const none: Appending[] = [];
const nobody: readonly (() => void)[] = [];

/** Who waits for a write. */
export interface AppendCaller {
  written(lastSequence: number): void;
  notWritten(cause: unknown): void;
}

export interface AppendsOwner {
  /** Called for each record that has become durable, in the order of the stream, before its write is told to be. */
  place(record: LogRecord, sequence: number, bytes: number): void;
  /** What a write fails with. */
  failure(cause: unknown): Error;
}

/**
 * One group's writes on their way into its stream. The log answers in the order of the calls, so a list says whose answer comes next: no promise and no closure for each write, which is most of what
 * a write costs where thousands of groups have one each.
 */
export class Appends implements AppendWaiterLike {
  readonly #stream: WalStreamLike;
  readonly #gate: Gate;
  readonly #owner: AppendsOwner;
  /** Under way in the log, oldest first. */
  #under = none;
  /** Those that wait at the gate too. */
  #count = 0;
  /** Who waits until another one is over. */
  #lookers = nobody;

  constructor(stream: WalStreamLike, gate: Gate, owner: AppendsOwner) {
    this.#stream = stream;
    this.#gate = gate;
    this.#owner = owner;
  }

  /** The caller is told once, not within this call. The records are encoded before it returns. */
  append(records: readonly LogRecord[], caller: AppendCaller): void {
    const gate = this.#gate;
    // Nearly always one. The log copies what it is given; so does this only where it has to wait.
    const alone = records.length === 1;
    const encoded = alone ? lent : records.map(encodeRecord);
    if (alone) lent[0] = lendRecord(records[0] as LogRecord);
    let bytes = 0;
    for (let i = 0; i < encoded.length; i++) bytes += (encoded[i] as Uint8Array).length;
    const sizes = alone ? bytes : encoded.map(({ length }) => length);
    const appending: Appending = { records, sizes, bytes, caller };
    this.#count++;
    if (gate.enter(bytes)) {
      this.#start(appending, encoded);
      return;
    }
    const kept = alone ? [new Uint8Array(encoded[0] as Uint8Array)] : encoded;
    gate.wait(bytes, () => this.#start(appending, kept));
  }

  /** Resolves when another write is over; at once when none is under way. Returns whether one was. */
  async another(): Promise<boolean> {
    if (this.#count === 0) return false;
    await new Promise<void>((resolve) => {
      this.#lookers = [...this.#lookers, resolve];
    });
    return true;
  }

  #start(appending: Appending, encoded: readonly Uint8Array[]): void {
    const stream = this.#stream;
    try {
      if (stream.appendThen === undefined) {
        stream.append(encoded).then(
          (last) => this.#finish(appending, last),
          (cause: unknown) => this.#fail(appending, cause),
        );
        return;
      }
      const refusal = stream.appendThen(encoded, this);
      if (refusal === undefined) this.#begun(appending);
      else queueMicrotask(() => this.#fail(appending, refusal));
    } catch (cause) {
      queueMicrotask(() => this.#fail(appending, cause));
    }
  }

  #begun(appending: Appending): void {
    // One alone in an array of one: the first push makes room for seventeen.
    if (this.#under.length === 0) this.#under = [appending];
    else this.#under.push(appending);
  }

  /** The log's to call. */
  appended(last: number): void {
    this.#finish(this.#oldest(), last);
  }

  /** The log's to call. */
  notAppended(cause: unknown): void {
    this.#fail(this.#oldest(), cause);
  }

  #oldest(): Appending {
    const [first] = this.#under as [Appending];
    if (this.#under.length === 1) this.#under = none;
    else this.#under.shift();
    return first;
  }

  #finish({ records, sizes, bytes, caller }: Appending, last: number): void {
    let sequence = last - records.length;
    for (let i = 0; i < records.length; i++) {
      this.#owner.place(records[i] as LogRecord, ++sequence, typeof sizes === "number" ? sizes : (sizes[i] as number));
    }
    this.#over();
    this.#gate.leave(bytes);
    caller.written(last);
  }

  #fail({ bytes, caller }: Appending, cause: unknown): void {
    this.#over();
    this.#gate.leave(bytes);
    caller.notWritten(this.#owner.failure(cause));
  }

  #over(): void {
    this.#count--;
    const lookers = this.#lookers;
    this.#lookers = nobody;
    for (let i = 0; i < lookers.length; i++) lookers[i]?.();
  }
}
