import { execFile } from "node:child_process";
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Builds `programs/moody-disk.c` into `work`, and returns the library. */
export async function builtLibrary(work: string): Promise<string> {
  const library = join(work, "moody-disk.so");
  const source = fileURLToPath(new URL("../programs/moody-disk.c", import.meta.url));
  await promisify(execFile)("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"]);
  return library;
}

const words = { syncMs: 0, writeErrno: 1, syncErrno: 2 } as const;
const none = { syncMs: 0, writeErrno: 0, syncErrno: 0 };

/** The disk of one process, as the test moves it. `programs/moody-disk.c` says what the numbers mean. */
export class MoodyDisk {
  readonly environment: NodeJS.ProcessEnv;
  readonly #fd: number;

  constructor(library: string, file: string) {
    this.#fd = openSync(file, "w+");
    writeSync(this.#fd, Buffer.alloc(16), 0, 16, 0);
    this.environment = { LD_PRELOAD: library, EVENKEEL_MOOD: file };
  }

  set(mood: Partial<typeof none>): void {
    for (const [name, value] of Object.entries({ ...none, ...mood })) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(value);
      writeSync(this.#fd, bytes, 0, 4, words[name as keyof typeof none] * 4);
    }
  }

  /** How many have ended, well or badly. */
  get syncs(): number {
    const bytes = Buffer.alloc(4);
    readSync(this.#fd, bytes, 0, 4, 12);
    return bytes.readUInt32LE();
  }

  close(): void {
    closeSync(this.#fd);
  }
}
