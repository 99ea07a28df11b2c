// turbo, without its telemetry: that can only be switched off through the environment. With `--quietly WORDS` as the first arguments it says these
// words instead of turbo's own, and shows what turbo said only where that failed.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const args = process.argv.slice(2);
const words = args[0] === "--quietly" ? args.splice(0, 2)[1] : undefined;
if (words !== undefined) process.stdout.write(`${words}\n`);

const bin = join(dirname(createRequire(import.meta.url).resolve("turbo/package.json")), "bin", "turbo");
const child = spawn(process.execPath, [bin, ...args], {
  stdio: words === undefined ? "inherit" : ["ignore", "pipe", "pipe"],
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" },
});
const said = [];
child.stdout?.on("data", (chunk) => said.push(chunk));
child.stderr?.on("data", (chunk) => said.push(chunk));
// Ctrl-C reaches turbo as well, which ends its tasks; this one reports how it ended.
process.on("SIGINT", () => undefined);
child.on("close", (code) => {
  if (code !== 0) process.stderr.write(Buffer.concat(said));
  process.exitCode = code ?? 1;
});
