import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runReadme } from "../readme.js";
import { planted } from "./planted.js";

/** A package whose sources export `answer`, and whose README has this program. */
function packageWith(program: string): string {
  const dir = planted({
    "package.json": JSON.stringify({
      name: "@evenkeel/planted",
      type: "module",
      exports: { ".": { "@evenkeel/source": "./src/index.ts", default: "./dist/index.js" } },
    }),
    "src/index.ts": "export const answer: number = 42;\n",
    "README.md": `# Planted\n\n\`\`\`ts program\n${program}\n\`\`\`\n\n\`\`\`text\n42\n\`\`\`\n`,
  });
  symlinkSync(fileURLToPath(new URL("../../node_modules", import.meta.url)), join(dir, "node_modules"), "junction");
  return dir;
}

const timeoutMs = 30_000;

test("a program finds its package by name, in its sources", async () => {
  const dir = packageWith('import { answer } from "@evenkeel/planted";\nconsole.log(await Promise.resolve(answer));');
  expect(await runReadme(dir, timeoutMs)).toEqual({
    ended: "exit code 0",
    stdout: "42\n",
    stderr: "",
    expected: "42\n",
  });
  expect(existsSync(join(dir, ".evenkeel", `readme-${process.pid}`))).toBe(false);
});

test("a program that fails says so", async () => {
  const seen = await runReadme(packageWith('throw new Error("no such thing");'), timeoutMs);
  expect(seen).toMatchObject({ ended: "exit code 1", stdout: "" });
  expect(seen.stderr).toContain("no such thing");
});

test("a program that does not end is ended", async () => {
  const seen = await runReadme(packageWith('console.log("waiting");\nsetInterval(() => {}, 1000);'), 1000);
  expect(seen.ended).toBe("still running after 1000 ms");
});
