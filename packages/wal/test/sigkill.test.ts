import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "tsup";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Wal } from "../src/index.js";
import { collect } from "./collect.js";

const here = fileURLToPath(new URL(".", import.meta.url));
let work: string;
let program: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "evenkeel-sigkill-"));
  program = join(work, "appender.mjs");
  await build({
    entry: { appender: join(here, "programs/appender.mjs") },
    outDir: work,
    format: ["esm"],
    outExtension: () => ({ js: ".mjs" }),
    platform: "node",
    esbuildOptions: (options) => {
      options.alias = { "@evenkeel/wal": join(here, "../src/index.ts") };
    },
    config: false,
    silent: true,
  });
});
afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

/** Starts an appender and kills it after it has acknowledged `count` more; resolves to the last sequence that it acknowledged. */
async function killedAfter(dir: string, count: number, whileOpen: () => Promise<void>): Promise<number> {
  const child: ChildProcess = spawn(process.execPath, [program, dir], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let acknowledged = 0;
  let seen = 0;
  try {
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      if (line === "open") await whileOpen();
      else acknowledged = Math.max(acknowledged, Number(line));
      if (seen++ === count) child.kill("SIGKILL");
    }
  } finally {
    child.kill("SIGKILL");
  }
  expect(await exited).toEqual([null, "SIGKILL"]);
  return acknowledged;
}

describe("a process that is killed with SIGKILL", () => {
  it("keeps others out while it lives and leaves no lock behind, and all that it acknowledged is there", async () => {
    const dir = join(work, "log");
    for (let kill = 0; kill < 12; kill++) {
      const acknowledged = await killedAfter(dir, Math.floor(Math.random() * 400), async () => {
        await expect(Wal.open({ dir })).rejects.toMatchObject({ code: "ERR_WAL_LOCKED" });
      });
      await using wal = await Wal.open({ dir, segmentBytes: 65_536 });
      const stream = wal.stream("s");
      expect(stream.lastSequence).toBeGreaterThanOrEqual(acknowledged);
      const sequences = (await collect(stream.read())).map((record) => record.sequence);
      expect(sequences).toEqual(sequences.map((_, n) => stream.firstSequence + n));
      expect(sequences.at(-1) ?? 0).toBe(stream.lastSequence);
    }
  });
});
