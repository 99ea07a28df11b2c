import { createHash } from "node:crypto";
import { readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WalError } from "../errors.js";

/**
 * A lock that the kernel holds for us, so that it goes away with its owner however the owner dies, and that needs no native code: a listening
 * socket whose name is worked out from the directory's identity. Binding is atomic; a second bind fails with EADDRINUSE, also in one process.
 *
 * A file with a process id is what others use. Its owner's id may be taken by a stranger after a SIGKILL, and two openers may both find it
 * stale and both replace it. Linux's abstract sockets and Windows' named pipes have no file that could be left behind. Elsewhere the
 * socket is a file: a leftover one is found out by connecting to it, and moved aside by name before it is replaced.
 *
 * The file `owner` in the directory is for people and for the error message only.
 */
export async function lockDirectory(path: string): Promise<() => Promise<void>> {
  const { dev, ino } = await stat(path, { bigint: true });
  const name = `evenkeel-wal-${createHash("sha256").update(`${dev}:${ino}`).digest("hex").slice(0, 32)}`;
  const owner = join(path, "owner");
  const server = await bind(socketPath(name));
  if (server === undefined) {
    const who = await readFile(owner, "utf8").catch(() => "");
    throw new WalError(
      "ERR_WAL_LOCKED",
      `${path} is open${who === "" ? "" : ` in process ${who.trim()}`}: a log has one owner at a time; close it there first`,
      { file: path },
    );
  }
  try {
    await writeFile(owner, `${process.pid}\n`);
  } catch {
    // Only a hint for people: a directory that cannot be written says so soon enough.
  }
  return async () => {
    await rm(owner, { force: true }).catch(() => undefined);
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
}

function socketPath(name: string): string {
  if (process.platform === "linux") return `\0${name}`;
  if (process.platform === "win32") return `\\\\?\\pipe\\${name}`;
  return join(tmpdir(), `${name}.sock`);
}

async function bind(path: string): Promise<Server | undefined> {
  const first = await listen(path);
  if (first !== undefined || process.platform === "linux" || process.platform === "win32") return first;
  if (await answers(path)) return undefined;
  // Left over by a dead owner. Whoever wins the rename may try again; who loses it finds the winner's socket or nothing.
  const aside = `${path}.${process.pid}.${Date.now()}`;
  const moved = await rename(path, aside).then(
    () => true,
    () => false,
  );
  if (moved) await rm(aside, { force: true });
  return listen(path);
}

function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    // For good: who listens and cannot take a stranger's connection (no descriptor is left) holds the lock all the same.
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    // `exclusive`: workers of node:cluster would otherwise share the socket, and so the lock.
    server.listen({ path, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
