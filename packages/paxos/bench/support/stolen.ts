import { readFile } from "node:fs/promises";

/** Of the eight first columns of a processor's line in Linux' `/proc/stat`. */
const stealColumn = 7;

/** What the machine's processors have had to do since it was started, in ticks; of another system nothing. */
async function ticks(): Promise<readonly number[]> {
  const text = await readFile("/proc/stat", "utf8").catch(() => "");
  const [, ...columns] = (text.split("\n")[0] as string).trim().split(/\s+/);
  return columns.slice(0, stealColumn + 1).map(Number);
}

/**
 * Adds what of the processors' time the host of a virtual machine gave to others meanwhile, in hundredths: then nothing moves here, whatever waits. 0 where that is not told.
 */
export async function withStolen<T extends object>(work: () => Promise<T>): Promise<T & { readonly stolen: number }> {
  const before = await ticks();
  const result = await work();
  const gone = (await ticks()).map((count, column) => count - (before[column] ?? 0));
  const all = gone.reduce((sum, count) => sum + count, 0);
  return { ...result, stolen: all === 0 ? 0 : (100 * (gone[stealColumn] ?? 0)) / all };
}
