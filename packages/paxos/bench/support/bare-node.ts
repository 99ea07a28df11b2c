import { type FileHandle, mkdir, open } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { measured } from "./load.js";
import { names, onTold, tell } from "./processes.js";
import { Syncs } from "./syncs.js";

const recordBytes = 260;
const fileBytes = 64 * 1024 * 1024;

/**
 * The limit: a leader and two followers that only do what cannot be left out. No protocol, no checksums, no recovery, no election: records are
 * gathered while a sync runs, written to zero-filled space that is used in a circle, sent on in one write, and answered when two of three have
 * synced them.
 */
export async function bareNode(name: string, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  const disk = new GroupCommit(await zeroFilled(join(dir, "log")));
  const record = Buffer.alloc(recordBytes, "x");
  let appended = 0;
  let own = 0;
  const followers = [0, 0];
  const waiting: { upTo: number; resolve: () => void }[] = [];
  let head = 0;
  const settle = () => {
    const [low, high] = followers as [number, number];
    const chosen = Math.max(Math.min(low, high), Math.min(own, Math.max(low, high)));
    while (head < waiting.length && (waiting[head] as { upTo: number }).upTo <= chosen) waiting[head++]?.resolve();
    if (head === waiting.length) {
      waiting.length = 0;
      head = 0;
    }
  };
  const sockets: Socket[] = [];
  let gathered = 0;
  const flush = () => {
    const batch = Buffer.allocUnsafe(gathered * recordBytes);
    for (let i = 0; i < gathered; i++) record.copy(batch, i * recordBytes);
    gathered = 0;
    const upTo = appended;
    for (const socket of sockets) socket.write(batch);
    disk.append(batch, () => {
      own = upTo;
      settle();
    });
  };
  const write = () => {
    appended++;
    if (gathered++ === 0) setImmediate(flush);
    return new Promise<void>((resolve) => waiting.push({ upTo: appended, resolve }));
  };

  const server = createServer({ noDelay: true }, (socket) => {
    let received = 0;
    const answer = Buffer.alloc(8);
    socket.on("data", (chunk) => {
      received += chunk.length;
      const upTo = Math.floor(received / recordBytes);
      disk.append(chunk, () => {
        answer.writeDoubleLE(upTo);
        socket.write(Buffer.from(answer));
      });
    });
  });
  server.listen(0, "127.0.0.1", () => tell({ type: "listening", port: (server.address() as { port: number }).port }));
  onTold(async (message) => {
    if (message.type === "start") {
      if (name !== names[0]) return;
      for (const [index, follower] of names.slice(1).entries()) {
        const socket = connect({ host: "127.0.0.1", port: message.ports[follower] as number, noDelay: true });
        await new Promise((resolve) => socket.once("connect", resolve));
        socket.on("data", (chunk) => {
          followers[index] = chunk.readDoubleLE(chunk.length - 8);
          settle();
        });
        sockets.push(socket);
      }
      tell({ type: "leading" });
      return;
    }
    if (message.type !== "load") return;
    disk.syncs.begin();
    const load = await measured(message.demand, write);
    tell({ type: "load", load: { ...load, sync: disk.syncs.p99 } });
  });
}

async function zeroFilled(path: string): Promise<FileHandle> {
  const file = await open(path, "w+");
  const zeros = Buffer.alloc(1024 * 1024);
  for (let at = 0; at < fileBytes; at += zeros.length) await file.write(zeros, 0, zeros.length, at);
  await file.sync();
  return file;
}

/** While one sync runs, what arrives gathers for the next. */
class GroupCommit {
  readonly #file: FileHandle;
  readonly syncs = new Syncs();
  #chunks: Buffer[] = [];
  #callbacks: (() => void)[] = [];
  #running = false;
  #at = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  append(chunk: Buffer, durable: () => void): void {
    this.#chunks.push(chunk);
    this.#callbacks.push(durable);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#chunks.length > 0) {
      const data = Buffer.concat(this.#chunks);
      const callbacks = this.#callbacks;
      this.#chunks = [];
      this.#callbacks = [];
      if (this.#at + data.length > fileBytes) this.#at = 0;
      await this.syncs.timed(this.#synced(data));
      this.#at += data.length;
      for (const callback of callbacks) callback();
    }
    this.#running = false;
  }

  async #synced(data: Buffer): Promise<void> {
    await this.#file.write(data, 0, data.length, this.#at);
    await this.#file.datasync();
  }
}
