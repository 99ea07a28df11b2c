import { decodeTornEnd, encodeTornEnd, sameBytes, type TornEnd, tornEndBytes } from "./core/headers.js";
import { WalError } from "./errors.js";
import { crc } from "./fs/checksum.js";
import { type WalFileSystem, writeAll } from "./fs/file-system.js";
import { unsupported } from "./mark-file.js";
import { segmentFile } from "./segment.js";

/** Where a log ends, when its end is in doubt. */
export interface UncertainTail {
  readonly file: string;
  readonly offset: number;
  /** Number of the batch that would have stood there. It alone may have been acknowledged; everything before it is vouched for. */
  readonly batch: number;
}

const name = "uncertain";

/**
 * The file `uncertain`: the log's end was torn off there, and nobody has said yet that he has taken note. It is durable before the torn end is
 * wiped, so that no crash, however soon and however often, makes a log look whole that may lack its last batch.
 */
export class UncertainFile {
  readonly #fileSystem: WalFileSystem;
  readonly #dir: string;
  readonly #logId: Uint8Array;
  /** Half of one that a crash left behind. */
  readonly #leftOver: boolean;
  #tail: UncertainTail | undefined;

  private constructor(
    { fileSystem, dir, logId }: { fileSystem: WalFileSystem; dir: string; logId: Uint8Array },
    leftOver: boolean,
    tail: UncertainTail | undefined,
  ) {
    this.#fileSystem = fileSystem;
    this.#dir = dir;
    this.#logId = logId;
    this.#leftOver = leftOver;
    this.#tail = tail;
  }

  static async open(
    parts: { fileSystem: WalFileSystem; dir: string; logId: Uint8Array },
    files: readonly string[],
  ): Promise<UncertainFile> {
    const tail = files.includes(name) ? await read(parts) : undefined;
    return new UncertainFile(parts, files.includes(`${name}.new`), tail);
  }

  get path(): string {
    return `${this.#dir}/${name}`;
  }

  get tail(): UncertainTail | undefined {
    return this.#tail;
  }

  /** Takes the place of an earlier one. Durable when it resolves. */
  async write(tail: UncertainTail, segment: number): Promise<void> {
    const { path } = this;
    // What a crash left half-made is as long or shorter: it is written over.
    const file = await this.#fileSystem.open(`${path}.new`, this.#leftOver ? "write" : "create");
    try {
      const { batch, offset } = tail;
      await writeAll(file, encodeTornEnd({ logId: this.#logId, batch, segment, offset }, crc), 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#fileSystem.rename(`${path}.new`, path);
    await this.#fileSystem.syncDirectory(this.#dir);
    this.#tail = tail;
  }

  /** Durable when it resolves. */
  async remove(): Promise<void> {
    if (this.#tail === undefined) return;
    this.#tail = undefined;
    await this.#fileSystem.remove(this.path);
    await this.#fileSystem.syncDirectory(this.#dir);
  }
}

async function read({ fileSystem, dir, logId }: { fileSystem: WalFileSystem; dir: string; logId: Uint8Array }) {
  const path = `${dir}/${name}`;
  const file = await fileSystem.open(path, "read");
  let bytes: Uint8Array;
  try {
    const into = new Uint8Array(tornEndBytes + 1);
    bytes = into.subarray(0, await file.read(into, 0));
  } finally {
    await file.close();
  }
  const found = decodeTornEnd(bytes, crc);
  if (!found.ok && found.version !== undefined) throw unsupported(path, found.version);
  if (!found.ok) throw damaged(path, "is damaged");
  if (!sameBytes(found.value.logId, logId))
    throw damaged(path, "is about another log: it was moved here from elsewhere");
  const { batch, offset, segment }: TornEnd = found.value;
  return { file: `${dir}/${segmentFile(segment)}`, offset, batch };
}

function damaged(path: string, how: string): WalError {
  const message = `${path} ${how}; it says where the end of this log was torn off. Nothing was changed on disk`;
  return new WalError("ERR_WAL_CORRUPT", message, { file: path, offset: 0 });
}
