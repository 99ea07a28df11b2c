import { expect, test } from "vitest";
import { extractProgram } from "../readme-program.js";

const readme = (...lines: string[]) => `${lines.join("\n")}\n`;

test("the program and its output are taken as they stand", () => {
  const text = readme(
    "# Name",
    "",
    "```ts program",
    "const a = `x`;",
    "",
    "print(a);",
    "```",
    "",
    "It prints",
    "",
    "```text",
    "x",
    "```",
    "",
    "```sh",
    "npm i",
    "```",
  );
  expect(extractProgram(text)).toEqual({ source: "const a = `x`;\n\nprint(a);\n", output: "x\n" });
});

test("a longer fence may hold a shorter one", () => {
  const text = readme("````ts program", "const md = `", "```", "`;", "````", "```text", "```");
  expect(extractProgram(text)).toEqual({ source: "const md = `\n```\n`;\n", output: "" });
});

test("Windows line ends make no difference", () => {
  const text = readme("```ts program", "one();", "```", "```text", "1", "```").replaceAll("\n", "\r\n");
  expect(extractProgram(text)).toEqual({ source: "one();\n", output: "1\n" });
});

test.each([
  ["no program", readme("```ts", "one();", "```", "```text", "1", "```"), 'marked exactly "ts program"'],
  ["no output", readme("```ts program", "one();", "```"), "seen: none"],
  [
    "another block in between",
    readme("```ts program", "one();", "```", "```sh", "ls", "```", "```text", "1", "```"),
    'seen: "sh"',
  ],
  ["an open fence", readme("```ts program", "one();"), "never closed"],
])("%s is said", (_what, text, message) => {
  expect(() => extractProgram(text)).toThrow(message);
});
