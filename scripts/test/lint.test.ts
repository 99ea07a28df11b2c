import { spawnSync } from "node:child_process";
import { readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { planted } from "./planted.js";

const root = new URL("../..", import.meta.url);

/** What the project's lint rules say about planted files, as "file: rule". */
function lint(files: Readonly<Record<string, string>>): string[] {
  const folder = planted({ ".oxlintrc.json": readFileSync(new URL(".oxlintrc.json", root), "utf8"), ...files });
  symlinkSync(fileURLToPath(new URL("node_modules", root)), join(folder, "node_modules"), "junction");
  const oxlint = join(folder, "node_modules/oxlint/bin/oxlint");
  const { stdout, stderr } = spawnSync(process.execPath, [oxlint, "--format", "json"], {
    cwd: folder,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] };
  return diagnostics.map(({ filename, code }) => `${filename}: ${code}`).sort();
}

const forbidden: Readonly<Record<string, readonly [text: string, rule: string]>> = {
  "the-date": ["export const now = () => Date.now();", "no-restricted-globals"],
  "a-date-object": ["export const now = () => new Date();", "no-restricted-globals"],
  "the-monotonic-clock": ["export const now = () => performance.now();", "no-restricted-globals"],
  "a-timer": ["export const later = (f: () => void) => setTimeout(f, 1);", "no-restricted-globals"],
  randomness: ["export const dice = () => Math.random();", "no-restricted-properties"],
  "its-other-name": ["const { random } = Math;\nexport const dice = () => random();", "no-restricted-properties"],
  crypto: ["export const id = () => crypto.randomUUID();", "no-restricted-globals"],
  "the-way-round": ["export const now = () => globalThis.performance.now();", "no-restricted-globals"],
  "the-process": ["export const pid = () => process.pid;", "no-restricted-globals"],
};

test("clocks, timers and randomness are kept out of every pure part, and only there", () => {
  const files: Record<string, string> = {};
  const expected: string[] = [];
  for (const [name, [text, rule]] of Object.entries(forbidden)) {
    files[`packages/wal/src/${name}.ts`] = `${text}\n`;
    for (const core of ["packages/wal/src/core", "packages/simulation/src/disk", "examples/store/src/api"]) {
      files[`${core}/${name}.ts`] = `${text}\n`;
      expected.push(`${core}/${name}.ts: eslint(${rule})`);
    }
  }
  expect(lint(files)).toEqual(expected.sort());
});

test("a pure part may name its argument like a clock", () => {
  const text = "export const age = (performance: { now(): number }, born: number) => performance.now() - born;\n";
  expect(lint({ "packages/wal/src/core/a.ts": text })).toEqual([]);
});

test("the console is kept out of packages", () => {
  const text = 'console.log("here");\n';
  const found = lint({
    "packages/wal/src/a.ts": text,
    "packages/wal/test/a.ts": text,
    "examples/store/src/cli.ts": text,
  });
  expect(found).toEqual(["packages/wal/src/a.ts: eslint(no-console)"]);
});

test("a promise that nobody waits for is seen, also through a type", () => {
  const text = "export const save = async (): Promise<void> => {};\nexport const close = () => {\n  save();\n};\n";
  const voided = text.replace("  save()", "  void save()");
  const found = lint({
    "tsconfig.json": JSON.stringify({ include: ["packages"] }),
    "packages/wal/src/a.ts": text,
    "packages/wal/src/b.ts": voided,
  });
  expect(found).toEqual(["packages/wal/src/a.ts: typescript(no-floating-promises)"]);
});
