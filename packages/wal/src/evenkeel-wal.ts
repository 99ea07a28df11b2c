#!/usr/bin/env node
import { runCommand } from "./command.js";

const write = (stream: NodeJS.WriteStream) => (text: string) =>
  new Promise<void>((resolve) => stream.write(text, () => resolve()));

void runCommand(process.argv.slice(2), { out: write(process.stdout), err: write(process.stderr) }).then((code) => {
  process.exitCode = code;
});
