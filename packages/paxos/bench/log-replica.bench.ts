import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bench } from "../../../scripts/bench-types.js";
import { forkedAs } from "./support/processes.js";
import { type FromTailNode, founders, spare, type ToTailNode, tailNode } from "./support/tail-node.js";

const file = fileURLToPath(import.meta.url);
const forked = forkedAs();
if (forked?.kind === "tail") await tailNode(forked.name, forked.dir);

/** EVENKEEL_BENCH_TAIL_MB=256 is what the goal is about; that takes a while, and a gigabyte of disk. */
const tailMegabytes = Number(process.env.EVENKEEL_BENCH_TAIL_MB ?? 16);

type Told<T extends FromTailNode["type"]> = Promise<Extract<FromTailNode, { type: T }>>;

function told<T extends FromTailNode["type"]>(child: ChildProcess, type: T): Told<T> {
  return new Promise((resolve, reject) => {
    child.once("exit", () => reject(new Error(`a node ended before it said "${type}"`)));
    child.on("message", (message: FromTailNode) => {
      if (message.type === type) resolve(message as Extract<FromTailNode, { type: T }>);
    });
  });
}

/** A group of three with a long tail loses a storage replica, and a log replica takes its place. */
async function turn(): Promise<{ seconds: number; stall: number }> {
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-tail-"));
  const names = [...founders, spare];
  const children = names.map((name) => fork(file, ["evenkeel-bench-node", "tail", name, join(dir, name)]));
  try {
    const listening = await Promise.all(children.map((child) => told(child, "listening")));
    const ports = Object.fromEntries(names.map((name, i) => [name, listening[i]?.port ?? 0]));
    const leading = Promise.race(children.map((child) => told(child, "leading").then(() => child)));
    for (const child of children) child.send({ type: "start", ports } satisfies ToTailNode);
    const leader = await leading;
    const filled = told(leader, "filled");
    leader.send({ type: "fill", bytes: tailMegabytes * 1024 * 1024 } satisfies ToTailNode);
    await filled;
    const failed = founders.find((name) => children[names.indexOf(name)] !== leader) as string;
    const gone = children[names.indexOf(failed)] as ChildProcess;
    const exited = new Promise((resolve) => gone.once("exit", resolve));
    gone.kill("SIGKILL");
    await exited;
    const replaced = told(leader, "replaced");
    leader.send({ type: "replace", failed, by: spare } satisfies ToTailNode);
    const { seconds, stallMs } = await replaced;
    return { seconds, stall: stallMs };
  } finally {
    const alive = children.filter((child) => child.exitCode === null && child.signalCode === null);
    const gone = alive.map((child) => new Promise((resolve) => child.once("exit", resolve)));
    for (const child of alive) child.kill("SIGKILL");
    await Promise.all(gone);
    await rm(dir, { recursive: true, force: true });
  }
}

export default {
  name: `a log replica in the place of a dead storage replica, ${tailMegabytes} MB of log`,
  metrics: { seconds: { unit: "s", better: "lower" }, stall: { unit: "ms", better: "lower" } },
  subjects: {
    evenkeel: {
      note: "four processes over TCP, commands of 1 KiB, written to all the time; seconds until the write quorum is whole, longest time without an answer meanwhile",
      run: turn,
    },
  },
  goals: [
    { metric: "seconds", atMost: 2 },
    { metric: "stall", atMost: 100 },
  ],
} satisfies Bench;
