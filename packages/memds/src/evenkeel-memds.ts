#!/usr/bin/env node
import { runCommand } from "./command.js";

const ended = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ended.abort());

void runCommand(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  env: process.env,
  signal: ended.signal,
}).then((code) => {
  process.exitCode = code;
});
