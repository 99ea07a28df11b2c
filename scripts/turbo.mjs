// turbo, without its telemetry: that can only be switched off through the environment.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const bin = join(dirname(createRequire(import.meta.url).resolve("turbo/package.json")), "bin", "turbo");
const child = spawn(process.execPath, [bin, ...process.argv.slice(2)], {
  stdio: "inherit",
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" },
});
// Ctrl-C reaches turbo as well, which ends its tasks; this one reports how it ended.
process.on("SIGINT", () => undefined);
child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
