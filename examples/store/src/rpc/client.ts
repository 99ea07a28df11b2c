import { connect, type Socket } from "node:net";
import { encodeFrame, FrameReader } from "@evenkeel/paxos/transport";
import { StoreError } from "../storage-node/errors.js";
import { type AnswerMessage, errorOfAnswer, pack, unpack } from "./codec.js";
import type { Caller, Method, Params, Result } from "./protocol.js";
import { FRAME_BYTES_MAX, writeCoalesced } from "./socket.js";

const CONNECT_TIMEOUT_MS = 1_000;
const CALL_TIMEOUT_MS = 5_000;
const IN_FLIGHT_MAX = 8_192;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

interface Connection {
  readonly socket: Socket;
  readonly send: (frame: Uint8Array) => void;
  readonly waiting: Map<number, Waiting>;
}

/** One connection to one storage node, opened when first needed and again after a failure. */
export class RpcClient implements Caller {
  #address: { host: string; port: number } | undefined;
  #connection: Promise<Connection> | undefined;
  #nextId = 1;
  #closed = false;

  constructor(address?: { host: string; port: number }) {
    this.#address = address;
  }

  /** The node moved (it was started again). Requests under way on the old connection end as they end. */
  setAddress(address: { host: string; port: number }): void {
    if (this.#address?.port === address.port && this.#address.host === address.host) return;
    this.#address = address;
    this.#connection = undefined;
  }

  async call<M extends Method>(method: M, params: Params<M>, { timeoutMs = CALL_TIMEOUT_MS } = {}): Promise<Result<M>> {
    const connection = await this.#connect();
    if (connection.socket.destroyed)
      throw new StoreError("ERR_STORE_UNREACHABLE", "the connection was lost before the request was sent");
    if (connection.waiting.size >= IN_FLIGHT_MAX)
      throw new StoreError("ERR_STORE_OVERLOADED", "too many requests to one node are under way");
    const id = this.#nextId++;
    const frame = encodeFrame(pack([id, method, params]));
    return await new Promise<Result<M>>((resolve, reject) => {
      const timer = setTimeout(() => {
        connection.waiting.delete(id);
        reject(new StoreError("ERR_STORE_UNKNOWN_OUTCOME", `${method} was not answered within ${timeoutMs} ms`));
      }, timeoutMs);
      connection.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, timer });
      connection.send(frame);
    });
  }

  #connect(): Promise<Connection> {
    if (this.#closed) return Promise.reject(new StoreError("ERR_STORE_CLOSED", "the client is closed"));
    if (this.#connection === undefined) {
      const opening: Promise<Connection> = this.#open(() => {
        if (this.#connection === opening) this.#connection = undefined;
      });
      this.#connection = opening;
      opening.catch(() => {
        if (this.#connection === opening) this.#connection = undefined;
      });
    }
    return this.#connection;
  }

  async #open(onGone: () => void): Promise<Connection> {
    const address = this.#address;
    if (address === undefined) {
      throw new StoreError("ERR_STORE_UNREACHABLE", "the node has not said yet where it listens");
    }
    const socket = connect({ ...address, noDelay: true });
    const waiting = new Map<number, Waiting>();
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
    const gone = () => {
      onGone();
      for (const { reject, timer } of waiting.values()) {
        clearTimeout(timer);
        reject(
          new StoreError("ERR_STORE_UNKNOWN_OUTCOME", `the connection to ${address.host}:${address.port} was lost`),
        );
      }
      waiting.clear();
    };
    const reader = new FrameReader({ frameBytesMax: FRAME_BYTES_MAX });
    socket.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk);
        for (let frame = reader.next(); frame !== undefined; frame = reader.next())
          this.#answered(waiting, unpack(frame.payload) as AnswerMessage);
      } catch (cause) {
        socket.destroy(cause instanceof Error ? cause : undefined);
      }
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", gone);
    await opened;
    return { socket, send: writeCoalesced(socket), waiting };
  }

  #answered(waiting: Map<number, Waiting>, answer: AnswerMessage): void {
    const call = waiting.get(answer[0]);
    if (call === undefined) return;
    waiting.delete(answer[0]);
    clearTimeout(call.timer);
    if (answer[1] === 0) call.resolve(answer[2]);
    else call.reject(errorOfAnswer(answer));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.then(
      ({ socket }) => socket.destroy(),
      () => {},
    );
  }
}
