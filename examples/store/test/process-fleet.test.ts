import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ProcessFleet } from "../src/control/process-fleet.js";
import { UPKEEP } from "../src/control/upkeep.js";
import { eventually, temporaryDir } from "./support/store.js";

/** Listens nowhere, and fails where its directory says so. */
const PROGRAM = `
import { existsSync, readFileSync, writeFileSync } from "node:fs";
const { nodeId, dir } = JSON.parse(process.argv[2]);
writeFileSync(dir + "/threads-" + nodeId, process.env.UV_THREADPOOL_SIZE);
const mark = dir + "/broken-" + nodeId;
if (existsSync(mark)) {
  process.send({ kind: "failed", code: readFileSync(mark, "utf8"), message: "the disk of " + nodeId + " is broken" }, () => process.exit(1));
} else {
  process.on("message", ({ kind }) => kind === "stop" && process.exit(0));
  process.on("disconnect", () => process.exit(0));
  process.send({ kind: "listening", addresses: { paxosPort: 1, rpcPort: 1, memdsPort: 1 } });
}
`;

let dir: string;
let remove: () => Promise<void>;
let told: string[];

beforeEach(async () => {
  ({ dir, remove } = await temporaryDir());
  await writeFile(join(dir, "node.mjs"), PROGRAM);
  told = [];
});
afterEach(() => remove());

const broken = (nodeId: string, code = "EIO") => writeFile(join(dir, `broken-${nodeId}`), code);
const open = () =>
  ProcessFleet.open({
    dir,
    partitionsPerTable: 1,
    spares: 0,
    upkeep: UPKEEP,
    program: join(dir, "node.mjs"),
    execArgv: [],
    onExit: (nodeId, reason) => told.push(`${nodeId}: ${reason}`),
  });

test("a fleet comes up without one broken node, says so, and goes on trying", async () => {
  await broken("b1");
  const fleet = await open();
  expect(fleet.memdsMembers()).toHaveLength(2);
  await eventually("it is tried again", () => told.length > 1);
  expect(new Set(told)).toEqual(new Set(["b1: the disk of b1 is broken"]));
  await fleet.close();
});

test("without a quorum there is no fleet, and the first reason is told", async () => {
  await broken("b1");
  await broken("c1");
  await expect(open()).rejects.toMatchObject({ code: "EIO", message: expect.stringMatching(/the disk of [bc]1/) });
  expect(told).toEqual([]);
});

test("a directory that cannot be used is for a person to set right: no fleet runs on without it", async () => {
  await broken("b1", "EACCES");
  await expect(open()).rejects.toMatchObject({ code: "EACCES" });
  expect(told).toEqual([]);
});

test("nodes have threads for files to spare, and as many as somebody says who says it", async () => {
  const threads = async () => {
    const fleet = await open();
    await fleet.close();
    return await readFile(join(dir, "threads-a1"), "utf8");
  };
  vi.stubEnv("UV_THREADPOOL_SIZE", undefined);
  expect(Number(await threads())).toBeGreaterThan(8);
  vi.stubEnv("UV_THREADPOOL_SIZE", "5");
  expect(await threads()).toBe("5");
  vi.unstubAllEnvs();
});
