import { connect, createServer, type Server, type Socket } from "node:net";
import { encodeFrame, type Frame, FrameReader, frameType } from "../src/core/frame.js";
import { crc32 } from "../src/index.js";

/** A stretch of network between two members: counts bytes, can be cut, and can lose, repeat and reorder the updates of a feed. */
export class Link {
  bytes = 0;
  /** Nothing passes in either direction, and nobody is told. What was on the way is lost with its connection. */
  #isCut = false;
  readonly #target: { host: string; port: number };
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #draw: ((below: number) => number) | undefined;
  lost = 0;
  repeated = 0;
  reordered = 0;

  private constructor(target: { host: string; port: number }, draw: ((below: number) => number) | undefined) {
    this.#target = target;
    this.#draw = draw;
    this.#server = createServer({ noDelay: true }, (socket) => this.#connected(socket));
  }

  /** @param draw makes the network a bad one: a whole number below its argument, seeded by the test. */
  static async open(target: { host: string; port: number }, draw?: (below: number) => number): Promise<Link> {
    const link = new Link(target, draw);
    await new Promise<void>((resolve) => link.#server.listen(0, "127.0.0.1", resolve));
    return link;
  }

  get host(): string {
    return "127.0.0.1";
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  set target(port: number) {
    this.#target.port = port;
  }

  cut(): void {
    this.#isCut = true;
  }

  /** Connections from before do not come back. */
  heal(): void {
    if (!this.#isCut) return;
    this.#isCut = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connected(near: Socket): void {
    const far = connect({ ...this.#target, noDelay: true });
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    const pass = (to: Socket) => (bytes: Uint8Array) => {
      if (this.#isCut) return;
      this.bytes += bytes.length;
      to.write(bytes);
    };
    near.on("data", pass(far));
    far.on("data", this.#draw === undefined ? pass(near) : this.#badly(this.#draw, pass(near)));
  }

  #badly(draw: (below: number) => number, pass: (bytes: Uint8Array) => void): (bytes: Uint8Array) => void {
    const reader = new FrameReader({ frameBytesMax: 1 << 24, checksum: crc32 });
    const kept: Frame[] = [];
    const send = (frame: Frame) => pass(encodeFrame(frame, crc32));
    return (bytes) => {
      for (const frame of reader.push(bytes)) {
        if (frame.type !== frameType.update && frame.type !== frameType.head) {
          send(frame);
          continue;
        }
        const chance = draw(100);
        if (chance < 5) this.lost++;
        else if (chance < 10) {
          this.repeated++;
          send(frame);
          send(frame);
        } else if (chance < 15 && kept.length < 8) {
          this.reordered++;
          kept.push({ ...frame, payload: frame.payload.slice() });
        } else send(frame);
        if (kept.length > 0 && draw(4) === 0) send(kept.splice(draw(kept.length), 1)[0]!);
      }
    };
  }
}
