import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { chmod, cp, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { connect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import { salvage, Wal, type WalStream } from "../src/index.js";
import { collect } from "./collect.js";
import { builtProgram } from "./support/witness.js";

let work: string;
let dir: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), "evenkeel-surroundings-"));
  dir = join(work, "log");
});
afterEach(async () => {
  await rm(work, { recursive: true, force: true });
});

const bytes = (text: string) => new TextEncoder().encode(text);
const texts = async (stream: WalStream) => (await collect(stream.read())).map(({ data }) => `${Buffer.from(data)}`);

describe("the directory of a log", () => {
  it.runIf(process.platform === "linux")("stays locked when the lock's socket reports errors", async () => {
    await using wal = await Wal.open({ dir });
    const { dev, ino } = await stat(dir, { bigint: true });
    const name = `\0evenkeel-wal-${createHash("sha256").update(`${dev}:${ino}`).digest("hex").slice(0, 32)}`;
    let lock: Server | undefined;
    const onSocket = (message: unknown) => (lock = (message as { socket: Socket & { server: Server } }).socket.server);
    subscribe("net.server.socket", onSocket);
    await once(connect(name), "close");
    unsubscribe("net.server.socket", onSocket);

    // What it says each time when it cannot take a stranger's connection, because the process has no descriptor left for it.
    for (const n of [1, 2]) lock?.emit("error", new Error(`accept EMFILE ${n}`));
    await expect(Wal.open({ dir })).rejects.toMatchObject({ code: "ERR_WAL_LOCKED" });
    expect(await wal.stream("s").append(bytes("kept"))).toBe(1);
    expect(lock?.listening).toBe(true);
  });

  it("deleted underneath: that is noticed soon, and nothing more is acknowledged, since nobody could ever read it", async () => {
    const wal = await Wal.open({ dir });
    await wal.stream("s").append(bytes("kept"));
    await rm(dir, { recursive: true });
    let lost: unknown;
    while (lost === undefined)
      await wal
        .stream("s")
        .append(bytes("lost"))
        .catch((error: unknown) => (lost = error));
    expect(lost).toMatchObject({ code: "ERR_WAL_POISONED" });
    await wal.close();
    await using again = await Wal.open({ dir });
    expect(again.streams()).toEqual([]);
  });

  it("moved away underneath: what is acknowledged is where the files are now", async () => {
    const wal = await Wal.open({ dir });
    await wal.stream("s").append(bytes("before"));
    await rename(dir, join(work, "moved"));
    await wal.stream("s").append(bytes("after"));
    await wal.close();
    await using again = await Wal.open({ dir: join(work, "moved") });
    expect(await texts(again.stream("s"))).toEqual(["before", "after"]);
  });

  it("copied while it was open, its lock with it: the copy is a log of its own, and the lock is not in the way", async () => {
    await using wal = await Wal.open({ dir });
    await wal.stream("s").append(bytes("both"));
    await cp(dir, join(work, "copy"), { recursive: true });
    expect(await readdir(join(work, "copy"))).toContain("owner");
    await wal.stream("s").append(bytes("one"));
    await using copy = await Wal.open({ dir: join(work, "copy") });
    await copy.stream("s").append(bytes("other"));
    expect(await texts(wal.stream("s"))).toEqual(["both", "one"]);
    expect(await texts(copy.stream("s"))).toEqual(["both", "other"]);
  });

  it("with a lock file left over by a process whose number somebody else has by now, is opened", async () => {
    await (await Wal.open({ dir })).close();
    await writeFile(join(dir, "owner"), `${process.pid}\n`);
    await using wal = await Wal.open({ dir });
    expect(await wal.stream("s").append(bytes("x"))).toBe(1);
  });

  it("without any of its segments is damaged, and not a new one: what was durable is missing", async () => {
    const wal = await Wal.open({ dir });
    await wal.stream("s").append(bytes("kept"));
    await wal.close();
    for (const name of await readdir(dir)) if (name.endsWith(".wal")) await rm(join(dir, name));
    const before = await readdir(dir);
    const missing = { code: "ERR_WAL_CORRUPT", message: expect.stringContaining("all segments are missing") };
    await expect(Wal.open({ dir })).rejects.toMatchObject(missing);
    expect(await readdir(dir)).toEqual(before);
  });

  it("that is a file, or below one, is refused with a typed error", async () => {
    await writeFile(dir, "");
    await expect(Wal.open({ dir })).rejects.toMatchObject({ code: "ERR_WAL_IO", cause: { code: "EEXIST" } });
    await expect(Wal.open({ dir: join(dir, "x") })).rejects.toMatchObject({ code: "ERR_WAL_IO" });
    await expect(salvage({ dir: join(dir, "x") })).rejects.toMatchObject({ code: "ERR_WAL_IO" });
    await expect(salvage({ dir: join(work, "none") })).rejects.toMatchObject({ code: "ERR_WAL_IO" });
  });
});

const notRoot = process.getuid?.() === 0 ? missingCommand("setpriv", "util-linux") : undefined;

describeWith(missingCommand("sh", "dash") ?? notRoot, "a process without the means", () => {
  /** Runs the program below, as nobody if we are root, to whom nothing is forbidden. */
  async function scarce(limits: string, task: string): Promise<string[]> {
    const program = await builtProgram("scarce", work);
    const who = process.getuid?.() === 0 ? "setpriv --reuid 65534 --clear-groups --" : "";
    const command = `${limits} exec ${who} "$0" "$1" "$2" "$3"`;
    const { stdout } = await promisify(execFile)("sh", ["-c", command, process.execPath, program, task, dir]);
    return stdout.trim().split("\n");
  }

  it("that may not write is told so when it opens the log, can salvage it, and disturbs nothing", async () => {
    {
      await using wal = await Wal.open({ dir });
      await wal.stream("s").append(bytes("x"));
    }
    for (const path of [work, dir, ...(await readdir(dir)).map((name) => join(dir, name))]) await chmod(path, 0o555);
    try {
      expect(await scarce("", "read-only")).toEqual(["open ERR_WAL_IO EACCES", "salvage 0 damages, s to 1"]);
    } finally {
      for (const path of [work, dir]) await chmod(path, 0o755);
      for (const name of await readdir(dir)) await chmod(join(dir, name), 0o644);
    }
    await using wal = await Wal.open({ dir });
    expect(await texts(wal.stream("s"))).toEqual(["x"]);
  });

  it("that runs out of file descriptors is told so everywhere, loses nothing, and goes on when it has some again", async () => {
    await chmod(work, 0o777);
    const lines = await scarce("ulimit -n 64;", "descriptors");
    expect(lines).toEqual([
      "open ERR_WAL_IO EMFILE",
      "opened again",
      "read ERR_WAL_IO EMFILE",
      "append ERR_WAL_POISONED EMFILE",
      "all acknowledged records are there",
    ]);
  });
});
