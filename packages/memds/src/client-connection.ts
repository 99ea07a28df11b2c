import { connect, type Socket } from "node:net";
import { MemdsError } from "./core/errors.js";
import { encodeFrame, type Frame, FrameReader, frameType } from "./core/frame.js";
import { decodeError } from "./core/messages.js";
import type { Answers, Questions } from "./core/questions.js";
import { crc32 } from "./digest.js";
import { newHello, proofFor } from "./handshake.js";

interface Pending {
  /** Throws MemdsError for what is no answer to what was asked; it then still waits. */
  answer(payload: Uint8Array): void;
  reject(error: unknown): void;
}

/** One server as a client sees it. */
export interface Target {
  readonly name: string;
  /** Something is sent there in this turn anyway. */
  readonly isDue?: boolean;
  ask<A>(questions: Questions<A>): Asked<A>;
  close(): void;
}

export interface Asked<A> {
  /** Rejects with a MemdsError that says why there is no answer. */
  readonly answers: Promise<Answers<A>>;
  /** Nobody waits for it any more: `answers` rejects with the reason, if it is not settled yet. The server may have worked for it. */
  drop(reason: unknown): void;
}

/** What fails before it is sent. */
export function refused(error: MemdsError): Asked<never> {
  return { answers: Promise.reject(error), drop: () => {} };
}

export function overloaded(name: string, outstandingMax: number): MemdsError {
  const message = `${outstandingMax} requests to ${name} wait for an answer already`;
  return new MemdsError("ERR_MEMDS_OVERLOADED", message);
}

/** A look-up as it is sent, or why it is not. */
export function lookupFrame<A>(
  questions: Questions<A>,
  request: number,
  frameBytesMax: number,
): Uint8Array | MemdsError {
  const frame = encodeFrame({ type: frameType.lookup, request, payload: questions.encode() }, crc32);
  if (frame.length <= frameBytesMax) return frame;
  return new MemdsError("ERR_MEMDS_TOO_LARGE", `${questions.count} queries exceed ${frameBytesMax} bytes`);
}

/** What a server says in the place of answers. */
export function toldBy(name: string, payload: Uint8Array): MemdsError {
  const { code, message } = decodeError(payload);
  return new MemdsError(code, `${name}: ${message}`);
}

export const unknownFrame = (type: number): MemdsError =>
  new MemdsError("ERR_MEMDS_PROTOCOL", `an unknown type of frame, ${type}`);

export interface ConnectionLimits {
  readonly frameBytesMax: number;
  readonly outstandingMax: number;
  readonly secret: string | undefined;
}

/** A server over TCP: one connection, made when first needed and again after it broke, with any number of requests under way on it. */
export class Connection implements Target {
  readonly name: string;
  readonly #address: { readonly host: string; readonly port: number };
  readonly #frameBytesMax: number;
  readonly #outstandingMax: number;
  readonly #secret: string | undefined;
  /** While the two sides prove their secret to one another: what is to be sent then. */
  #unproved: { readonly hello: Uint8Array; readonly frames: Uint8Array[] } | undefined;
  readonly #pending = new Map<number, Pending>();
  #socket: Socket | undefined;
  #request = 0;
  /** Counts what arrives. */
  #heard = 0;

  constructor(address: { host: string; port: number }, limits: ConnectionLimits) {
    this.name = `${address.host}:${address.port}`;
    this.#address = address;
    this.#frameBytesMax = limits.frameBytesMax;
    this.#secret = limits.secret;
    this.#outstandingMax = limits.outstandingMax;
  }

  ask<A>(questions: Questions<A>): Asked<A> {
    if (this.#pending.size >= this.#outstandingMax) return refused(overloaded(this.name, this.#outstandingMax));
    const request = this.#nextRequest();
    const frame = lookupFrame(questions, request, this.#frameBytesMax);
    if (frame instanceof MemdsError) return refused(frame);
    if ((this.#socket?.writableLength ?? 0) > this.#frameBytesMax)
      return refused(new MemdsError("ERR_MEMDS_OVERLOADED", `${this.name} does not take what it is sent`));
    const heard = this.#heard;
    const answers = new Promise<Answers<A>>((resolve, reject) => {
      this.#pending.set(request, {
        answer: (payload) => {
          let answers: Answers<A> | undefined;
          let thrown: unknown;
          try {
            answers = questions.decode(payload);
          } catch (error) {
            if (error instanceof MemdsError) throw error;
            // By who asked, not by the server.
            thrown = error;
          }
          this.#settle(request);
          if (answers === undefined) reject(thrown);
          else resolve(answers);
        },
        reject,
      });
    });
    this.#socket ??= this.#open();
    this.#socket.ref();
    if (this.#unproved === undefined) this.#socket.write(frame);
    else this.#unproved.frames.push(frame);
    return { answers, drop: (reason) => this.#drop(request, heard, reason) };
  }

  #drop(request: number, heard: number, reason: unknown): void {
    const waiting = this.#settle(request);
    if (waiting === undefined) return;
    waiting.reject(reason);
    // Nothing came since this was asked: the connection is dead or the server is stopped. A new one tells sooner, and holds nothing.
    const isTimeout = reason instanceof MemdsError && reason.code === "ERR_MEMDS_TIMEOUT";
    if (isTimeout && this.#heard === heard)
      this.#lost(new MemdsError("ERR_MEMDS_UNAVAILABLE", `${this.name} is silent`));
  }

  close(): void {
    this.#lost(new MemdsError("ERR_MEMDS_CLOSED", "the client is closed"));
  }

  #open(): Socket {
    const socket = connect({ ...this.#address, noDelay: true });
    const reader = new FrameReader({ frameBytesMax: this.#frameBytesMax, checksum: crc32 });
    const lost = (error: MemdsError) => {
      if (this.#socket === socket) this.#lost(error);
      else socket.destroy();
    };
    socket.on("data", (chunk: Buffer) => {
      this.#heard++;
      try {
        for (const frame of reader.push(chunk)) this.#received(frame);
      } catch (cause) {
        lost(
          cause instanceof MemdsError && cause.code === "ERR_MEMDS_UNAUTHORIZED"
            ? cause
            : new MemdsError("ERR_MEMDS_PROTOCOL", `${this.name} broke the protocol: ${(cause as Error).message}`, {
                cause,
              }),
        );
      }
    });
    socket.on("error", (cause) => {
      lost(new MemdsError("ERR_MEMDS_UNAVAILABLE", `${this.name}: ${cause.message}`, { cause }));
    });
    socket.on("close", () => lost(new MemdsError("ERR_MEMDS_UNAVAILABLE", `${this.name} closed the connection`)));
    if (this.#secret !== undefined) {
      const hello = newHello();
      this.#unproved = { hello, frames: [] };
      socket.write(encodeFrame({ type: frameType.hello, request: this.#nextRequest(), payload: hello }, crc32));
    }
    return socket;
  }

  #received(frame: Frame): void {
    if (frame.type === frameType.challenge && this.#unproved !== undefined && this.#secret !== undefined) {
      const { hello, frames } = this.#unproved;
      const proof = proofFor(this.#secret, hello, frame.payload);
      this.#unproved = undefined;
      this.#socket?.write(encodeFrame({ type: frameType.proof, request: this.#nextRequest(), payload: proof }, crc32));
      for (const each of frames) this.#socket?.write(each);
      return;
    }
    // Request 0 is never sent: an error under this number is about the connection.
    if (frame.type === frameType.error && frame.request === 0) throw decodeError(frame.payload);
    const waiting = this.#pending.get(frame.request);
    if (waiting === undefined) return; // given up meanwhile
    if (frame.type === frameType.error) {
      const error = toldBy(this.name, frame.payload);
      this.#settle(frame.request)?.reject(error);
      return;
    }
    if (frame.type !== frameType.answer) throw unknownFrame(frame.type);
    waiting.answer(frame.payload);
  }

  #settle(request: number): Pending | undefined {
    const waiting = this.#pending.get(request);
    this.#pending.delete(request);
    // An idle connection keeps no process alive.
    if (this.#pending.size === 0) this.#socket?.unref();
    return waiting;
  }

  #lost(error: MemdsError): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#unproved = undefined;
    for (const request of [...this.#pending.keys()]) this.#settle(request)?.reject(error);
  }

  #nextRequest(): number {
    do this.#request = (this.#request % 0xffff_ffff) + 1;
    while (this.#pending.has(this.#request));
    return this.#request;
  }
}
