import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import type { WalError } from "../src/index.js";
import { seeded } from "./fault-file-system.js";
import { builtProgram, endWitnesses, examine, Testimony, testify } from "./support/witness.js";

const missing = process.platform === "linux" ? missingCommand("cc", "gcc") : "needs Linux: LD_PRELOAD and /proc";

describeWith(missing, "on a disk that loses, tears, refuses and lies, under a real process", () => {
  let work: string;
  let program: string;
  let library: string;
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), "evenkeel-power-cut-"));
    library = join(work, "unsteady-disk.so");
    const source = fileURLToPath(new URL("./programs/unsteady-disk.c", import.meta.url));
    await promisify(execFile)("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"]);
    program = await builtProgram("witness", work);
  });
  afterAll(async () => {
    endWitnesses();
    await rm(work, { recursive: true, force: true });
  });

  const disk = async (name: string) => {
    const dir = join(work, name);
    await mkdir(dir);
    await mkdir(`${dir}.gone`);
    return dir;
  };
  const life = (dir: string, fault: string, seed: number, testimony: Testimony, environment = {}) =>
    testify(program, [dir], [testimony], {
      ...environment,
      LD_PRELOAD: library,
      EVENKEEL_DISK: dir,
      EVENKEEL_FAULT: fault,
      EVENKEEL_SEED: `${seed}`,
    });

  it("sees every read, write and sync that libuv makes", async () => {
    const dir = await disk("seen");
    for (const fault of ["eio-write@1", "eio-sync@1", "enospc-write@3"]) {
      const testimony = new Testimony();
      await life(dir, fault, 1, testimony);
      expect(testimony.failed, fault).toMatch(/^ERR_WAL_IO (EIO|ENOSPC)$/);
    }
    await life(dir, "cut@200", 1, new Testimony());
    const testimony = new Testimony();
    await life(dir, "eio-read@1,cut@200", 1, testimony);
    expect(testimony.failed).toBe("ERR_WAL_IO EIO");
  });

  it("nothing acknowledged is lost and nothing is different, life after life, each ended by a power cut that drops unsynced pages", {
    timeout: 300_000,
  }, async () => {
    const lane = async (number: number) => {
      const random = seeded(number);
      const dir = await disk(`lane-${number}`);
      const testimony = new Testimony();
      for (let n = 0; n < 16; n++) {
        const seed = Math.floor(random() * 1_000_000);
        const cut = 1 + Math.floor(random() ** 2 * 300);
        await life(dir, `cut@${cut}`, seed, testimony);
        await examine(dir, testimony).catch((error: unknown) => {
          throw new Error(`cut ${n} of lane ${number}, at change ${cut}, seed ${seed}: ${String(error)}`, {
            cause: error,
          });
        });
      }
      expect(testimony.acknowledged.get("a")).toBeGreaterThan(100);
    };
    await Promise.all([1, 2].map(lane));
  });

  for (const fault of ["eio-write", "enospc-write", "erofs-write", "eio-sync"]) {
    it(`${fault}: the log is poisoned, says so, acknowledges nothing more, and all that it acknowledged is there`, async () => {
      const dir = await disk(fault);
      const testimony = new Testimony();
      for (const at of [9, 23]) {
        await life(dir, `${fault}@${at}`, at, testimony);
        const cause = fault.split("-")[0]?.toUpperCase();
        expect(testimony.failed).toMatch(new RegExp(`^ERR_WAL_(POISONED|IO) ${cause}$`));
        await examine(dir, testimony);
      }
      expect(testimony.acknowledged.get("a")).toBeGreaterThan(0);
    });
  }

  it("short-write: makes no difference", async () => {
    const dir = await disk("short");
    const testimony = new Testimony();
    for (const at of [1, 5, 12, 20, 21]) {
      await life(dir, `short-write@${at},cut@120`, at, testimony);
      await examine(dir, testimony);
    }
  });

  for (const fault of ["torn-write", "flip-write", "drop-sync"]) {
    it(`${fault}: is found out, with the place, or has made no difference; nothing different is ever read`, {
      timeout: 240_000,
    }, async () => {
      const found: string[] = [];
      // Late enough that something vouches for what was damaged: about a disk that lies at its very end nobody can tell.
      const cut = 200;
      const reported = () => found.filter((what) => what === "ERR_WAL_CORRUPT").length;
      // Some of what is hit is zeros that a batch overwrites right after.
      for (let at = 5; at < 45 && (found.length < 4 || reported() < 2); at += 2) {
        const dir = await disk(`${fault}-${at}`);
        const testimony = new Testimony();
        await life(dir, `${fault}@${at},cut@${cut}`, at, testimony, { WITNESS_KEEPS_ALL: "1" });
        await examine(dir, testimony, { damaged: true }).then(
          () => found.push("whole"),
          (error: unknown) => {
            const { code, file, offset } = error as WalError;
            if (code !== "ERR_WAL_CORRUPT") throw error;
            expect([typeof file, typeof offset]).toEqual(["string", "number"]);
            found.push(code);
          },
        );
      }
      expect(reported(), found.join()).toBeGreaterThan(0);
    });
  }

  it("lie-sync: what a disk swore was written may be missing at the end, and only there", async () => {
    for (const at of [8, 17, 33]) {
      const dir = await disk(`lie-${at}`);
      const testimony = new Testimony();
      await life(dir, `lie-sync@${at},cut@150`, at, testimony);
      const before = new Testimony();
      await examine(dir, before).catch((error: unknown) => {
        expect(error).toMatchObject({ code: "ERR_WAL_CORRUPT" });
      });
    }
  });

  it("flip-read: is never believed, and the log is whole where the disk is read right", async () => {
    const dir = await disk("flip-read");
    const testimony = new Testimony();
    await life(dir, "cut@200", 3, testimony);
    for (const at of [2, 3, 4]) {
      const copy = `${dir}-${at}`;
      await cp(dir, copy, { recursive: true });
      await mkdir(`${copy}.gone`);
      const seen = new Testimony();
      await life(copy, `flip-read@${at},cut@60`, at, seen);
      // A bit that flips behind the end of the log, or in its very last batch, is not damage that can be told; all else is.
      if (seen.failed !== undefined) expect(seen.failed).toMatch(/^ERR_WAL_CORRUPT/);
    }
    await examine(dir, testimony);
  });
});
