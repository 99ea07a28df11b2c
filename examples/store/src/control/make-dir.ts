import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Creates a directory and those above it that are missing. Not `mkdirSync` with `recursive`: that never returns where the parent is there and
 * the answer is ENOENT all the same, as it is below /proc.
 */
export function makeDir(dir: string): void {
  try {
    mkdirSync(dir);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "EEXIST" && statSync(dir).isDirectory()) return;
    if (code !== "ENOENT" || existsSync(dirname(dir))) throw error;
    makeDir(dirname(dir));
    mkdirSync(dir);
  }
}
