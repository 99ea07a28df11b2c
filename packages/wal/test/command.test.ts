import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../src/command.js";
import { bytesText, Progress } from "../src/command-progress.js";
import { Wal } from "../src/index.js";
import { FaultFileSystem } from "./fault-file-system.js";

async function run(fileSystem: FaultFileSystem, ...args: string[]) {
  let [out, err] = ["", ""];
  const take = {
    out: async (text: string) => {
      out += text;
    },
    err: async (text: string) => {
      err += text;
    },
  };
  return { status: await runCommand(args, take, fileSystem), out, err };
}

async function filled(): Promise<FaultFileSystem> {
  const fileSystem = new FaultFileSystem();
  const wal = await Wal.open({ dir: "log", fileSystem, now: () => 1_700_000_000_000 });
  await wal.stream("orders").append(["one", "two", "thr\u0000e"].map((text) => Buffer.from(text)));
  await wal.stream("orders").append(Buffer.from("four"));
  await wal.stream("orders").append(Buffer.from("five"));
  await wal.stream("empty").append(Buffer.from("x"));
  await wal.stream("empty").truncateBefore(2);
  await wal.close();
  return fileSystem;
}

const file = "log/000000000001.wal";
function damaged(fileSystem: FaultFileSystem): FaultFileSystem {
  fileSystem.damage(file, (bytes) =>
    bytes.fill(0, Buffer.from(bytes).indexOf("four"), Buffer.from(bytes).indexOf("four") + 4),
  );
  return fileSystem;
}

describe("evenkeel-wal", () => {
  it("verify: is content with a whole log, and names what is damaged", async () => {
    const fileSystem = await filled();
    expect(await run(fileSystem, "verify", "log")).toEqual({
      status: 0,
      out: "6 batches of 2 streams are right\n",
      err: "",
    });
    const { status, out } = await run(damaged(fileSystem), "verify", "log");
    expect(status).toBe(1);
    expect(out).toMatch(
      /^5 batches of 2 streams are right\nlog\/000000000001\.wal: bytes \d+ to \d+: .*, batches 3 to 3 are lost\n/,
    );
    expect(out).toContain('stream "orders": records 4 to 4 are missing\n');
    const { damages } = JSON.parse((await run(fileSystem, "verify", "log", "--json")).out);
    expect(damages).toMatchObject([{ file, batches: { from: 3, to: 3 }, wasDurable: true }]);
  });

  it("stats: shows the bounds of each stream", async () => {
    const { status, out } = await run(await filled(), "stats", "log");
    expect([status, out]).toEqual([0, '6 batches, 2 streams\n"orders": 1 to 5\n"empty": empty, next 2\n']);
  });

  it("dump: writes the records of all streams or one, for people or programs", async () => {
    const fileSystem = await filled();
    const { out } = await run(fileSystem, "dump", "log", "--from", "2", "--to", "3");
    expect(out).toBe('"orders" 2 2023-11-14T22:13:20.000Z 3 B two\n"orders" 3 2023-11-14T22:13:20.000Z 5 B thr.e\n');
    const { out: lines } = await run(damaged(fileSystem), "dump", "log", "--stream", "orders", "--json");
    const records = lines
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(records.map(({ sequence, data }) => `${sequence} ${Buffer.from(data, "base64")}`)).toEqual([
      "1 one",
      "2 two",
      "3 thr\u0000e",
      "5 five",
    ]);
  });

  it("inspect: shows the segments, what is live in them, and what the marks vouch for", async () => {
    const fileSystem = new FaultFileSystem();
    const options = { dir: "log", fileSystem, segmentBytes: 65_536, now: () => 1_700_000_000_000 };
    const wal = await Wal.open(options);
    const [kept, dropped] = [wal.stream("kept"), wal.stream("dropped")];
    for (let n = 0; n < 12; n++) {
      await kept.append(new Uint8Array(5000));
      await dropped.append(new Uint8Array(15_000));
    }
    await dropped.truncateBefore(13);
    await wal.close();
    const { status, out } = await run(fileSystem, "inspect", "log");
    expect(status).toBe(0);
    const [overview, marks, , heading, ...rows] = out.split("\n");
    expect(overview).toMatch(/^5 segments, 320 KiB; 29 batches, 2 streams, 12 live records$/);
    expect(marks).toMatch(
      /^marks: durable through batch 29 in segment 4, written 2023-11-14T22:13:20.000Z; log [0-9a-f]{32}$/,
    );
    expect(heading).toMatch(/^segment +bytes +used +live +batches +first +last +salt +made +last batch$/);
    expect(rows[0]).toMatch(
      /^1 +64.0 KiB +[\d.]+ KiB +25 % +7 +1 +7 +[0-9a-f]{16} +2023-11-14T22:13:20.000Z +2023-11-14T22:13:20.000Z$/,
    );
    expect(rows.slice(6)).toEqual(['"kept": 1 to 12', '"dropped": empty, next 13', ""]);
    const { segments, mark } = JSON.parse((await run(fileSystem, "inspect", "log", "--json")).out);
    expect(mark).toMatchObject({ batch: 29, segment: 4 });
    expect(segments[0]).toMatchObject({
      number: 1,
      bytes: 65_536,
      batches: { from: 1, to: 7, count: 7 },
      liveRecords: 3,
    });
    expect(segments[0].liveBytes).toBe(3 * (5000 + 22));
    expect(segments[0].liveShare).toBeCloseTo(0.25, 1);

    fileSystem.damage("log/000000000002.wal", (bytes) => bytes.fill(0, 0, 10));
    const damagedLog = await run(fileSystem, "inspect", "log");
    expect(damagedLog.status).toBe(1);
    expect(damagedLog.out).toMatch(/\n2 +64.0 KiB +damaged\n/);
  });

  it("says what is wrong with how it was called, or with where", async () => {
    const fileSystem = await filled();
    const wrong = async (...args: string[]) => {
      const { status, out, err } = await run(fileSystem, ...args);
      expect([status, out]).toEqual([2, ""]);
      return err;
    };
    const help = "; evenkeel-wal --help says how it is called\n";
    expect((await run(fileSystem, "--help")).out).toContain("Exit status:");
    expect(await wrong()).toBe(`evenkeel-wal: what is to be done? There are verify, inspect, stats, dump${help}`);
    expect(await wrong("check", "log")).toBe(
      `evenkeel-wal: there is no command check; there are verify, inspect, stats, dump${help}`,
    );
    expect(await wrong("verify")).toBe(`evenkeel-wal: verify: of which directory?${help}`);
    expect(await wrong("verify", "log", "more")).toBe(`evenkeel-wal: verify takes one directory, got also more${help}`);
    expect(await wrong("verify", "log", "--fast")).toBe(`evenkeel-wal: unknown option '--fast'${help}`);
    expect(await wrong("verify", "log", "--from", "3")).toBe(`evenkeel-wal: --from is for dump alone${help}`);
    expect(await wrong("dump", "log", "--from", "x")).toContain("--from must be a whole number from 1, got x");
    expect(await wrong("dump", "log", "--stream", "none")).toBe("evenkeel-wal: no stream is called none\n");
    expect(await wrong("verify", "elsewhere")).toBe(
      "evenkeel-wal: there is no log in elsewhere: it holds neither segments (000000000001.wal) nor a file marks\n",
    );
    await using wal = await Wal.open({ dir: "log", fileSystem });
    expect(await wrong("verify", "log")).toBe("evenkeel-wal: log is open, or look into a copy of the directory\n");
    expect(wal.streams()).toEqual(["orders", "empty"]);
  });
});

describe("progress", () => {
  function bar(overwrites: boolean) {
    let now = 0;
    let written = "";
    const output = { overwrites, columns: 100, nowMs: () => now, write: (text: string) => (written += text) };
    const progress = new Progress(output, "reading", bytesText);
    return {
      at(ms: number, done: number): string {
        now = ms;
        written = "";
        progress.update(done, 1000 * 1024 ** 2);
        return written;
      },
      end(): string {
        written = "";
        progress.end();
        return written;
      },
    };
  }

  it("writes over one line of a terminal, ten times a second at most, and leaves nothing behind", () => {
    const { at, end } = bar(true);
    expect(at(50, 1)).toBe("");
    expect(at(500, 250 * 1024 ** 2)).toBe(
      "\r\u001b[Kreading  25 % [######..................] 250 MiB of 1000 MiB, 500 MiB/s, 2 s left",
    );
    expect(at(599, 1)).toBe("");
    expect(at(600, 300 * 1024 ** 2)).toContain(" 30 % ");
    expect(end()).toBe("\r\u001b[K");
    expect(bar(true).end()).toBe("");
  });

  it("asked for where there is no terminal, writes a line every other second", () => {
    const { at, end } = bar(false);
    expect(at(1999, 5)).toBe("");
    expect(at(2000, 500 * 1024 ** 2)).toMatch(/^reading {2}50 % .*\n$/);
    expect(at(3999, 5)).toBe("");
    expect(end()).toBe("");
  });
});

describe("the program evenkeel-wal", () => {
  let work: string;
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), "evenkeel-wal-command-"));
    await build({
      entry: { "evenkeel-wal": fileURLToPath(new URL("../src/evenkeel-wal.ts", import.meta.url)) },
      outDir: work,
      format: ["esm"],
      outExtension: () => ({ js: ".mjs" }),
      config: false,
      silent: true,
    });
  }, 240_000);
  afterAll(() => rm(work, { recursive: true, force: true }));

  const program = (...args: string[]) =>
    new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, [join(work, "evenkeel-wal.mjs"), ...args], (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr }),
      );
    });

  it("tells by its exit status what was found, and what can be done where it cannot look", async () => {
    const dir = join(work, "log");
    const wal = await Wal.open({ dir });
    await wal.stream("s").append(Buffer.from("first"));
    await wal.stream("s").append(Buffer.from("second"));
    await wal.stream("s").append(Buffer.from("third"));
    const inUse = await program("verify", dir);
    expect(inUse.code).toBe(2);
    expect(inUse.stderr).toMatch(
      new RegExp(`is open in process ${process.pid}: .* close it there first, or look into a copy of the directory\n$`),
    );
    await wal.close();
    expect(await program("verify", dir)).toEqual({ code: 0, stdout: "4 batches of 1 streams are right\n", stderr: "" });
    expect((await program("inspect", dir, "--json")).stdout).toContain('"liveRecords": 3');
    expect((await program("dump", dir, "--progress")).stdout).toMatch(
      /^"s" 1 \S+ 5 B first\n"s" 2 \S+ 6 B second\n"s" 3 \S+ 5 B third\n$/,
    );

    const file = await open(join(dir, "000000000001.wal"), "r+");
    const bytes = await file.readFile();
    await file.write("X", bytes.indexOf("second"));
    await file.close();
    const damagedLog = await program("verify", dir);
    expect(damagedLog.code).toBe(1);
    expect(damagedLog.stdout).toContain('stream "s": records 2 to 2 are missing\n');

    expect(await program("verify", join(work, "nowhere"))).toMatchObject({
      code: 2,
      stderr: `evenkeel-wal: there is no directory ${join(work, "nowhere")}\n`,
    });
    await writeFile(join(work, "file"), "");
    expect((await program("verify", join(work, "file"))).stderr).toContain("is not a directory");
    await mkdir(join(work, "empty"));
    expect((await program("stats", join(work, "empty"))).stderr).toContain("there is no log in");
    expect((await program("verify", dir, "--what")).stderr).toContain("unknown option '--what'; evenkeel-wal --help");
  }, 240_000);

  it("is content when whoever reads a long dump has seen enough", async () => {
    const dir = join(work, "long");
    await using wal = await Wal.open({ dir });
    await wal.stream("s").append(Array.from({ length: 5000 }, () => new Uint8Array(100)));
    await wal.close();
    const child = spawn(process.execPath, [join(work, "evenkeel-wal.mjs"), "dump", dir]);
    let stderr = "";
    child.stderr.on("data", (text) => {
      stderr += text;
    });
    child.stdout.once("data", () => child.stdout.destroy());
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect([code, stderr]).toEqual([0, ""]);
  }, 240_000);
});
