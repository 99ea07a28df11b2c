import { readFileSync } from "node:fs";

/** The source of a test file of this repository, by its name (`leases`) or, of another package, by its path from `packages` (`wal/failures`). */
export function testSource(name: string): string {
  const [other, file] = name.split("/");
  const path = file === undefined ? `../${other}.test.ts` : `../../../${other}/test/${file}.test.ts`;
  return readFileSync(new URL(path, import.meta.url), "utf8");
}

/** Where something is shown: a test file, and the beginning of the title of one of its tests. */
export type Shown = readonly [file: string, title: string];

/** Those that are not there, in words. */
export function missing(shown: readonly Shown[]): string[] {
  const isThere = ([file, title]: Shown) =>
    testSource(file).includes(`"${title}`) || testSource(file).includes(`\`${title}`);
  return shown.filter((one) => !isThere(one)).map(([file, title]) => `${file}.test.ts has no test "${title}"`);
}
