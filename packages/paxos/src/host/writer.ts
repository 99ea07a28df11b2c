import { PaxosError } from "../core/errors.js";
import type { Effect } from "../core/types.js";
import type { GroupStorage, WriteCaller } from "../storage/storage.js";
import type { ReplicaHome } from "./home.js";
import type { Teller } from "./microtask.js";

const nobody: readonly (() => void)[] = [];

/** Whose writes they are. */
export interface WriterOwner {
  /** All writes through this token are durable. */
  durable(token: number): void;
  writeFailed(cause: unknown): void;
}

/**
 * Hands a group's writes to its storage, in order, and tells what has become durable: once for all that one sync covered. It is itself what is called back, by whom it is called back is an object too:
 * a function made for each of thousands of groups is one more thing that is not in the processor's cache when it is needed, and what it was made in is another.
 */
export class Writer implements WriteCaller, Teller {
  readonly #storage: GroupStorage;
  readonly #home: Pick<ReplicaHome, "soon">;
  readonly #owner: WriterOwner;
  /** Token of the newest write. They follow on one another, and are done in their order: how many are under way says which is the newest durable one. */
  #newest = 0;
  #writing = 0;
  #telling = false;
  #under = 0;
  #idle = nobody;

  constructor(storage: GroupStorage, home: Pick<ReplicaHome, "soon">, owner: WriterOwner) {
    this.#storage = storage;
    this.#home = home;
    this.#owner = owner;
  }

  write({ token, write }: Extract<Effect, { type: "persist" }>): void {
    if (this.#writing > 0 && token !== this.#newest + 1)
      throw new PaxosError("ERR_PAXOS_INVARIANT", `write ${token} follows on write ${this.#newest}`);
    const storage = this.#storage;
    if (storage.writeThen !== undefined) storage.writeThen(write, this);
    else
      storage.write(write).then(
        () => this.written(),
        (cause: unknown) => this.notWritten(cause),
      );
    // Behind the call, which may throw: then nothing is under way. It calls back later.
    this.#newest = token;
    this.#writing++;
    this.#under++;
  }

  /** The storage's to call. */
  written(): void {
    this.#writing--;
    this.#done();
    if (this.#telling) return;
    this.#telling = true;
    this.#home.soon(this);
  }

  /** The storage's to call. */
  notWritten(cause: unknown): void {
    // Nothing of this group is told to be durable any more.
    this.#writing = Number.POSITIVE_INFINITY;
    this.#done();
    this.#owner.writeFailed(cause);
  }

  /** The home's to call. */
  tell(): void {
    this.#telling = false;
    this.#owner.durable(this.#newest - this.#writing);
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
    while (this.#under > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = [...this.#idle, resolve];
      });
    }
  }

  #done(): void {
    if (--this.#under > 0) return;
    const idle = this.#idle;
    this.#idle = nobody;
    for (let i = 0; i < idle.length; i++) idle[i]?.();
  }
}
