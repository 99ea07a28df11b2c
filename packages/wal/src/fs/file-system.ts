/**
 * The seam between the log and the disk. The log owns every path below its directory; paths are joined with `/`. An implementation that
 * stages faults (short writes, failing syncs, lost pages) implements these two interfaces and is handed to `Wal.open({ fileSystem })`.
 *
 * Contract: `write` and `remove`, `rename`, creation of a file become durable only through `sync` and `syncDirectory`. Until then a crash may
 * keep any subset of them. A method that cannot do its work rejects; it never reports less than the truth.
 */
export interface WalFileSystem {
  /** Creates the directory and its parents; an existing one is fine. What was created is durable when this resolves. */
  makeDirectory(path: string): Promise<void>;
  /** Names of the files in a directory, in any order. */
  list(path: string): Promise<string[]>;
  /** "create" fails when the file exists; "read" and "write" fail when it does not. */
  open(path: string, mode: "create" | "read" | "write"): Promise<WalFile>;
  /** Atomic; replaces what has the new name. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(path: string): Promise<void>;
  /**
   * Takes the directory for this process and this opener. Rejects with `ERR_WAL_LOCKED` while another live one has it; a lock whose owner died
   * (also by SIGKILL) is not in the way. Resolves to what gives it back.
   */
  lock(path: string): Promise<() => Promise<void>>;
}

export interface WalFile {
  /** Fills `into` from `position`; resolves to the number of bytes read, less than asked for only at the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** Resolves to the number of bytes written, which may be less than all: the caller goes on. The bytes must not change meanwhile. */
  write(bytes: Uint8Array, position: number): Promise<number>;
  /** `fdatasync`: the data, and the size as far as reading the data needs it. */
  sync(): Promise<void>;
  /**
   * `write` and a sync of what it wrote, in one call: as many bytes as it resolves to are durable then, whatever else of the file is not. A failure is a failed sync: what of it is on disk, nobody
   * knows. May be left out; then the log writes, and syncs.
   */
  writeSynced?(bytes: Uint8Array, position: number): Promise<number>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** Writes all of `bytes`, however short the single writes are. */
export async function writeAll(file: WalFile, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    done += some(await file.write(rest(bytes, done), position + done), bytes.length - done, position + done);
  }
}

/** The same, and `bytes` are durable when it resolves. */
export async function writeAllSynced(file: WalFile, bytes: Uint8Array, position: number): Promise<void> {
  if (file.writeSynced === undefined) {
    await writeAll(file, bytes, position);
    await file.sync();
    return;
  }
  let done = 0;
  while (done < bytes.length) {
    done += some(await file.writeSynced(rest(bytes, done), position + done), bytes.length - done, position + done);
  }
}

function rest(bytes: Uint8Array, done: number): Uint8Array {
  return done === 0 ? bytes : bytes.subarray(done);
}

function some(written: number, wanted: number, position: number): number {
  if (written <= 0) throw new Error(`a write of ${wanted} bytes at ${position} wrote nothing`);
  return written;
}
