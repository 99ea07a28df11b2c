import { open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";

/** Of so many digits, some can always be told which, all changed between 0 and 1, leave every CRC-32 over them as it was: 33 changes cannot be independent in 32 bits. */
export const FORGEABLE_DIGITS = 33;

/**
 * Another text of as many zeros and ones, such that no CRC-32 over anything that surrounds it changes: what a checksum cannot find, whoever made it. (A CRC is linear: changing digit i adds
 * a word of its own to it, and of 33 words of 32 bits some add up to nothing.)
 */
export function sameChecksum(digits: string): string {
  const zeros = crc32(Buffer.alloc(digits.length));
  const rows: { word: number; places: ReadonlySet<number> }[] = [];
  for (let i = 0; i < digits.length; i++) {
    const flipped = Buffer.alloc(digits.length);
    flipped[i] = 1;
    let word = crc32(flipped) ^ zeros;
    let places: ReadonlySet<number> = new Set([i]);
    for (const row of rows) {
      if (Math.clz32(word ^ row.word) <= Math.clz32(word) || word === 0) continue;
      word ^= row.word;
      places = new Set([...places, ...row.places].filter((at) => places.has(at) !== row.places.has(at)));
    }
    if (word === 0)
      return digits
        .split("")
        .map((digit, at) => (places.has(at) ? `${1 - Number(digit)}` : digit))
        .join("");
    rows.push({ word, places });
    rows.sort((a, b) => Math.clz32(a.word) - Math.clz32(b.word));
  }
  throw new Error(`${digits.length} digits are too few, ${FORGEABLE_DIGITS} are enough`);
}

/** Puts other bytes of the same length in the place of these, in whichever file of the folder has them. */
export async function replaceInFiles(dir: string, before: string, after: string): Promise<string[]> {
  const changed: string[] = [];
  for (const name of await readdir(dir)) {
    const path = join(dir, name);
    if (!(await stat(path)).isFile()) continue;
    const content = await readFile(path);
    const file = await open(path, "r+");
    try {
      for (let at = content.indexOf(before); at >= 0; at = content.indexOf(before, at + 1)) {
        await file.write(Buffer.from(after), 0, after.length, at);
        changed.push(path);
      }
      await file.sync();
    } finally {
      await file.close();
    }
  }
  return changed;
}
