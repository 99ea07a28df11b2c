/**
 * Holds writes back, in order, while too many bytes are under way: the log below would refuse them, and a group whose write is refused has to
 * stop. What may wait here is bounded by the groups' own pipelines.
 */
export class Gate {
  readonly #bytesMax: number;
  #bytes = 0;
  #waiting: { readonly bytes: number; readonly start: () => void }[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Whether these may begin now; then they are under way until `leave` is called. Else `wait`. */
  enter(bytes: number): boolean {
    if (this.#waiting.length > 0 || !this.#hasRoom(bytes)) return false;
    this.#bytes += bytes;
    return true;
  }

  /** `start` is called when these may begin, behind all who wait already. They are under way then. */
  wait(bytes: number, start: () => void): void {
    this.#waiting.push({ bytes, start });
  }

  leave(bytes: number): void {
    this.#bytes -= bytes;
    while (this.#waiting.length > 0 && this.#hasRoom((this.#waiting[0] as { bytes: number }).bytes)) {
      const next = this.#waiting.shift() as { bytes: number; start: () => void };
      this.#bytes += next.bytes;
      next.start();
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#bytesMax;
  }
}
