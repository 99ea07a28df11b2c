import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { extractProgram } from "./readme-program.js";

const timeoutMs = 120_000;

/**
 * Registers a test that runs the program in a package's README.md against the package's sources, and expects exactly the output that the
 * README shows below it.
 */
export function readmeProgram(packageDir: URL): void {
  test("the README's program prints what the README says", { timeout: timeoutMs + 10_000 }, async () => {
    const { expected, stderr, ...seen } = await runReadme(fileURLToPath(packageDir), timeoutMs);
    expect(seen, `the program's stderr:\n${stderr}`).toEqual({ ended: "exit code 0", stdout: expected });
  });
}

/**
 * Runs the README's program in a process of its own. It is written to `.evenkeel/` inside the package, so that it finds the package by its own
 * name, as a user's program would.
 */
export async function runReadme(dir: string, timeoutMs: number): Promise<Ended & { expected: string }> {
  const { source, output } = extractProgram(readFileSync(join(dir, "README.md"), "utf8"));
  const scratch = join(dir, ".evenkeel", `readme-${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  try {
    const file = join(scratch, "program.ts");
    writeFileSync(file, source);
    return { expected: output, ...(await runProgram(file, dir, timeoutMs)) };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface Ended {
  readonly ended: string;
  readonly stdout: string;
  readonly stderr: string;
}

function runProgram(file: string, cwd: string, timeoutMs: number): Promise<Ended> {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/^(NODE_OPTIONS|NODE_ENV|FORCE_COLOR|VITEST.*)$/.test(name)) delete env[name];
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
    }, timeoutMs);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const ended = late ? `still running after ${timeoutMs} ms` : signal ? `signal ${signal}` : `exit code ${code}`;
      resolve({ ended, stdout, stderr });
    });
  });
}
