import { connect, type Socket } from "node:net";
import { MemdsError } from "./core/errors.js";
import { encodeFrame, type Frame, FrameReader, frameType } from "./core/frame.js";
import { decodeError } from "./core/messages.js";
import type { SyncChannel } from "./core/sync-initiator.js";
import { crc32 } from "./digest.js";
import { newHello, proofFor } from "./handshake.js";

/** Where a member listens. */
export interface MemdsAddress {
  readonly host: string;
  readonly port: number;
}

export interface PeerConnectionOptions {
  readonly address: MemdsAddress;
  readonly secret: string | undefined;
  readonly frameBytesMax: number;
  /** The connection ends when nothing comes for so long. */
  readonly silenceMs: number;
  readonly signal: AbortSignal;
  /** What comes without being asked for. */
  readonly onPush?: (frame: Frame) => void;
}

/** One member's connection to another: questions in order, one at a time, and what the other one sends by itself. */
export class PeerConnection implements SyncChannel {
  readonly name: string;
  readonly #socket: Socket;
  readonly #options: PeerConnectionOptions;
  readonly #welcome: Promise<void>;
  readonly #hello = newHello();
  #waiting: { readonly request: number; resolve(frame: Frame): void; reject(error: MemdsError): void } | undefined;
  #request = 0;
  #error: MemdsError | undefined;
  /** Resolves, with why, when the connection is over. */
  readonly closed: Promise<MemdsError>;
  #settleClosed: (error: MemdsError) => void = () => {};

  constructor(options: PeerConnectionOptions) {
    const { address, secret, frameBytesMax, silenceMs, signal } = options;
    this.#options = options;
    this.name = `${address.host}:${address.port}`;
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve;
    });
    const reader = new FrameReader({ frameBytesMax, checksum: crc32 });
    const socket = connect({ host: address.host, port: address.port, noDelay: true });
    this.#socket = socket;
    const aborted = () => this.close();
    signal.addEventListener("abort", aborted, { once: true });
    // After a stall of the event loop an answer may lie in the socket already: give it one turn.
    socket.setTimeout(silenceMs, () => {
      const before = socket.bytesRead;
      setImmediate(() => {
        if (socket.bytesRead === before) this.#end("ERR_MEMDS_TIMEOUT", `${this.name} was silent for ${silenceMs} ms`);
      });
    });
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const frame of reader.push(chunk)) this.#received(frame);
      } catch (cause) {
        const code = cause instanceof MemdsError ? cause.code : "ERR_MEMDS_PROTOCOL";
        this.#end(code, `${this.name}: ${(cause as Error).message}`, cause);
      }
    });
    socket.on("error", (cause) => this.#end("ERR_MEMDS_UNAVAILABLE", `${this.name}: ${cause.message}`, cause));
    socket.on("close", () => {
      signal.removeEventListener("abort", aborted);
      this.#end("ERR_MEMDS_UNAVAILABLE", `${this.name} closed the connection`);
    });
    if (signal.aborted) this.close();
    this.#welcome = secret === undefined ? Promise.resolve() : this.#prove(secret);
    this.#welcome.catch(() => {}); // told to whoever asks
  }

  async ask(what: Parameters<SyncChannel["ask"]>[0], payload: Uint8Array): Promise<Uint8Array> {
    await this.#welcome;
    const frame = await this.#exchange(frameType[what], payload);
    if (frame.type !== frameType.syncAnswer) {
      throw new MemdsError("ERR_MEMDS_PROTOCOL", `${this.name} answered with a frame of type ${frame.type}`);
    }
    return Uint8Array.from(frame.payload);
  }

  async send(type: number, payload: Uint8Array): Promise<void> {
    await this.#welcome;
    if (this.#error !== undefined) throw this.#error;
    this.#write(type, this.#nextRequest(), payload);
  }

  close(): void {
    this.#end("ERR_MEMDS_CLOSED", `the connection to ${this.name} was closed`);
  }

  async #prove(secret: string): Promise<void> {
    const challenge = await this.#exchange(frameType.hello, this.#hello);
    if (challenge.type !== frameType.challenge) {
      throw new MemdsError("ERR_MEMDS_PROTOCOL", `${this.name} answered with a frame of type ${challenge.type}`);
    }
    this.#write(frameType.proof, this.#nextRequest(), proofFor(secret, this.#hello, challenge.payload));
  }

  #exchange(type: number, payload: Uint8Array): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) {
        reject(this.#error);
        return;
      }
      const request = this.#nextRequest();
      this.#waiting = { request, resolve, reject };
      this.#write(type, request, payload);
    });
  }

  #write(type: number, request: number, payload: Uint8Array): void {
    this.#socket.write(encodeFrame({ type, request, payload }, crc32));
  }

  #nextRequest(): number {
    this.#request = (this.#request % 0xffff_ffff) + 1;
    return this.#request;
  }

  #received(frame: Frame): void {
    if (frame.type === frameType.update || frame.type === frameType.head) {
      this.#options.onPush?.(frame);
      return;
    }
    if (frame.type === frameType.error && (frame.request === 0 || this.#waiting === undefined))
      throw decodeError(frame.payload);
    const waiting = this.#waiting;
    // One question at a time: what has another number was answered twice.
    if (frame.request !== waiting?.request) return;
    this.#waiting = undefined;
    if (frame.type === frameType.error) waiting.reject(decodeError(frame.payload));
    else waiting.resolve(frame);
  }

  #end(code: MemdsError["code"], message: string, cause?: unknown): void {
    if (this.#error !== undefined) return;
    const error = new MemdsError(code, message, { cause });
    this.#error = error;
    this.#socket.destroy();
    this.#waiting?.reject(error);
    this.#waiting = undefined;
    this.#settleClosed(error);
  }
}
