import { PaxosError } from "../core/errors.js";
import type { Effect } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";

export interface WriterParts {
  /** Calls what it is given when the log has answered everybody. */
  readonly soon: (tell: () => void) => void;
  /** Whether it is enough that the core hears of what is durable with whatever it hears of next. */
  readonly patient: () => boolean;
  readonly onDurable: (token: number) => void;
  readonly onFailed: (cause: unknown) => void;
}

/**
 * Hands a group's writes to its storage, in order, and tells what has become durable: once for all that one sync covered. Where that alone decides nothing (`patient`), it is left until
 * something else happens to the group (`take`): of thousands of groups that have one command each, to come to a group at all is most of what a step costs.
 */
export class Writer {
  readonly #storage: GroupStorage;
  readonly #soon: (tell: () => void) => void;
  readonly #patient: () => boolean;
  readonly #onDurable: (token: number) => void;
  readonly #onFailed: (cause: unknown) => void;
  readonly #tell = () => {
    // It may have been taken meanwhile.
    this.#soonTold = false;
    const token = this.take();
    if (token !== undefined) this.#onDurable(token);
  };
  /** Token of the newest write. They follow on one another, and are done in their order: how many are under way says which is the newest durable one. */
  #newest = 0;
  #writing = 0;
  /** Something has become durable that was not told yet. */
  #untold = false;
  #soonTold = false;
  /** Somebody answers while a write is under way: what is durable is told as soon as it is. */
  #awaited = false;
  #under = 0;
  #idle: (() => void)[] = [];

  constructor(storage: GroupStorage, parts: WriterParts) {
    this.#storage = storage;
    this.#soon = parts.soon;
    this.#patient = parts.patient;
    this.#onDurable = parts.onDurable;
    this.#onFailed = parts.onFailed;
  }

  write({ token, write }: Extract<Effect, { type: "persist" }>): void {
    if (this.#writing > 0 && token !== this.#newest + 1)
      throw new PaxosError("ERR_PAXOS_INVARIANT", `write ${token} follows on write ${this.#newest}`);
    const storage = this.#storage;
    if (storage.writeThen === undefined) storage.write(write).then(this.#written, this.#notWritten);
    else storage.writeThen(write, this.#written, this.#notWritten);
    // Behind the call, which may throw: then nothing is under way. It calls back later.
    if (this.#writing === 0) this.#awaited = false;
    this.#newest = token;
    this.#writing++;
    this.#under++;
  }

  readonly #written = () => {
    this.#writing--;
    this.#done();
    this.#untold = true;
    if (this.#soonTold || (!this.#awaited && this.#patient())) return;
    this.#soonTold = true;
    this.#soon(this.#tell);
  };

  /** Another has answered: what it waits for with us is told without patience. */
  answered(): void {
    this.#awaited = true;
  }

  /** Token of the newest durable write, unless it has been told. */
  take(): number | undefined {
    if (!this.#untold) return undefined;
    this.#untold = false;
    return this.#newest - this.#writing;
  }

  readonly #notWritten = (cause: unknown) => {
    // Nothing of this group is told to be durable any more.
    this.#writing = Number.POSITIVE_INFINITY;
    this.#done();
    this.#onFailed(cause);
  };

  /** Nothing is being written, and everything that was has been told. */
  get idle(): boolean {
    return this.#under === 0 && !this.#untold && !this.#soonTold;
  }

  /** Counts it among what `settled` waits for. */
  during<T>(work: Promise<T>): Promise<T> {
    this.#under++;
    const done = () => this.#done();
    work.then(done, done);
    return work;
  }

  /** Resolves when no write is under way. */
  async settled(): Promise<void> {
    while (this.#under > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #done(): void {
    if (--this.#under > 0) return;
    if (this.#idle.length > 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}
