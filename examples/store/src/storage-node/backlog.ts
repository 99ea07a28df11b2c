import { StoreError } from "./errors.js";

/**
 * Past this the B-tree does not follow: at a few thousand writes a second that it takes where two cores do everything, some seconds of work. Beyond it nobody would be served sooner by being
 * taken at once, while memory, and what a restart has to replay, would grow.
 */
const WRITES_ENOUGH = 16_384;
const BYTES_ENOUGH = 64 * 1024 * 1024;
/** So long a write waits to be let in. A client that hears nothing for longer asks again, and makes it worse. */
const WAIT_MS_MAX = 3_000;
const WAITING_MAX = 10_000;
/** Decided in one turn of the event loop. */
const LET_IN_AT_ONCE = 64;
/**
 * A replica that does not lead takes so many times as much before it leaves what is chosen in the log. The leader slows writers down by its own B-tree: a replica whose tree is as fast as that one never has to read its log again.
 */
const FOLLOWED = 2;

interface Waiting {
  readonly letIn: () => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Writes of a partition that are applied in memory and not yet in the B-tree. Who writes faster than the B-tree takes it is slowed down to its pace, in the order in which they came; refused is only
 * who would have to wait for too long. (To take all there is and refuse everything at a bound was worse: a table that was filled at full speed answered `ThrottlingException` to whoever came next.)
 */
export class Backlog {
  readonly #partition: number;
  readonly #writesEnough: number;
  readonly #waitMsMax: number;
  #writes = 0;
  #bytes = 0;
  readonly #waiting = new Set<Waiting>();
  readonly #applying: (() => void)[] = [];
  #lettingIn = false;
  #closed = false;

  constructor(partition: number, { writesEnough = WRITES_ENOUGH, waitMsMax = WAIT_MS_MAX } = {}) {
    this.#partition = partition;
    this.#writesEnough = writesEnough;
    this.#waitMsMax = waitMsMax;
  }

  /** Those to one key each for itself. */
  get writes(): number {
    return this.#writes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get #isEnough(): boolean {
    return this.#writes >= this.#writesEnough || this.#bytes >= BYTES_ENOUGH;
  }

  get #isFull(): boolean {
    return this.#writes >= FOLLOWED * this.#writesEnough || this.#bytes >= FOLLOWED * BYTES_ENOUGH;
  }

  applied(bytes: number): void {
    this.#writes++;
    this.#bytes += bytes;
  }

  /** One of them is in the B-tree. Call `moved` behind the last one. */
  move(bytes: number): void {
    this.#writes--;
    this.#bytes -= bytes;
  }

  moved(): void {
    if (!this.#isFull) this.#goOn();
    if (this.#waiting.size > 0) this.#letIn();
  }

  /** For what is chosen already, where another node leads: undefined where it may be applied, else to be asked again when it resolves. */
  roomToApply(): Promise<void> | undefined {
    if (!this.#isFull || this.#closed) return undefined;
    return new Promise((resolve) => this.#applying.push(resolve));
  }

  #goOn(): void {
    for (const goOn of this.#applying.splice(0)) goOn();
  }

  /** The whole state was replaced by one that is in the B-tree. */
  clear(): void {
    this.#writes = 0;
    this.#bytes = 0;
    this.moved();
  }

  get hasRoom(): boolean {
    return (!this.#isEnough && this.#waiting.size === 0) || this.#closed;
  }

  /** Resolves when there is room again; what was true before must be asked anew then. Rejects with ERR_STORE_OVERLOADED where there is none for too long, or too many wait. */
  room(): Promise<void> {
    if (this.#waiting.size >= WAITING_MAX) return Promise.reject(this.overloaded());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        reject(this.overloaded());
      }, this.#waitMsMax).unref();
      const waiting: Waiting = { letIn: resolve, timer };
      this.#waiting.add(waiting);
    });
  }

  overloaded(): StoreError {
    const message = `partition ${this.#partition}: ${this.#writes} writes (${this.#bytes} bytes) wait for the B-tree`;
    return new StoreError("ERR_STORE_OVERLOADED", message);
  }

  /** Whoever waits goes on, and finds the partition closed. */
  close(): void {
    this.#closed = true;
    this.#goOn();
    this.#letIn();
  }

  #letIn(): void {
    if (this.#lettingIn) return;
    let count = 0;
    for (const waiting of this.#waiting) {
      if (this.#isEnough && !this.#closed) return;
      if (count++ === LET_IN_AT_ONCE) {
        this.#lettingIn = true;
        setImmediate(() => {
          this.#lettingIn = false;
          this.#letIn();
        });
        return;
      }
      this.#waiting.delete(waiting);
      clearTimeout(waiting.timer);
      waiting.letIn();
    }
  }
}
