/**
 * Holds writes back, in order, while too many bytes are under way: the log below would refuse them, and a group whose write is refused has to
 * stop. What may wait here is bounded by the groups' own pipelines.
 */
export class Gate {
  readonly #bytesMax: number;
  #bytes = 0;
  #waiting: { bytes: number; start: () => Promise<void> }[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Calls `work` now when there is room and nobody waits, later in its turn otherwise. What ends in one turn of the event loop, as the writes of
   * one sync do, is told in the order of the calls: it takes as many steps for who waited as for who did not.
   */
  pass<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    if (this.isOpen(bytes)) return this.#run(bytes, work);
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({
        bytes,
        start: () =>
          this.#start(bytes, work).then(
            (value) => this.#over(bytes, resolve, value),
            (cause) => this.#over(bytes, reject, cause),
          ),
      });
    });
  }

  /** Whether `pass` would begin within the call. */
  isOpen(bytes: number): boolean {
    return this.#waiting.length === 0 && this.#hasRoom(bytes);
  }

  #hasRoom(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax;
  }

  /** As many steps from `work` to whoever waits for it as of one that had to wait. */
  #run<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    return this.#start(bytes, work).then(
      (value) => {
        this.#leave(bytes);
        return value;
      },
      (cause: unknown) => {
        this.#leave(bytes);
        throw cause;
      },
    );
  }

  #start<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    this.#bytes += bytes;
    try {
      return work();
    } catch (cause) {
      return Promise.reject(cause);
    }
  }

  #over<T>(bytes: number, tell: (value: T) => void, value: T): void {
    this.#leave(bytes);
    tell(value);
  }

  #leave(bytes: number): void {
    this.#bytes -= bytes;
    while (this.#waiting.length > 0 && this.#hasRoom((this.#waiting[0] as { bytes: number }).bytes)) {
      void this.#waiting.shift()?.start();
    }
  }
}
