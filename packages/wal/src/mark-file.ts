import { decodeMark, encodeMark, type Mark, markSlots, pageBytes } from "./core/headers.js";
import { WalError } from "./errors.js";
import { crc } from "./fs/checksum.js";
import { type WalFile, type WalFileSystem, writeAll } from "./fs/file-system.js";

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
    for (let slot = 0; slot < markSlots; slot++) await writeAll(file, encodeMark(mark, crc), slot * pageBytes);
    await file.sync();
    await fileSystem.rename(`${path}.tmp`, path);
    await fileSystem.syncDirectory(dir);
    return new MarkFile(file, mark);
  }

  static async open(fileSystem: WalFileSystem, dir: string): Promise<MarkFile> {
    const path = `${dir}/${name}`;
    const file = await fileSystem.open(path, "write");
    const bytes = new Uint8Array(markSlots * pageBytes);
    const length = await file.read(bytes, 0);
    let newest: Mark | undefined;
    let newer: number | undefined;
    for (let at = 0; at + pageBytes <= length; at += pageBytes) {
      const slot = decodeMark(bytes.subarray(at, at + pageBytes), crc);
      if (slot.ok && (newest === undefined || slot.value.generation > newest.generation)) newest = slot.value;
      if (!slot.ok) newer = slot.version ?? newer;
    }
    if (newer !== undefined || newest === undefined) await file.close();
    if (newer !== undefined) throw unsupported(path, newer);
    if (newest === undefined) {
      throw new WalError(
        "ERR_WAL_CORRUPT",
        `${path}: both slots are damaged; they are never written at the same time`,
        {
          file: path,
          offset: 0,
        },
      );
    }
    return new MarkFile(file, newest);
  }

  async write(fields: Omit<Mark, "logId" | "generation">): Promise<void> {
    const mark: Mark = { ...fields, logId: this.mark.logId, generation: this.mark.generation + 1 };
    await writeAll(this.#file, encodeMark(mark, crc), (mark.generation % markSlots) * pageBytes);
    await this.#file.sync();
    this.mark = mark;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  static present(files: readonly string[]): boolean {
    return files.includes(name);
  }
}

export function unsupported(path: string, version: number): WalError {
  const message = `${path} has format version ${version}, which this version of @evenkeel/wal does not read; use a newer one`;
  return new WalError("ERR_WAL_UNSUPPORTED", message, { file: path });
}
