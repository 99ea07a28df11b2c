import { spawn } from "node:child_process";
import { appendFile, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type AuditRecord, jsonLinesAudit, type MemoryReplica, type Repairer } from "../src/index.js";
import { bytes, many, text, trio } from "./support/sources.js";
import { syncedDirectories } from "./support/synced-directories.js";
import { withDir } from "./support/temporary-dir.js";

type Trio = ReturnType<typeof trio>;

function damaged(): Trio {
  const sources = trio(many(50), many(50));
  sources.b.store.put(bytes("00000007"), bytes("rot"));
  return sources;
}

const through =
  (sources: Trio): Repairer =>
  async ({ replica, key, value }) => {
    sources.advance();
    const target = [sources.a, sources.b, sources.c].find((one) => one.name === replica) as MemoryReplica;
    if (value === undefined) target.store.delete(key);
    else target.store.put(key, value);
  };

const outcomes = (results: readonly { outcome: string }[]) => results.map(({ outcome }) => outcome);

it("what is meant and what came of it are written down, with what was there before", async () => {
  const sources = damaged();
  const records: AuditRecord[] = [];
  const { divergences } = await sources.scrubber.pass();
  await sources.scrubber.repair(divergences, through(sources), { audit: (record) => void records.push(record) });
  expect(
    records.map(({ phase, outcome, replica, before, value }) => [phase, outcome, replica, text(before), text(value)]),
  ).toEqual([
    ["intended", undefined, "b", "rot", "value of 7"],
    ["done", "repaired", "b", "rot", "value of 7"],
  ]);
});

it("a repair that is interrupted at any step can be made again, and is not made without a record", async () => {
  const interruptions: Record<string, (sources: Trio) => Promise<readonly { outcome: string }[]>> = {
    "before its record": async (sources) =>
      sources.scrubber.repair(
        (await sources.scrubber.pass()).divergences,
        async () => Promise.reject(new Error("never")),
        {
          audit: () => Promise.reject(new Error("the disk is full")),
        },
      ),
    "before its effect": async (sources) =>
      sources.scrubber.repair((await sources.scrubber.pass()).divergences, async () =>
        Promise.reject(new Error("not leader")),
      ),
    "after its effect": async (sources) =>
      sources.scrubber.repair((await sources.scrubber.pass()).divergences, async (order) => {
        await through(sources)(order);
        throw new Error("the answer was lost");
      }),
    "before it is verified": async (sources) =>
      sources.scrubber.repair((await sources.scrubber.pass()).divergences, async (order) => {
        await through(sources)(order);
        sources.b.position = 0;
      }),
    "before it is written down that it is done": async (sources) => {
      const { divergences } = await sources.scrubber.pass();
      const full = new Error("the disk is full");
      const audit = async ({ phase }: AuditRecord) => (phase === "done" ? Promise.reject(full) : undefined);
      await expect(sources.scrubber.repair(divergences, through(sources), { audit })).rejects.toBe(full);
      return [{ outcome: "failed" }];
    },
  };
  for (const [step, interrupt] of Object.entries(interruptions)) {
    const sources = damaged();
    expect(outcomes(await interrupt(sources)), step).toEqual([step === "before it is verified" ? "absent" : "failed"]);
    sources.b.position = sources.a.position;
    const { divergences } = await sources.scrubber.pass();
    await sources.scrubber.repair(divergences, through(sources));
    expect((await sources.scrubber.pass()).divergences, step).toEqual([]);
    expect(text(sources.b.store.get(bytes("00000007"))), step).toBe("value of 7");
  }
});

it(
  "a process that dies between the record and the repair leaves a record that says so, and another one goes on",
  {
    timeout: 120_000,
  },
  async () =>
    withDir(async (dir) => {
      const path = join(dir, "repairs.jsonl");
      const program = join(dir, "dies.mts");
      const source = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
      await writeFile(
        program,
        `import { jsonLinesAudit } from ${source("../src/index.ts")};
       import { bytes, many, trio } from ${source("./support/sources.ts")};
       const { b, scrubber } = trio(many(50), many(50));
       b.store.put(bytes("00000007"), bytes("rot"));
       const { divergences } = await scrubber.pass();
       const dies = async () => process.kill(process.pid, "SIGKILL");
       await scrubber.repair(divergences, dies, { audit: jsonLinesAudit(${JSON.stringify(path)}) });`,
      );
      const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), program], { stdio: "inherit" });
      const signal = await new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
      expect(signal).toBe("SIGKILL");
      const phases = async () =>
        (await readFile(path, "utf8"))
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as Record<string, unknown>)
          .map(({ phase, outcome, replica }) => [phase, outcome, replica]);
      expect(await phases()).toEqual([["intended", undefined, "b"]]);

      const sources = damaged();
      const { divergences } = await sources.scrubber.pass();
      await sources.scrubber.repair(divergences, through(sources), { audit: jsonLinesAudit(path) });
      expect(await phases()).toEqual([
        ["intended", undefined, "b"],
        ["intended", undefined, "b"],
        ["done", "repaired", "b"],
      ]);
    }),
);

it("a signal stops between two keys: what was begun is brought to its end and written down, the rest is as it was", async () => {
  const sources = damaged();
  sources.c.store.delete(bytes("00000021"));
  const { divergences } = await sources.scrubber.pass();
  const records: AuditRecord[] = [];
  const controller = new AbortController();
  const stopped = sources.scrubber.repair(
    divergences,
    async (order) => {
      await through(sources)(order);
      controller.abort(new Error("enough"));
    },
    { signal: controller.signal, audit: (record) => void records.push(record) },
  );
  await expect(stopped).rejects.toThrow("enough");
  expect(records.map(({ phase, outcome, key }) => [phase, outcome, text(key)])).toEqual([
    ["intended", undefined, "00000007"],
    ["done", "repaired", "00000007"],
  ]);
  expect(sources.c.store.get(bytes("00000021"))).toBeUndefined();
  expect(outcomes(await sources.scrubber.repair(divergences, through(sources)))).toEqual(["healed", "repaired"]);
});

it("a repair is undone by its record, and made again when the same is found again", async () => {
  const sources = damaged();
  const records: AuditRecord[] = [];
  const audit = (record: AuditRecord) => void records.push(record);
  for (let round = 0; round < 2; round++) {
    const { divergences } = await sources.scrubber.pass();
    expect(divergences.map(({ key, replica }) => [text(key), replica])).toEqual([["00000007", "b"]]);
    expect(outcomes(await sources.scrubber.repair(divergences, through(sources), { audit }))).toEqual(["repaired"]);
    expect((await sources.scrubber.pass()).divergences).toEqual([]);
    const { key, before } = records.at(-1) as AuditRecord;
    sources.b.store.put(key, before as Uint8Array);
    sources.advance();
  }
  expect(records.map(({ before }) => text(before))).toEqual(["rot", "rot", "rot", "rot"]);
});

it("a write to the same key that comes while the repair is under way wins", async () => {
  const sources = damaged();
  const { divergences } = await sources.scrubber.pass();
  const results = await sources.scrubber.repair(divergences, async ({ at }) => {
    // In the log the write comes first, so the repair, which was right as of `at`, does nothing.
    for (const one of [sources.a, sources.b, sources.c, sources.ref]) one?.store.put(bytes("00000007"), bytes("newer"));
    sources.advance();
    expect(sources.a.position).toBeGreaterThan(at);
  });
  expect(outcomes(results)).toEqual(["repaired"]);
  expect(text(sources.b.store.get(bytes("00000007")))).toBe("newer");
});

it("a line that a full disk cut off takes none behind it along, and the file's name is as durable as its lines", async () =>
  withDir(async (dir) => {
    const path = join(dir, "repairs.jsonl");
    const record = { phase: "intended", replica: "b", at: 1, agreed: [], against: "majority" } as const;
    const audit = jsonLinesAudit(path);
    const write = () => audit({ ...record, key: bytes("k"), value: undefined, before: undefined });
    const synced = await syncedDirectories(async () => {
      await write();
      await appendFile(path, '{"time":"2026-');
      await write();
      await write();
    });
    const lines = (await readFile(path, "utf8")).trim().split("\n");
    expect(lines.map((line) => line.startsWith('{"time"') && line.endsWith("}"))).toEqual([true, false, true, true]);
    expect(synced).toEqual([(await stat(dir)).ino]);
  }));

it("the audit's file has a line for each, with values that undo it", async () =>
  withDir(async (dir) => {
    const sources = damaged();
    const { divergences } = await sources.scrubber.pass();
    const path = join(dir, "repairs.jsonl");
    await sources.scrubber.repair(divergences, through(sources), { audit: jsonLinesAudit(path, () => new Date(0)) });
    const lines = (await readFile(path, "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.length).toBe(2);
    expect(lines[1]).toEqual({
      time: "1970-01-01T00:00:00.000Z",
      phase: "done",
      outcome: "repaired",
      replica: "b",
      key: Buffer.from("00000007").toString("base64"),
      before: Buffer.from("rot").toString("base64"),
      value: Buffer.from("value of 7").toString("base64"),
      agreed: ["a", "c", "reference"],
      against: "reference",
      at: 1,
    });
  }));
