#!/usr/bin/env node
import { runCommand } from "./command/command.js";

const write = (stream: NodeJS.WriteStream) => (text: string) =>
  new Promise<void>((resolve) => {
    stream.write(text, () => resolve());
  });

// Who reads has seen enough (`| head`): that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 2);
});

const { stdout, stderr } = process;
const progress = {
  write: (text: string) => void stderr.write(text),
  overwrites: stderr.isTTY === true,
  columns: stderr.columns ?? 80,
  nowMs: () => performance.now(),
  unasked: stderr.isTTY === true,
};

void runCommand(process.argv.slice(2), { out: write(stdout), err: write(stderr), progress }).then((code) => {
  // All is written; what a configuration's module holds open (a client's connection) is not waited for.
  process.exit(code);
});
