import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "tsup";
import { describe, expect, it } from "vitest";
import { runCommand } from "../src/command.js";
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

  it("says what is wrong with how it was called, or with where", async () => {
    const fileSystem = await filled();
    expect((await run(fileSystem)).status).toBe(2);
    expect((await run(fileSystem, "--help")).out).toContain("verify DIR");
    expect((await run(fileSystem, "dump", "log", "--stream", "none")).err).toBe(
      "evenkeel-wal: no stream is called none\n",
    );
    expect((await run(fileSystem, "dump", "log", "--from", "x")).err).toContain("--from must be a whole number from 1");
    await using wal = await Wal.open({ dir: "log", fileSystem });
    expect(await run(fileSystem, "verify", "log")).toMatchObject({ status: 2, err: "evenkeel-wal: log is open\n" });
    expect(wal.streams()).toEqual(["orders", "empty"]);
  });

  it("is a program, whose exit status says what was found", async () => {
    const work = await mkdtemp(join(tmpdir(), "evenkeel-wal-command-"));
    try {
      const source = new URL("../src/evenkeel-wal.ts", import.meta.url);
      await build({
        entry: { "evenkeel-wal": fileURLToPath(source) },
        outDir: work,
        format: ["esm"],
        outExtension: () => ({ js: ".mjs" }),
        config: false,
        silent: true,
      });
      const dir = join(work, "log");
      const wal = await Wal.open({ dir });
      await wal.stream("s").append(Buffer.from("x"));
      const start = () =>
        new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
          const args = [join(work, "evenkeel-wal.mjs"), "verify", dir];
          execFile(process.execPath, args, (error, stdout, stderr) =>
            resolve({ code: error?.code ?? 0, stdout, stderr }),
          );
        });
      expect(await start()).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(`is open in process ${process.pid}`),
      });
      await wal.close();
      expect(await start()).toEqual({ code: 0, stdout: "2 batches of 1 streams are right\n", stderr: "" });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
});
