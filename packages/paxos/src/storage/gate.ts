/**
 * Holds writes back, in order, while too many bytes are under way: the log below would refuse them, and a group whose write is refused has to
 * stop. What may wait here is bounded by the groups' own pipelines.
 */
export class Gate {
  readonly #bytesMax: number;
  #bytes = 0;
  #waiting: { bytes: number; start: () => void }[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Calls `work` now when there is room and nobody waits, later in its turn otherwise. What ends in one turn of the event loop, as the writes of
   * one sync do, is told in the order of the calls: it takes as many steps for who waited as for who did not.
   */
  pass<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const start = () => this.#run(bytes, work).then(resolve, reject);
      if (this.#waiting.length === 0 && this.#hasRoom(bytes)) void start();
      else this.#waiting.push({ bytes, start });
    });
  }

  #hasRoom(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax;
  }

  async #run<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    this.#bytes += bytes;
    try {
      return await work();
    } finally {
      this.#bytes -= bytes;
      while (this.#waiting.length > 0 && this.#hasRoom((this.#waiting[0] as { bytes: number }).bytes)) {
        this.#waiting.shift()?.start();
      }
    }
  }
}
