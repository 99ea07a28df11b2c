import { describe, expect, test } from "vitest";
import { findViolations } from "../walls.js";
import { planted } from "./planted.js";

const manifest = (name: string, more: object = {}) =>
  JSON.stringify({ name: `@evenkeel/${name}`, exports: { ".": {}, "./package.json": "./package.json" }, ...more });

/** A house in which every import is allowed; tests plant one violation in it. */
const house = {
  "packages/token-bucket/package.json": manifest("token-bucket"),
  "packages/token-bucket/src/index.ts":
    'export { refill } from "./core/refill.js";\nexport type * from "./core/types.js";\n',
  "packages/token-bucket/src/core/refill.ts":
    'import type { Level } from "./types.js";\nexport const refill = (l: Level) => l;\n',
  "packages/token-bucket/src/core/types.ts": "export type Level = number;\n",
  "packages/token-bucket/tsup.config.ts":
    'import { library } from "../../tsup.base.js";\nexport default library({});\n',
  "packages/token-bucket/test/readme.test.ts": 'import { readmeProgram } from "../../../scripts/readme.js";\n',
  "packages/token-bucket/bench/take.bench.ts": 'import type { Bench } from "../../../scripts/bench-types.js";\n',
  "packages/admission-control/package.json": manifest("admission-control", {
    dependencies: { "@evenkeel/token-bucket": "^0.0.0" },
    devDependencies: { "@evenkeel/simulation": "^0.0.0", "rate-limiter-flexible": "1" },
  }),
  "packages/admission-control/src/index.ts": 'export { Admission } from "./admission.js";\n',
  "packages/admission-control/src/admission.ts":
    'import { channel } from "node:diagnostics_channel";\nimport { refill } from "@evenkeel/token-bucket";\nexport class Admission {}\n',
  "packages/admission-control/src/core/share.ts":
    'import { refill } from "@evenkeel/token-bucket";\nexport const share = refill;\n',
  "packages/admission-control/test/shares.test.ts":
    'import { World } from "@evenkeel/simulation";\nimport { Admission } from "@evenkeel/admission-control";\nimport "rate-limiter-flexible";\n',
  "packages/wal/package.json": manifest("wal", { exports: { ".": {}, "./archive": {} } }),
  "packages/wal/src/index.ts": 'export { Wal } from "./wal.js";\n',
  "packages/wal/src/wal.ts": 'import { open } from "node:fs/promises";\nexport class Wal {}\n',
  "packages/wal/src/archive/index.ts": 'export { Wal } from "../wal.js";\n',
  "packages/paxos/package.json": manifest("paxos", {
    peerDependencies: { "@evenkeel/wal": "^0.0.0" },
    peerDependenciesMeta: { "@evenkeel/wal": { optional: true } },
  }),
  "packages/paxos/src/index.ts": 'export { step } from "./core/step.js";\nexport { Host } from "./host/host.js";\n',
  "packages/paxos/src/core/step.ts": "export const step = 1;\n",
  "packages/paxos/src/host/host.ts": 'import { step } from "../core/step.js";\nexport class Host {}\n',
  "packages/paxos/src/storage/index.ts": 'import type { Wal } from "@evenkeel/wal";\nexport type W = Wal;\n',
  "packages/simulation/package.json": manifest("simulation"),
  "packages/simulation/src/index.ts": 'export { World } from "./world.js";\n',
  "packages/simulation/src/world.ts": "export class World {}\n",
  "examples/store/package.json": manifest("store", { private: true }),
  "examples/store/src/api/number.ts": 'import { Decimal } from "decimal.js";\nexport const n = Decimal;\n',
  "examples/store/src/node.ts":
    'import { Wal } from "@evenkeel/wal";\nimport "@evenkeel/wal/archive";\nimport { n } from "./api/number.js";\n',
  "examples/store/test/node.test.ts": 'import { World } from "@evenkeel/simulation";\n',
};

const violationsWith = (path: string, text: string) =>
  findViolations(planted({ ...house, [path]: text })).map(({ file, line, message }) => `${file}:${line}: ${message}`);

test("a house without violations is silent", () => {
  expect(findViolations(planted(house))).toEqual([]);
});

describe("a planted violation is found", () => {
  test.each([
    [
      "another package's file by a relative path",
      "packages/admission-control/src/a.ts",
      'import { refill } from "../../token-bucket/src/core/refill.js";',
      "leads to packages/token-bucket/src/core/refill.ts",
    ],
    [
      "the same from a test",
      "packages/admission-control/test/a.test.ts",
      'import { refill } from "../../token-bucket/src/core/refill.js";',
      "leads out of packages/admission-control",
    ],
    [
      "the same from the store",
      "examples/store/src/a.ts",
      'import { Wal } from "../../../packages/wal/src/wal.js";',
      "leads to packages/wal/src/wal.ts",
    ],
    [
      "a subpath that is not exported",
      "examples/store/src/a.ts",
      'export * from "@evenkeel/wal/src/wal.js";',
      "its insides are its own",
    ],
    [
      "a package without an arrow",
      "packages/wal/src/a.ts",
      'import { refill } from "@evenkeel/token-bucket";',
      "no arrow leads from packages/wal to @evenkeel/token-bucket",
    ],
    [
      "a type of a package without an arrow",
      "packages/wal/src/a.ts",
      'export type T = import("@evenkeel/paxos").Host;',
      "no arrow leads",
    ],
    [
      "a package without an arrow in a test",
      "packages/wal/test/a.test.ts",
      'const { step } = await import("@evenkeel/paxos");',
      "no arrow leads",
    ],
    [
      "an arrow from the wrong folder",
      "packages/paxos/src/host/a.ts",
      'import { Wal } from "@evenkeel/wal";',
      "only packages/paxos/src/storage/ may know @evenkeel/wal",
    ],
    [
      "the simulator in what is shipped",
      "packages/paxos/src/host/a.ts",
      'import { World } from "@evenkeel/simulation";',
      "for tests alone",
    ],
    [
      "the simulator in the store's sources",
      "examples/store/src/a.ts",
      'import { World } from "@evenkeel/simulation";',
      "for tests alone",
    ],
    ["an app as a dependency", "packages/wal/test/a.test.ts", 'import "@evenkeel/store";', "is not published"],
    [
      "a test's file in what is shipped",
      "packages/wal/src/a.ts",
      'import { help } from "../test/help.js";',
      "src/ stands on itself",
    ],
    [
      "a script in what is shipped",
      "packages/wal/src/a.ts",
      'import { help } from "../../../scripts/readme.js";',
      "src/ stands on itself",
    ],
    [
      "a package's own name in its sources",
      "packages/wal/src/a.ts",
      'import { Wal } from "@evenkeel/wal";',
      "by relative paths",
    ],
    [
      "a script that is not for workspaces",
      "packages/wal/test/a.test.ts",
      'import "../../../scripts/walls.js";',
      "leads out of packages/wal",
    ],
    [
      "a library that is only a devDependency",
      "packages/admission-control/src/a.ts",
      'import type { R } from "rate-limiter-flexible";',
      "neither among the dependencies",
    ],
    [
      "node: in a core",
      "packages/token-bucket/src/core/a.ts",
      'import { createHash } from "node:crypto";',
      '"node:crypto"',
    ],
    [
      "a type of node: in a core",
      "packages/token-bucket/src/core/a.ts",
      'import type { Socket } from "node:net";',
      '"node:net"',
    ],
    [
      "a builtin without its prefix in a core",
      "packages/token-bucket/src/core/a.ts",
      'const fs = require("fs");',
      '"fs"',
    ],
    [
      "a package in a core",
      "packages/token-bucket/src/core/a.ts",
      'import "@evenkeel/simulation";',
      "the pure part imports nothing",
    ],
    [
      "a file outside the core",
      "packages/paxos/src/core/a.ts",
      'export { Host } from "../host/host.js";',
      "leads to packages/paxos/src/host/host.ts",
    ],
    [
      "a computed import in a core",
      "packages/paxos/src/core/a.ts",
      "const name = `x`; await import(name + name);",
      "cannot be checked",
    ],
    [
      "node: anywhere in the simulator",
      "packages/simulation/src/disk/a.ts",
      'import { open } from "node:fs";',
      '"node:fs"',
    ],
    ["node: in the store's api", "examples/store/src/api/a.ts", 'import "node:crypto";', '"node:crypto"'],
    ["a library in the store's api", "examples/store/src/api/a.ts", 'import { pack } from "msgpackr";', '"msgpackr"'],
    [
      "the store's router in its api",
      "examples/store/src/api/a.ts",
      'import { n } from "../node.js";',
      "leads to examples/store/src/node.ts",
    ],
    [
      "code in a table of contents",
      "packages/wal/src/index.ts",
      'export { Wal } from "./wal.js";\nexport const version = 1;',
      "only exports",
    ],
    [
      "an optional peer behind the main entry",
      "packages/paxos/src/core/step.ts",
      'import type { Wal } from "@evenkeel/wal";',
      "optional peer",
    ],
  ])("%s", (_what, path, text, expected) => {
    const found = violationsWith(path, text);
    expect(found.join("\n")).toContain(expected);
    expect(found.every((line) => line.startsWith(`${path}:`))).toBe(true);
  });

  test("an optional peer, several files behind the main entry", () => {
    const found = violationsWith("packages/paxos/src/host/host.ts", 'export type { W } from "../storage/index.js";\n');
    expect(found).toEqual([
      "packages/paxos/src/storage/index.ts:1: the main entry reaches @evenkeel/wal, which is an optional peer",
    ]);
  });

  test.each(["dependencies", "peerDependencies", "optionalDependencies", "devDependencies"])(
    "a package.json that lists a neighbour among its %s",
    (field) => {
      const found = violationsWith(
        "packages/wal/package.json",
        manifest("wal", { exports: { ".": {}, "./archive": {} }, [field]: { "@evenkeel/paxos": "^0.0.0" } }),
      );
      expect(found).toEqual(["packages/wal/package.json:1: no arrow leads from packages/wal to @evenkeel/paxos"]);
    },
  );

  test("with its line", () => {
    const found = violationsWith(
      "packages/wal/src/a.ts",
      'import "node:fs";\n\n// a word\nimport "@evenkeel/paxos";\n',
    );
    expect(found[0]).toMatch(/^packages\/wal\/src\/a\.ts:4: /);
  });
});

test("words in strings and comments are no imports", () => {
  const text = '// import "node:fs";\nexport const help = \'import "node:fs"; require("fs")\';\n';
  expect(violationsWith("packages/paxos/src/core/a.ts", text)).toEqual([]);
});
