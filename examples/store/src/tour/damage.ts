import { open, readFile } from "node:fs/promises";

/**
 * Flips one bit of a value wherever it stands in a B-tree file: in the page that is in use, and in older copies of that page that the tree
 * has not overwritten yet. Returns the offsets.
 */
export async function flipByteInFile(path: string, value: Uint8Array): Promise<number[]> {
  const content = await readFile(path);
  const offsets: number[] = [];
  for (let at = content.indexOf(value); at !== -1; at = content.indexOf(value, at + value.length))
    offsets.push(at + (value.length >> 1));
  const file = await open(path, "r+");
  try {
    for (const offset of offsets) await file.write(Buffer.from([(content[offset] as number) ^ 0x01]), 0, 1, offset);
    await file.sync();
  } finally {
    await file.close();
  }
  return offsets;
}
