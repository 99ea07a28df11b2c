#!/usr/bin/env node
import { runCommand } from "./command.js";

const write = (stream: NodeJS.WriteStream) => (text: string) =>
  new Promise<void>((resolve) => stream.write(text, () => resolve()));

// Who reads the records has seen enough (`| head`): that is no failure.
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

const output = { out: write(stdout), err: write(stderr), progress, toTerminal: stdout.isTTY === true };
void runCommand(process.argv.slice(2), output).then((code) => {
  process.exitCode = code;
});
