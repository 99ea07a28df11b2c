import { decodeMark, encodeMark, type Mark, markSlots, pageBytes } from "./core/headers.js";
import { WalError } from "./errors.js";
import { crc } from "./fs/checksum.js";
import { type WalFile, type WalFileSystem, writeAll, writeAllSynced } from "./fs/file-system.js";

const name = "marks";

/**
 * The file `marks`: how far the log is durable, written when the log falls idle and when it closes. In between each batch vouches for those
 * before it; this vouches for the last one, which nothing else can.
 */
export class MarkFile {
  readonly #file: WalFile;
  mark: Mark;

  private constructor(file: WalFile, mark: Mark) {
    this.#file = file;
    this.mark = mark;
  }

  static async create(fileSystem: WalFileSystem, dir: string, logId: Uint8Array, nowMs: number): Promise<MarkFile> {
    const path = `${dir}/${name}`;
    const mark: Mark = { logId, generation: 0, batch: 0, batchCrc: 0, segment: 0, writtenMs: nowMs };
    const file = await fileSystem.open(`${path}.tmp`, "create");
    try {
      for (let slot = 0; slot < markSlots; slot++) await writeAll(file, encodeMark(mark, crc), slot * pageBytes);
      await file.sync();
      await fileSystem.rename(`${path}.tmp`, path);
      await fileSystem.syncDirectory(dir);
      return new MarkFile(file, mark);
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  /** `mode` "read" for who only looks, maybe on a file system that cannot be written. */
  static async open(fileSystem: WalFileSystem, dir: string, mode: "read" | "write" = "write"): Promise<MarkFile> {
    const path = `${dir}/${name}`;
    const file = await fileSystem.open(path, mode);
    try {
      const bytes = new Uint8Array(markSlots * pageBytes);
      return new MarkFile(file, newestMark(path, bytes.subarray(0, await file.read(bytes, 0))));
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
  }

  async write(fields: Omit<Mark, "logId" | "generation">): Promise<void> {
    const mark: Mark = { ...fields, logId: this.mark.logId, generation: this.mark.generation + 1 };
    await writeAllSynced(this.#file, encodeMark(mark, crc), (mark.generation % markSlots) * pageBytes);
    this.mark = mark;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  static present(files: readonly string[]): boolean {
    return files.includes(name);
  }
}

function newestMark(path: string, bytes: Uint8Array): Mark {
  let newest: Mark | undefined;
  for (let at = 0; at + pageBytes <= bytes.length; at += pageBytes) {
    const slot = decodeMark(bytes.subarray(at, at + pageBytes), crc);
    if (!slot.ok && slot.version !== undefined) throw unsupported(path, slot.version);
    if (slot.ok && (newest === undefined || slot.value.generation > newest.generation)) newest = slot.value;
  }
  if (newest !== undefined) return newest;
  const message = `${path}: both slots are damaged; they are never written at the same time`;
  throw new WalError("ERR_WAL_CORRUPT", message, { file: path, offset: 0 });
}

export function unsupported(path: string, version: number): WalError {
  const message = `${path} has format version ${version}, which this version of @evenkeel/wal does not read; use a newer one`;
  return new WalError("ERR_WAL_UNSUPPORTED", message, { file: path });
}
