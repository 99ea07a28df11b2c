import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { houseRoot } from "./workspaces.js";

export interface Ran {
  readonly ok: boolean;
  /** What it said, both streams in the order in which they came. */
  readonly output: string;
}

/** Runs a program to its end and keeps what it says. */
export function run(command: string, args: readonly string[], cwd: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: quietEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.on("error", reject);
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}

/** Runs a tool among the devDependencies, with the Node that runs this. */
export function runTool(
  packageName: string,
  tool: string,
  args: readonly string[],
  cwd: string = houseRoot,
): Promise<Ran> {
  const folder = join(houseRoot, "node_modules", packageName);
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    bin: string | Record<string, string>;
  };
  const file = typeof bin === "string" ? bin : bin[tool];
  if (file === undefined) throw new Error(`${packageName} has no program called ${tool}`);
  return run(process.execPath, [join(folder, file), ...args], cwd);
}

/** Runs npm: the one that started us, where one did. */
export function runNpm(args: readonly string[], cwd: string): Promise<Ran> {
  const { npm_execpath: npm } = process.env;
  return npm?.endsWith(".js") ? run(process.execPath, [npm, ...args], cwd) : run("npm", args, cwd);
}

/** No questions, no colours, no telemetry, and none of the settings that a surrounding `npm run` leaves behind for its own folder. */
function quietEnvironment(): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    CI: "true",
    NO_COLOR: "1",
    TURBO_TELEMETRY_DISABLED: "1",
    DO_NOT_TRACK: "1",
  };
  for (const name of ["FORCE_COLOR", "NODE_OPTIONS", "npm_config_local_prefix", "npm_package_json", "INIT_CWD"])
    delete env[name];
  return env;
}
