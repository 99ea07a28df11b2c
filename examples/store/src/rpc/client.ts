import { connect, type Socket } from "node:net";
import { FrameReader } from "@evenkeel/paxos/transport";
import { StoreError } from "../storage-node/errors.js";
import { InFlight } from "./in-flight.js";
import { eachMessage, type Message, readAnswer, writeRequest } from "./messages.js";
import type { Caller, Method, Params, Result } from "./protocol.js";
import { FRAME_BYTES_MAX, MessageSocket } from "./socket.js";

const CONNECT_TIMEOUT_MS = 1_000;
const CALL_TIMEOUT_MS = 5_000;
const IN_FLIGHT_MAX = 8_192;
/** How often it is looked who has waited too long: one timer for all, since a timer a call costs as much as sending it. */
const LOOK_EVERY_MS = 100;

interface Waiting {
  readonly id: number;
  readonly method: Method;
  readonly timeoutMs: number;
  readonly giveUpAtMs: number;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface Connection {
  readonly socket: Socket;
  readonly out: MessageSocket;
  readonly waiting: InFlight<Waiting>;
}

/** One connection to one storage node, opened when first needed and again after a failure. */
export class RpcClient implements Caller {
  #address: { host: string; port: number } | undefined;
  #connection: Promise<Connection> | undefined;
  /** What `#connection` has come to, once it has. */
  #opened: Connection | undefined;
  #closed = false;

  constructor(address?: { host: string; port: number }) {
    this.#address = address;
  }

  /** The node moved (it was started again). Requests under way on the old connection end as they end. */
  setAddress(address: { host: string; port: number }): void {
    if (this.#address?.port === address.port && this.#address.host === address.host) return;
    this.#address = address;
    this.#forget();
  }

  #forget(): void {
    this.#connection = undefined;
    this.#opened = undefined;
  }

  call<M extends Method>(method: M, params: Params<M>, { timeoutMs = CALL_TIMEOUT_MS } = {}): Promise<Result<M>> {
    const connection = this.#opened;
    if (connection !== undefined) return this.#send(connection, method, params, timeoutMs);
    return this.#connect().then((opened) => this.#send(opened, method, params, timeoutMs));
  }

  /** Something is sent to the node at the end of this turn. */
  get isDue(): boolean {
    return this.#opened?.out.isDue === true;
  }

  #send<M extends Method>(
    { socket, out, waiting }: Connection,
    method: M,
    params: Params<M>,
    timeoutMs: number,
  ): Promise<Result<M>> {
    return new Promise<Result<M>>((resolve, reject) => {
      if (socket.destroyed)
        throw new StoreError("ERR_STORE_UNREACHABLE", "the connection was lost before the request was sent");
      if (waiting.size >= IN_FLIGHT_MAX)
        throw new StoreError("ERR_STORE_OVERLOADED", "too many requests to one node are under way");
      const id = waiting.next();
      writeRequest(out, id, method, params);
      waiting.add({
        id,
        method,
        timeoutMs,
        giveUpAtMs: performance.now() + timeoutMs,
        resolve: resolve as (value: unknown) => void,
        reject,
      });
    });
  }

  #connect(): Promise<Connection> {
    if (this.#closed) return Promise.reject(new StoreError("ERR_STORE_CLOSED", "the client is closed"));
    if (this.#connection === undefined) {
      const opening: Promise<Connection> = this.#open(() => {
        if (this.#connection === opening) this.#forget();
      });
      this.#connection = opening;
      opening.then(
        (opened) => {
          if (this.#connection === opening && !opened.socket.destroyed) this.#opened = opened;
        },
        () => {
          if (this.#connection === opening) this.#forget();
        },
      );
    }
    return this.#connection;
  }

  async #open(onGone: () => void): Promise<Connection> {
    const address = this.#address;
    if (address === undefined) {
      throw new StoreError("ERR_STORE_UNREACHABLE", "the node has not said yet where it listens");
    }
    const socket = connect({ ...address, noDelay: true });
    const waiting = new InFlight<Waiting>();
    const opened = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => socket.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
        CONNECT_TIMEOUT_MS,
      );
      socket.once("connect", () => {
        clearTimeout(timer);
        resolve();
      });
      socket.once("error", (cause) => {
        clearTimeout(timer);
        reject(new StoreError("ERR_STORE_UNREACHABLE", `${address.host}:${address.port} cannot be reached`, { cause }));
      });
      socket.once("close", () =>
        reject(new StoreError("ERR_STORE_UNREACHABLE", `${address.host}:${address.port} closed the connection`)),
      );
    });
    const look = setInterval(() => this.#giveUp(waiting), LOOK_EVERY_MS);
    look.unref();
    const gone = () => {
      onGone();
      clearInterval(look);
      for (const { id, reject } of waiting.all()) {
        waiting.take(id);
        reject(
          new StoreError("ERR_STORE_UNKNOWN_OUTCOME", `the connection to ${address.host}:${address.port} was lost`),
        );
      }
    };
    const reader = new FrameReader({ frameBytesMax: FRAME_BYTES_MAX });
    const take = (...message: Message): void => {
      const call = waiting.get(message[0]);
      if (call === undefined) return;
      const answer = readAnswer(call.method, ...message);
      waiting.take(call.id);
      if ("error" in answer) call.reject(answer.error);
      else call.resolve(answer.result);
    };
    socket.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk);
        for (let frame = reader.next(); frame !== undefined; frame = reader.next()) eachMessage(frame.payload, take);
      } catch (cause) {
        socket.destroy(cause instanceof Error ? cause : undefined);
      }
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", gone);
    await opened;
    return { socket, out: new MessageSocket(socket), waiting };
  }

  #giveUp(waiting: InFlight<Waiting>): void {
    const nowMs = performance.now();
    for (const { id, method, timeoutMs, giveUpAtMs, reject } of waiting.all()) {
      if (giveUpAtMs > nowMs) continue;
      waiting.take(id);
      reject(new StoreError("ERR_STORE_UNKNOWN_OUTCOME", `${method} was not answered within ${timeoutMs} ms`));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connection = this.#connection;
    this.#forget();
    await connection?.then(
      ({ socket }) => socket.destroy(),
      () => {},
    );
  }
}
