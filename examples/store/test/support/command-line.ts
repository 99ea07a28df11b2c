import { type ChildProcess, spawn } from "node:child_process";
import { cliProgram, eventually } from "./store.js";

/** Nothing that the command line does takes this long: a bound for a hang, not a measure of speed. */
const HANGS_AFTER_MS = 60_000;

/** The built command line, run as a user's shell would run it: as the leader of a process group of its own, which its nodes belong to. */
export class CommandLine {
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";
  readonly #ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  /** `fileBytesMax`: no file of any of its processes may become longer, as on a disk that is full. */
  constructor(args: readonly string[], env: NodeJS.ProcessEnv = process.env, fileBytesMax?: number) {
    const program = [process.execPath, cliProgram, ...args] as const;
    const limited = ["sh", "-c", `ulimit -f ${(fileBytesMax ?? 0) / 512} && exec "$0" "$@"`, ...program] as const;
    const [file, ...rest] = fileBytesMax === undefined ? program : limited;
    this.child = spawn(file, rest, {
      detached: true,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.stdout += text));
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.stderr += text));
    this.#ended = new Promise((resolve, reject) => {
      this.child.once("error", reject);
      // `close` comes when the last process that holds stdout or stderr is gone, the nodes included.
      this.child.once("close", (code, signal) => resolve({ code, signal }));
    });
  }

  /** Resolves with the endpoint when it has printed all that it prints at its start. */
  async serves(): Promise<string> {
    await eventually("the store serves", () => {
      if (this.child.exitCode !== null)
        throw new Error(`the store ended with exit code ${this.child.exitCode}: ${this.stderr}`);
      return this.stdout.includes("Ctrl-C");
    });
    return /http:\/\/\S+/.exec(this.stdout)?.[0] ?? "";
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** What Ctrl-C in a terminal does: every process of the group gets the signal. */
  signalGroup(signal: NodeJS.Signals): void {
    process.kill(-(this.child.pid as number), signal);
  }

  /** Resolves when the program itself is gone, with whether nothing that it started has outlived it. */
  async leavesNothing(): Promise<boolean> {
    if (this.child.exitCode === null && this.child.signalCode === null)
      await new Promise<void>((resolve) => this.child.once("exit", () => resolve()));
    try {
      process.kill(-(this.child.pid as number), 0);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ESRCH";
    }
  }

  /** Resolves when the program and every process that it started are gone. */
  async ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    const timer = setTimeout(() => this.destroy(), HANGS_AFTER_MS);
    try {
      return await this.#ended;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends whatever is left, for the end of a test. */
  destroy(): void {
    try {
      this.signalGroup("SIGKILL");
    } catch {
      // Nothing is left.
    }
  }
}
