import type { Effect } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";

/** Hands a group's writes to its storage, in order, and tells what has become durable: once for all that one sync covered. */
export class Writer {
  readonly #storage: GroupStorage;
  readonly #onDurable: (token: number) => void;
  readonly #onFailed: (cause: unknown) => void;
  readonly #tell = () => {
    this.#telling = false;
    this.#onDurable(this.#durable);
  };
  #durable = 0;
  #telling = false;
  #under = 0;
  #idle: (() => void)[] = [];

  constructor(storage: GroupStorage, onDurable: (token: number) => void, onFailed: (cause: unknown) => void) {
    this.#storage = storage;
    this.#onDurable = onDurable;
    this.#onFailed = onFailed;
  }

  write({ token, write }: Extract<Effect, { type: "persist" }>): void {
    const written = this.#storage.write(write);
    this.#under++;
    written.then(
      () => {
        this.#done();
        this.#durable = Math.max(this.#durable, token);
        if (this.#telling) return;
        this.#telling = true;
        queueMicrotask(this.#tell);
      },
      (cause: unknown) => {
        this.#done();
        this.#onFailed(cause);
      },
    );
  }

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
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
