import * as fs from "node:fs";

/**
 * The limit: nothing but group commit. Records are copied behind one another into a preallocated, zero-filled file and synced; no checksums, no
 * framing, no streams, no recovery. Wraps around at the end of the file.
 */
export class GroupCommitLoop {
  readonly #fd: number;
  readonly #sizeBytes: number;
  #position = 0;
  #gathering = Buffer.alloc(8 * 1024 * 1024);
  #writing = Buffer.alloc(8 * 1024 * 1024);
  #used = 0;
  #waiters: (() => void)[] = [];
  #busy = false;

  constructor(path: string, sizeBytes = 64 * 1024 * 1024) {
    this.#fd = fs.openSync(path, "w+");
    this.#sizeBytes = sizeBytes;
    const zeros = Buffer.alloc(1024 * 1024);
    for (let at = 0; at < sizeBytes; at += zeros.length) fs.writeSync(this.#fd, zeros, 0, zeros.length, at);
    fs.fsyncSync(this.#fd);
  }

  append(data: Buffer): Promise<void> {
    data.copy(this.#gathering, this.#used);
    this.#used += data.length;
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      if (!this.#busy) {
        this.#busy = true;
        setImmediate(() => this.#commit());
      }
    });
  }

  #commit(): void {
    const bytes = this.#gathering.subarray(0, this.#used);
    const waiters = this.#waiters;
    [this.#gathering, this.#writing] = [this.#writing, this.#gathering];
    this.#used = 0;
    this.#waiters = [];
    if (this.#position + bytes.length > this.#sizeBytes) this.#position = 0;
    fs.writeSync(this.#fd, bytes, 0, bytes.length, this.#position);
    this.#position += bytes.length;
    fs.fdatasync(this.#fd, (error) => {
      if (error !== null) throw error;
      for (const resolve of waiters) resolve();
      setImmediate(() => {
        if (this.#used > 0) this.#commit();
        else this.#busy = false;
      });
    });
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}
