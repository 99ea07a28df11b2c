import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "tsup";
import { afterAll, beforeAll, expect, it } from "vitest";
import { archiveStream, FileObjectStore, restore, verifyArchive } from "../src/archive/index.js";
import { Wal } from "../src/index.js";
import { collect } from "./collect.js";

const here = fileURLToPath(new URL(".", import.meta.url));
let work: string;
let program: string;
beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "evenkeel-archive-sigkill-"));
  program = join(work, "archiving-appender.mjs");
  await build({
    entry: { "archiving-appender": join(here, "programs/archiving-appender.mjs") },
    outDir: work,
    format: ["esm"],
    outExtension: () => ({ js: ".mjs" }),
    platform: "node",
    esbuildOptions: (options) => {
      options.alias = {
        "@evenkeel/wal": join(here, "../src/index.ts"),
        "@evenkeel/wal/archive": join(here, "../src/archive/index.ts"),
      };
    },
    config: false,
    silent: true,
  });
});
afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

const content = (sequence: number) => Buffer.alloc(sequence % 900, `${sequence} `);

/** Lets it acknowledge `count` times more, kills it, and resolves to the last sequence that it acknowledged. */
async function killedAfter(dir: string, archive: string, count: number): Promise<number> {
  const child = spawn(process.execPath, [program, dir, archive], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let acknowledged = 0;
  let seen = 0;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (line !== "open") acknowledged = Number(line);
      if (seen++ === count) child.kill("SIGKILL");
    }
  } finally {
    child.kill("SIGKILL");
  }
  expect(await exited).toEqual([null, "SIGKILL"]);
  return acknowledged;
}

it("a process that archives its log and is killed with SIGKILL leaves log and archive that overlap or touch, and both are right", async () => {
  const [dir, archive] = [join(work, "log"), join(work, "archive")];
  const store = new FileObjectStore({ dir: archive });
  let archivedBefore = 0;
  let dropped = 0;
  for (let kill = 0; kill < 10; kill++) {
    const acknowledged = await killedAfter(dir, archive, Math.floor(Math.random() * 400));
    await using wal = await Wal.open({ dir, segmentBytes: 65_536 });
    const stream = wal.stream("s");
    const { wholeThrough, problems } = await verifyArchive({ store, stream: "s" });
    expect(problems).toEqual([]);
    expect(wholeThrough).toBeGreaterThanOrEqual(archivedBefore);
    archivedBefore = wholeThrough;
    expect(stream.firstSequence).toBeLessThanOrEqual(wholeThrough + 1);
    dropped = stream.firstSequence - 1;
    expect(Math.max(stream.lastSequence, wholeThrough)).toBeGreaterThanOrEqual(acknowledged);
    for await (const { sequence, data } of stream.read()) {
      if (Buffer.compare(data, content(sequence)) !== 0) expect.fail(`record ${sequence} of the log is another one`);
    }
  }
  expect(dropped).toBeGreaterThan(0);
  await using wal = await Wal.open({ dir });
  const stream = wal.stream("s");
  await using archiving = archiveStream({ stream, store });
  const through = await archiving.flush();
  expect(through).toBe(stream.lastSequence);
  const restored = await collect(restore({ store, stream: "s" }));
  expect(restored).toHaveLength(through);
  for (const { sequence, data } of restored) {
    if (Buffer.compare(data, content(sequence)) !== 0) expect.fail(`entry ${sequence} of the archive is another one`);
  }
});
