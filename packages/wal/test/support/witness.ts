import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { build } from "tsup";
import { Wal } from "../../src/index.js";
import { expectedRecord } from "./expected-record.js";

const test = fileURLToPath(new URL("..", import.meta.url));

/** Builds one of `programs/` into a single file in `work`, so that starting it takes as little time as can be. */
export async function builtProgram(name: string, work: string): Promise<string> {
  await build({
    entry: { [name]: join(test, `programs/${name}.mjs`) },
    outDir: work,
    format: ["esm"],
    outExtension: () => ({ js: ".mjs" }),
    platform: "node",
    esbuildOptions: (options) => {
      options.alias = { "@evenkeel/wal": join(test, "../src/index.ts") };
    },
    config: false,
    silent: true,
    clean: false,
  });
  return join(work, `${name}.mjs`);
}

/** What the witness said until it died. */
export class Testimony {
  /** Last acknowledged sequence of each stream. */
  readonly acknowledged = new Map<string, number>();
  /** First live sequence, as far as a truncation was acknowledged. */
  readonly truncated = new Map<string, number>();
  /** Whether it got as far as opening the log. */
  opened = false;
  /** The code of the error that it met, and of its cause. */
  failed: string | undefined;

  /** The lines of one life are added to those of the ones before. */
  hear([first, second, third]: readonly string[]): void {
    if (first === "open") this.opened = true;
    else if (first === "failed") this.failed = `${second} ${third}`;
    else if (second === "from") this.truncated.set(first as string, Number(third));
    else this.acknowledged.set(first as string, Math.max(this.acknowledged.get(first as string) ?? 0, Number(second)));
  }
}

const alive = new Set<ChildProcess>();

/** Ends what a failed test left running. */
export function endWitnesses(): void {
  for (const child of alive) child.kill("SIGKILL");
}

/** Runs the witness over one or several logs until it is dead; `hear` may kill it. What it says is added to the testimonies, one for each log. */
export async function testify(
  program: string,
  dirs: readonly string[],
  testimonies: readonly Testimony[],
  environment: NodeJS.ProcessEnv,
  hear?: (line: string, child: ChildProcess) => void | Promise<void>,
): Promise<void> {
  const child = spawn(process.execPath, [program, ...dirs], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, UV_USE_IO_URING: "0", NODE_OPTIONS: "", ...environment },
  });
  alive.add(child);
  let complaint = "";
  child.stderr.on("data", (text) => {
    complaint += String(text);
  });
  const exited = once(child, "exit") as Promise<[number | null, string | null]>;
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const [log, ...words] = line.split(" ");
      (testimonies[Number(log)] as Testimony).hear(words);
      await hear?.(line, child);
    }
  } finally {
    if (hear !== undefined) child.kill("SIGKILL");
  }
  const [status, signal] = await exited;
  alive.delete(child);
  if (signal !== "SIGKILL") throw new Error(`the witness ended by itself (${status}, ${signal}): ${complaint}`);
}

/**
 * Opens the log without the unsteady disk and compares every record with what it must hold. All that was acknowledged is there and nothing is in
 * doubt, unless `damaged`: then the end may be, and the bounds are not looked at.
 */
export async function examine(dir: string, testimony: Testimony, { damaged = false } = {}): Promise<void> {
  const wal = await Wal.open({ dir, segmentBytes: 65_536, segmentsBeforeCarry: 1 });
  try {
    const doubt = damaged && wal.uncertainFrom !== null;
    for (const name of ["a", "b", "quiet"]) {
      const stream = wal.stream(name);
      let due = stream.firstSequence;
      for await (const { sequence, data } of stream.read()) {
        if (sequence !== due++) throw new Error(`${name}: ${sequence} where ${due - 1} was due`);
        if (Buffer.compare(data, expectedRecord(name, sequence)) !== 0)
          throw new Error(`${name} ${sequence} is different`);
      }
      if (due !== stream.lastSequence + 1) throw new Error(`${name} ends before ${stream.lastSequence}`);
      if (doubt) continue;
      const [acknowledged, truncated] = [testimony.acknowledged.get(name) ?? 0, testimony.truncated.get(name) ?? 1];
      if (stream.lastSequence < acknowledged)
        throw new Error(`${name} ends at ${stream.lastSequence}, acknowledged was ${acknowledged}`);
      if (stream.firstSequence < truncated)
        throw new Error(`${name} begins at ${stream.firstSequence}, truncated was ${truncated}`);
      if (name === "quiet" && stream.firstSequence !== 1) throw new Error("quiet was never truncated");
    }
  } finally {
    await wal.close();
  }
}
