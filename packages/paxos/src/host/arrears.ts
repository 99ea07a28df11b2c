import type { Entry } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import type { Answerer, Applier } from "./applier.js";
import { readSome } from "./entries.js";

/** Read from the log at a time. */
const readBytesMax = 256 * 1024;
/** Applied in one turn of the event loop. */
const appliedAtOnceMax = 64;

export interface ArrearsParts<R> {
  readonly applier: Applier<R>;
  readonly storage: Pick<GroupStorage, "read">;
  readonly chosenThrough: () => number;
  readonly answerer: Answerer<R>;
  /** Everything through this entry is applied. */
  readonly applied: (last: Entry) => void;
  readonly caughtUp: () => void;
  readonly fail: (cause: unknown) => void;
}

/**
 * What is chosen and was not applied at once, because the state machine had no room for it or stood where the log could not be applied to it. Nothing of it is kept in memory: it is in the log, and is read from
 * there again, no faster than the state machine takes it. The log lets go of nothing that is not applied.
 */
export class Arrears<R> {
  readonly #parts: ArrearsParts<R>;
  #running = false;
  #reading: Promise<unknown> | undefined;
  #closed = false;

  constructor(parts: ArrearsParts<R>) {
    this.#parts = parts;
  }

  /** From here on chosen entries are left to the log, until all that is chosen is applied. Nothing begins before `room` resolves. */
  begin(room?: Promise<void>): void {
    this.#parts.applier.lagging = true;
    this.#run(room);
  }

  /** Goes on where a snapshot that came between has left the state machine. */
  resume(): void {
    if (this.#parts.applier.lagging) this.#run();
  }

  close(): void {
    this.#closed = true;
  }

  /** Resolves when the log is not read any more. */
  async settled(): Promise<void> {
    await this.#reading?.catch(() => undefined);
  }

  #run(room?: Promise<void>): void {
    if (this.#running || this.#closed) return;
    this.#running = true;
    this.#catchUp(room).catch((cause: unknown) => {
      this.#running = false;
      if (!this.#closed) this.#parts.fail(cause);
    });
  }

  get #stands(): boolean {
    return this.#closed || this.#parts.applier.held;
  }

  async #catchUp(room: Promise<void> | undefined): Promise<void> {
    const { applier, chosenThrough, caughtUp } = this.#parts;
    await room;
    while (!this.#stands && applier.appliedThrough < chosenThrough()) await this.#some();
    this.#running = false;
    if (this.#stands) return;
    applier.lagging = false;
    caughtUp();
  }

  async #some(): Promise<void> {
    const { applier, applied, answerer } = this.#parts;
    let count = 0;
    for (const entry of await this.#read(applier.appliedThrough + 1)) {
      for (let room = applier.room(); room !== undefined && !this.#stands; room = applier.room()) await room;
      if (this.#stands) return;
      // A snapshot has brought it meanwhile.
      if (entry.slot <= applier.appliedThrough) continue;
      applier.apply([entry], answerer);
      applied(entry);
      if (++count % appliedAtOnceMax === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #read(from: number): Promise<readonly Entry[]> {
    const { applier, storage, chosenThrough } = this.#parts;
    const reading = readSome(storage, from, chosenThrough(), readBytesMax);
    this.#reading = reading;
    try {
      return await reading;
    } catch (cause) {
      // A snapshot takes the place of what the log has let go of.
      if (this.#stands || applier.appliedThrough >= from) return [];
      throw cause;
    } finally {
      this.#reading = undefined;
    }
  }
}
