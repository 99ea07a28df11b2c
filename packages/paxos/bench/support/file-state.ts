import { type FileHandle, open, rename, stat } from "node:fs/promises";
import type { IncomingSnapshot, Snapshot, StateMachine } from "@evenkeel/paxos";

/** A state as large as its file. Commands count as applied and change nothing in it: what is measured is how it gets to another node. */
export class FileState implements StateMachine<number> {
  readonly #path: string;
  appliedThrough = 0;

  constructor(path: string) {
    this.#path = path;
  }

  apply({ slot }: { readonly slot: number }): number {
    this.appliedThrough = slot;
    return slot;
  }

  advance(slot: number): void {
    this.appliedThrough = slot;
  }

  async snapshot(): Promise<Snapshot> {
    const slot = this.appliedThrough;
    const { size } = await stat(this.#path);
    const file = await open(this.#path, "r");
    return {
      slot,
      sizeBytes: size,
      async read(offset, length) {
        const bytes = new Uint8Array(length);
        await readAll(file, bytes, offset);
        return bytes;
      },
      close: () => file.close(),
    };
  }

  async install({ slot, chunks }: IncomingSnapshot): Promise<void> {
    const fresh = `${this.#path}.new`;
    const file = await open(fresh, "w");
    try {
      for await (const chunk of chunks) await file.write(chunk);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(fresh, this.#path);
    this.appliedThrough = slot;
  }
}

async function readAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) throw new RangeError("the state's file is shorter than it was");
    done += bytesRead;
  }
}
