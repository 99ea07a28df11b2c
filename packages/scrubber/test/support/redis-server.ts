import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.js";

/** A Redis of our own: on a free port, in a folder of its own, gone with its test. */
export class RedisServer {
  readonly #dir = mkdtempSync(join(tmpdir(), "evenkeel-redis-"));
  readonly #child: ChildProcess;
  readonly #clients: RespClient[] = [];

  private constructor(readonly port: number) {
    const own = [
      "--port",
      `${port}`,
      "--bind",
      "127.0.0.1",
      "--dir",
      this.#dir,
      "--save",
      "",
      "--repl-diskless-sync-delay",
      "0",
    ];
    this.#child = spawn("redis-server", own, { stdio: "ignore" });
    process.once("exit", this.#kill);
  }

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(await freePort());
    for (let tries = 0; ; tries++) {
      try {
        await (await server.client()).callBuffer("PING");
        return server;
      } catch (error) {
        if (tries > 400 || server.#child.exitCode !== null) throw error;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
  }

  async client(): Promise<RespClient> {
    const client = await RespClient.connect(this.port);
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    process.off("exit", this.#kill);
    if (this.#child.exitCode === null) {
      const gone = new Promise((resolve) => this.#child.once("exit", resolve));
      this.#child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  readonly #kill = () => {
    this.#child.kill("SIGKILL");
  };
}

/** As much of the Redis protocol as the tests need. */
export class RespClient {
  readonly #socket: Socket;
  readonly #waiting: { resolve(value: unknown): void; reject(error: Error): void }[] = [];
  #buffer: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (data) => {
      this.#buffer = Buffer.concat([this.#buffer, data]);
      this.#drain();
    });
    const fail = () => {
      for (const one of this.#waiting.splice(0)) one.reject(new Error("the connection is closed"));
    };
    socket.on("error", fail).on("close", fail);
  }

  static async connect(port: number): Promise<RespClient> {
    const socket = connect(port, "127.0.0.1");
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve).once("error", reject);
    });
    return new RespClient(socket);
  }

  async callBuffer(command: string, ...args: (string | Buffer)[]): Promise<unknown> {
    const parts = [command, ...args].map((part) => Buffer.from(part));
    const framed = parts.flatMap((part) => [Buffer.from(`$${part.length}\r\n`), part, Buffer.from("\r\n")]);
    this.#socket.write(Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...framed]));
    return await new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  close(): void {
    this.#socket.destroy();
  }

  #drain(): void {
    for (;;) {
      const reply = parse(this.#buffer, 0);
      if (reply === undefined) return;
      this.#buffer = this.#buffer.subarray(reply.end);
      const first = this.#waiting.shift();
      if (reply.value instanceof Error) first?.reject(reply.value);
      else first?.resolve(reply.value);
    }
  }
}

/** One reply, if all of it is there. */
function parse(buffer: Buffer, start: number): { readonly value: unknown; readonly end: number } | undefined {
  const lineEnd = buffer.indexOf("\r\n", start);
  if (lineEnd < 0) return undefined;
  const line = buffer.toString("latin1", start + 1, lineEnd);
  const end = lineEnd + 2;
  switch (buffer[start]) {
    case 0x2b:
      return { value: Buffer.from(line), end };
    case 0x2d:
      return { value: new Error(line), end };
    case 0x3a:
      return { value: Number(line), end };
    case 0x24: {
      const length = Number(line);
      if (length < 0) return { value: null, end };
      return buffer.length < end + length + 2
        ? undefined
        : { value: Buffer.from(buffer.subarray(end, end + length)), end: end + length + 2 };
    }
    default: {
      const values: unknown[] = [];
      let at = end;
      for (let i = 0; i < Number(line); i++) {
        const item = parse(buffer, at);
        if (item === undefined) return undefined;
        values.push(item.value);
        at = item.end;
      }
      return { value: values, end: at };
    }
  }
}
