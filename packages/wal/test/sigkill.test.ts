import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Wal } from "../src/index.js";
import { seeded } from "./fault-file-system.js";
import { builtProgram, endWitnesses, examine, Testimony, testify } from "./support/witness.js";

let work: string;
let program: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "evenkeel-sigkill-"));
  program = await builtProgram("witness", work);
});
afterAll(async () => {
  endWitnesses();
  await rm(work, { recursive: true, force: true });
});

describe("a process that is killed with SIGKILL", () => {
  it("keeps others out while it lives, leaves no lock behind, and all that it acknowledged is there, over a hundred times", {
    timeout: 300_000,
  }, async () => {
    // One process owns several logs, each at another point of its work when the process dies: a kill ends the lives of all of them.
    const logs = 8;
    const kills = 8;
    let lives = 0;
    const lane = async (number: number) => {
      const random = seeded(number);
      const dirs = Array.from({ length: logs }, (_, log) => join(work, `log-${number}-${log}`));
      const testimonies = dirs.map(() => new Testimony());
      for (let kill = 0; kill < kills; kill++) {
        let wait = Math.floor(random() ** 2 * 1500);
        let opened = 0;
        await testify(program, dirs, testimonies, {}, async (line, child) => {
          if (line.endsWith(" open") && ++opened === logs && !child.killed) {
            await expect(Wal.open({ dir: dirs[kill % logs] as string })).rejects.toMatchObject({
              code: "ERR_WAL_LOCKED",
            });
          }
          if (wait-- === 0) child.kill("SIGKILL");
        });
        for (const [log, dir] of dirs.entries()) {
          await examine(dir, testimonies[log] as Testimony);
          lives++;
        }
      }
      for (const testimony of testimonies) expect(testimony.acknowledged.get("a")).toBeGreaterThan(50);
    };
    await Promise.all([1, 2].map(lane));
    expect(lives).toBe(2 * kills * logs);
  });
});
