import { spawnSync } from "node:child_process";
import { describe } from "vitest";

/**
 * `describe` for a suite that needs something of the machine: a Redis server, a C compiler, FUSE. Where it is missing (`missing` says what, and how
 * to get it) the suite is skipped and its title says why; where nothing may be skipped, as in `.ci/run`, that is a failure.
 */
export function describeWith(missing: string | undefined, title: string, suite: () => void): void {
  if (missing === undefined) {
    describe(title, suite);
    return;
  }
  if (process.env.EVENKEEL_SKIP_NOTHING === "1") throw new Error(`"${title}" may not be skipped here: ${missing}`);
  describe.skip(`${title} [skipped: ${missing}]`, suite);
}

/** Undefined when `command` can be run here, otherwise what to tell people. `debian` is the package that brings it. */
export function missingCommand(command: string, debian: string): string | undefined {
  const found = spawnSync("sh", ["-c", `command -v "${command}"`], { stdio: "ignore" }).status === 0;
  return found ? undefined : `${command} is not installed (Debian: ${debian})`;
}
