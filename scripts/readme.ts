import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { extractProgram } from "./readme-program.js";

const runMsMax = 60_000;

/**
 * Registers a test that runs the program in a package's README.md against the package's sources, and expects exactly the output that the
 * README shows below it.
 *
 * The program is written to `.evenkeel/` inside the package, so that it finds the package by its own name, as a user's program would.
 */
export function readmeProgram(packageDir: URL): void {
  test("the README's program prints what the README says", { timeout: runMsMax + 10_000 }, async () => {
    const dir = fileURLToPath(packageDir);
    const { source, output } = extractProgram(readFileSync(join(dir, "README.md"), "utf8"));
    const scratch = join(dir, ".evenkeel", `readme-${process.pid}`);
    mkdirSync(scratch, { recursive: true });
    try {
      const file = join(scratch, "program.ts");
      writeFileSync(file, source);
      const result = await runProgram(file, dir);
      expect(result, `the program's stderr:\n${result.stderr}`).toMatchObject({ ended: "exit code 0", stdout: output });
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  });
}

/** Runs a TypeScript file with the sources of every workspace, as its own process. */
function runProgram(file: string, cwd: string): Promise<{ ended: string; stdout: string; stderr: string }> {
  const env = { ...process.env };
  for (const name of [
    "NODE_OPTIONS",
    "NODE_ENV",
    "FORCE_COLOR",
    ...Object.keys(env).filter((key) => key.startsWith("VITEST")),
  ]) {
    delete env[name];
  }
  const args = ["--import", "tsx", "--conditions=@evenkeel/source", file];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, runMsMax);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const ended = late ? `still running after ${runMsMax} ms` : signal ? `signal ${signal}` : `exit code ${code}`;
      resolve({ ended, stdout, stderr });
    });
  });
}
