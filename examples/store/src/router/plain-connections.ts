import type { Socket } from "node:net";
import { type PlainRequest, plainRequest } from "./plain-request.js";
import { readInPlace } from "./read-in-place.js";

const NOTHING = Buffer.alloc(0);

export interface PlainConnectionsOptions {
  /** Answers a request, by calling `answer` of its connection once. Its body is to be had until this returns. */
  readonly onRequest: (request: PlainRequest, connection: PlainConnection) => void;
  /** Takes over a connection, with what has arrived on it and is not answered, for good. */
  readonly handOver: (socket: Socket, arrived: Buffer | undefined) => void;
  /** How long a connection is kept on which no request has come yet. */
  readonly firstRequestMs: number;
  /** How long a connection without a request is kept after that. */
  readonly keepAliveMs: number;
  /** How long nothing may move on a connection while a request is under way. */
  readonly stallTimeoutMs: number;
  /** How often those are looked after. */
  readonly lookEveryMs: number;
}

/**
 * Connections on which nothing has come so far but plain requests, one at a time. They are served straight from the socket: a request's way
 * through node:http, with its streams and events, costs as much as all the rest of it. The first thing out of the ordinary that comes on a
 * connection (a request in parts, a second one before the answer is taken, another method ...) hands it over to node:http, which has its ways and bounds for all of that.
 */
export class PlainConnections {
  readonly #options: PlainConnectionsOptions;
  readonly #connections = new Set<PlainConnection>();
  #timer: NodeJS.Timeout | undefined;
  /** Counts looks: a clock that is coarse and costs nothing. */
  looks = 0;

  constructor(options: PlainConnectionsOptions) {
    this.#options = options;
  }

  add(socket: Socket): void {
    this.#timer ??= setInterval(() => this.#look(), this.#options.lookEveryMs).unref();
    this.#connections.add(new PlainConnection(socket, this, this.#options));
  }

  forget(connection: PlainConnection): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    this.looks++;
    const { firstRequestMs, keepAliveMs, stallTimeoutMs, lookEveryMs } = this.#options;
    for (const connection of this.#connections) {
      if (connection.sending) continue;
      const quietMs = (this.looks - connection.movedAtLook - 1) * lookEveryMs;
      const patienceMs = !connection.idle ? stallTimeoutMs : connection.fresh ? firstRequestMs : keepAliveMs;
      if (quietMs >= patienceMs) connection.destroy();
    }
  }

  closeIdle(): void {
    for (const connection of this.#connections) if (connection.idle) connection.destroy();
  }

  close(): void {
    for (const connection of this.#connections) connection.destroy();
  }
}

export class PlainConnection {
  readonly socket: Socket;
  readonly #home: PlainConnections;
  readonly #options: PlainConnectionsOptions;
  readonly #stopReading: () => void;
  #busy = false;
  /** What came while a request was under way. */
  #early: Buffer | undefined;
  movedAtLook: number;
  /** No request has come on it yet. */
  fresh = true;
  /** An answer is on its way that the client is slow to take: the socket itself looks whether anything moves. */
  sending = false;

  readonly #onStalled = (): void => this.destroy();
  readonly #onEnd = (): void => {
    // Who has sent everything may still wait for an answer.
    if (!this.#busy) this.destroy();
  };
  readonly #onError = (): void => this.destroy();
  readonly #onClose = (): void => this.#home.forget(this);

  constructor(socket: Socket, home: PlainConnections, options: PlainConnectionsOptions) {
    this.socket = socket;
    this.#home = home;
    this.#options = options;
    this.movedAtLook = home.looks;
    this.#stopReading = readInPlace(socket, (chunk) => this.#arrived(chunk));
    socket.on("end", this.#onEnd).on("error", this.#onError).on("close", this.#onClose);
  }

  /** No request is under way, and no answer is. */
  get idle(): boolean {
    return !this.#busy && !this.sending;
  }

  /** @param chunk to be read before this returns: what arrives next is written over it */
  #arrived(chunk: Buffer): void {
    this.movedAtLook = this.#home.looks;
    if (this.#busy) {
      // Not read any further before the answer.
      this.socket.pause();
      this.#early = this.#early === undefined ? Buffer.from(chunk) : Buffer.concat([this.#early, chunk]);
      return;
    }
    // Who goes on asking and does not take the answers is no longer read there.
    const request = this.socket.writableLength > 0 ? undefined : plainRequest(chunk);
    if (request === undefined) return this.#handOver(Buffer.from(chunk));
    this.fresh = false;
    this.#busy = true;
    this.#options.onRequest(request, this);
  }

  /** The whole answer as it goes out. The connection takes its next request then, or ends. */
  answer(bytes: Buffer, { last }: { readonly last: boolean }): void {
    this.#busy = false;
    this.movedAtLook = this.#home.looks;
    const { socket } = this;
    if (socket.destroyed) return;
    if (last || socket.readableEnded) {
      socket.end(bytes);
      return;
    }
    socket.write(bytes);
    if (socket.writableLength > 0 && !this.sending) this.#untilTaken();
    if (this.#early !== undefined) this.#handOver(this.#early);
  }

  #untilTaken(): void {
    const { socket } = this;
    this.sending = true;
    socket.setTimeout(this.#options.stallTimeoutMs).on("timeout", this.#onStalled);
    // Its turn comes when all that was written before it is taken.
    socket.write(NOTHING, () => {
      if (!this.sending) return;
      this.sending = false;
      this.movedAtLook = this.#home.looks;
      socket.setTimeout(0).off("timeout", this.#onStalled);
      if (socket.writableLength > 0 && !socket.destroyed) this.#untilTaken();
    });
  }

  #handOver(arrived: Buffer): void {
    const { socket } = this;
    this.sending = false;
    this.#home.forget(this);
    this.#stopReading();
    socket
      .off("timeout", this.#onStalled)
      .off("end", this.#onEnd)
      .off("error", this.#onError)
      .off("close", this.#onClose);
    this.#early = undefined;
    this.#options.handOver(socket, arrived);
    socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }
}
