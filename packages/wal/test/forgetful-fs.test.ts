import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import { seeded } from "./fault-file-system.js";
import { builtProgram, endWitnesses, examine, Testimony, testify } from "./support/witness.js";

const shell = (command: string) => spawnSync("sh", ["-c", command], { encoding: "utf8" });

function missing(): string | undefined {
  if (process.platform !== "linux") return "needs Linux: FUSE";
  const command = missingCommand("cc", "gcc") ?? missingCommand("fusermount3", "fuse3");
  if (command !== undefined) return command;
  if (!existsSync("/dev/fuse")) return "/dev/fuse is not there: FUSE is not allowed here";
  const found = shell("pkg-config --exists fuse3").status === 0;
  return found ? undefined : "the headers of FUSE are not installed (Debian: libfuse3-dev, pkg-config)";
}

describeWith(missing(), "on a file system that forgets what was not synced", () => {
  let work: string;
  let mount: string;
  let program: string;
  let server: ChildProcess | undefined;
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), "evenkeel-forgetful-"));
    mount = join(work, "mount");
    await mkdir(mount);
    const source = fileURLToPath(new URL("./programs/forgetful-fs.c", import.meta.url));
    const flags = shell("pkg-config --cflags --libs fuse3").stdout.trim().split(/\s+/);
    await promisify(execFile)("cc", ["-O1", "-o", join(work, "forgetful-fs"), source, ...flags]);
    program = await builtProgram("witness", work);
    server = spawn(join(work, "forgetful-fs"), ["-f", "-s", mount], {
      stdio: "inherit",
      env: { ...process.env, EVENKEEL_SEED: "7" },
    });
    const { dev } = await stat(work);
    while ((await stat(mount)).dev === dev) {
      if (server.exitCode !== null) throw new Error(`the file system ended with ${server.exitCode}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  afterAll(async () => {
    endWitnesses();
    if (server !== undefined && server.exitCode === null) {
      const ended = once(server, "exit");
      shell(`fusermount3 -u -z "${mount}"`);
      server.kill();
      await ended;
    }
    await rm(work, { recursive: true, force: true });
  });

  it("nothing acknowledged is lost and nothing is different, however often the power is cut, with all logs of a process at once", {
    timeout: 300_000,
  }, async () => {
    const random = seeded(1);
    const dirs = Array.from({ length: 6 }, (_, log) => join(mount, `log-${log}`));
    const testimonies = dirs.map(() => new Testimony());
    for (let cut = 0; cut < 12; cut++) {
      let wait = Math.floor(random() ** 2 * 600);
      await testify(program, dirs, testimonies, {}, (_, child) => {
        if (wait-- === 0) child.kill("SIGKILL");
      });
      await expect(open(join(mount, "forget"), "wx")).rejects.toMatchObject({ code: "ECANCELED" });
      for (const [log, dir] of dirs.entries()) {
        await examine(dir, testimonies[log] as Testimony).catch((error: unknown) => {
          throw new Error(`log ${log} after power cut ${cut}: ${String(error)}`, { cause: error });
        });
      }
    }
    for (const testimony of testimonies) expect(testimony.acknowledged.get("a")).toBeGreaterThan(30);
  });

  it("what was not synced is really gone: a log whose syncs do nothing does not get far", {
    timeout: 240_000,
  }, async () => {
    // The other disk of these tests, with a single fault: it swears that everything is synced and asks nobody.
    const library = join(work, "unsteady-disk.so");
    const source = fileURLToPath(new URL("./programs/unsteady-disk.c", import.meta.url));
    await promisify(execFile)("cc", ["-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"]);
    const dir = join(mount, "liar");
    const testimony = new Testimony();
    const environment = { LD_PRELOAD: library, EVENKEEL_DISK: dir, EVENKEEL_FAULT: "lie-sync@1" };
    let caught: unknown;
    for (let cut = 0; caught === undefined && cut < 20; cut++) {
      let wait = 50;
      await testify(program, [dir], [testimony], environment, (_, child) => {
        if (wait-- === 0) child.kill("SIGKILL");
      });
      await open(join(mount, "forget"), "wx").catch(() => undefined);
      caught = await examine(dir, testimony).catch((error: unknown) => error);
    }
    expect(caught).toBeInstanceOf(Error);
  });
});
