import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { StoreError } from "./errors.js";

/** Of lmdb's data file in the version that is used here: each of its first two pages describes the whole, and says so. */
const MAGIC = 0xbe_ef_c0_de;
const MAGIC_AT = 24;
const PAGE_BYTES_AT = 48;

/**
 * That lmdb may look at a B-tree's files: where it cannot open them, or finds something else in them, the process ends without a word (SIGSEGV).
 * A file that is not there is made, and what is damaged further in only reading it tells.
 *
 * @throws StoreError ERR_STORE_CORRUPT; EACCES, EPERM, EROFS as they come
 */
export function assertTreeFiles(path: string, pageBytes: number): void {
  for (const file of [path, `${path}-lock`]) {
    const found = statSync(file, { throwIfNoEntry: false });
    if (found === undefined) continue;
    if (!found.isFile()) throw damaged(path, `${file} is not a file`);
    accessSync(file, constants.R_OK | constants.W_OK);
    if (file === path && found.size > 0) assertHeaders(path, pageBytes);
  }
}

function assertHeaders(path: string, pageBytes: number): void {
  const header = Buffer.alloc(PAGE_BYTES_AT + 4);
  const file = openSync(path, "r");
  try {
    for (const at of [0, pageBytes]) {
      const read = readSync(file, header, 0, header.length, at);
      const isWhole =
        read === header.length &&
        header.readUInt32LE(MAGIC_AT) === MAGIC &&
        header.readUInt32LE(PAGE_BYTES_AT) === pageBytes;
      if (!isWhole) throw damaged(path, `the header at ${at} is damaged`);
    }
  } finally {
    closeSync(file);
  }
}

const damaged = (path: string, what: string) =>
  new StoreError("ERR_STORE_CORRUPT", `${path}: ${what}; ${whatToDo(dirname(path))}`);

/** MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_PANIC, MDB_INVALID: pages that lead nowhere, where lmdb sees it. */
const DAMAGES: ReadonlySet<unknown> = new Set([-30_797, -30_796, -30_795, -30_793]);

/** What lmdb says of a damaged file, with where it is and what to do; anything else as it is. */
export function inWords(path: string, error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return DAMAGES.has(code) ? damaged(path, String(message)) : error;
}

/** The log has what the node has promised; what was in the B-tree comes back out of it, and from the others. */
export const whatToDo = (tree: string): string =>
  `if the other nodes are well, move the directory ${tree} away: the node makes it anew out of its log and what the others have`;
