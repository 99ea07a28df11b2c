import { PaxosError } from "../core/errors.js";
import type { Effect } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";

/** Hands a group's writes to its storage, in order, and tells what has become durable: once for all that one sync covered. */
export class Writer {
  readonly #storage: GroupStorage;
  readonly #soon: (tell: () => void) => void;
  readonly #onDurable: (token: number) => void;
  readonly #onFailed: (cause: unknown) => void;
  readonly #tell = () => {
    this.#telling = false;
    this.#onDurable(this.#newest - this.#writing);
  };
  /** Token of the newest write. They follow on one another, and are done in their order: how many are under way says which is the newest durable one. */
  #newest = 0;
  #writing = 0;
  #telling = false;
  #under = 0;
  #idle: (() => void)[] = [];

  /** `soon`: calls what it is given when the log has answered everybody. */
  constructor(
    storage: GroupStorage,
    soon: (tell: () => void) => void,
    onDurable: (token: number) => void,
    onFailed: (cause: unknown) => void,
  ) {
    this.#storage = storage;
    this.#soon = soon;
    this.#onDurable = onDurable;
    this.#onFailed = onFailed;
  }

  write({ token, write }: Extract<Effect, { type: "persist" }>): void {
    if (this.#writing > 0 && token !== this.#newest + 1)
      throw new PaxosError("ERR_PAXOS_INVARIANT", `write ${token} follows on write ${this.#newest}`);
    const storage = this.#storage;
    if (storage.writeThen === undefined) storage.write(write).then(this.#written, this.#notWritten);
    else storage.writeThen(write, this.#written, this.#notWritten);
    // Behind the call, which may throw: then nothing is under way. It calls back later.
    this.#newest = token;
    this.#writing++;
    this.#under++;
  }

  readonly #written = () => {
    this.#writing--;
    this.#done();
    if (this.#telling) return;
    this.#telling = true;
    this.#soon(this.#tell);
  };

  readonly #notWritten = (cause: unknown) => {
    // Nothing of this group is told to be durable any more.
    this.#writing = Number.POSITIVE_INFINITY;
    this.#done();
    this.#onFailed(cause);
  };

  /** Nothing is being written, and everything that was has been told. */
  get idle(): boolean {
    return this.#under === 0 && !this.#telling;
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
