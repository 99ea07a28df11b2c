import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { PaxosError } from "../core/errors.js";
import { encodeFrame, FrameReader, frameHeader, frameHeaderBytes, sharedFrame, writeFrame } from "./frame.js";
import {
  decodeChallenge,
  encodeHello,
  type Hello,
  handshakeBytesMax,
  kinds,
  messageVersion,
  nonceBytes,
  proofOf,
  sameProof,
} from "./handshake.js";
import { SendQueue } from "./send-queue.js";
import type { TlsContext } from "./tls.js";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface OutgoingSettings {
  readonly nodeId: string;
  readonly secret: Uint8Array | undefined;
  readonly tls: TlsContext | undefined;
  readonly queueBytesMax: number;
  readonly handshakeTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly random: () => number;
  readonly now: () => number;
  readonly onProblem: (peer: string, problem: Error) => void;
}

/** From this size on a message is handed to the socket as it is, not put together with others. */
const copiedMax = 8 * 1024;

const now = Promise.resolve();

/** Written to the socket at most this far ahead of what the kernel takes; the rest waits where it can still be dropped. */
const bytesInSocketMax = 1024 * 1024;

/**
 * Our sending direction to one peer: dials when there is something to send, queues meanwhile, and starts over after a failure with a
 * jittered, growing pause. A peer that does not read is found out by a ping that stays unanswered.
 */
export class Outgoing {
  readonly #settings: OutgoingSettings;
  readonly #peer: string;
  readonly queue: SendQueue;
  #address: Address;
  #socket: Socket | undefined;
  #ready = false;
  #closed = false;
  #flushScheduled = false;
  #backoffMs: number;
  #retry: NodeJS.Timeout | undefined;
  /** When the oldest unanswered thing was sent (handshake or ping); undefined when nothing is owed to us. */
  #waitingSince: number | undefined;
  #sentSincePing = false;
  messagesSent = 0;
  bytesSent = 0;

  constructor(peer: string, address: Address, settings: OutgoingSettings) {
    this.#peer = peer;
    this.#address = address;
    this.#settings = settings;
    this.#backoffMs = settings.backoffMinMs;
    this.queue = new SendQueue(settings.queueBytesMax);
  }

  get connected(): boolean {
    return this.#ready;
  }

  moveTo(address: Address): void {
    if (address.host === this.#address.host && address.port === this.#address.port) return;
    this.#address = address;
    this.#backoffMs = this.#settings.backoffMinMs;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#disconnect();
    if (this.queue.length > 0) this.#dial();
  }

  send(payload: Uint8Array): void {
    if (this.#closed) return;
    this.queue.push(payload);
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    void now.then(this.#flushDue);
  }

  readonly #flushDue = (): void => {
    this.#flushScheduled = false;
    this.#flush();
  };

  /** Called a few times for each stall timeout. */
  tick(): void {
    const socket = this.#socket;
    if (!socket) return;
    const { now, stallTimeoutMs, handshakeTimeoutMs } = this.#settings;
    if (this.#waitingSince !== undefined) {
      if (now() - this.#waitingSince < (this.#ready ? stallTimeoutMs : handshakeTimeoutMs)) return;
      this.#fail(socket, new PaxosError("ERR_PAXOS_FRAME", `${this.#peer} accepts bytes but does not answer`));
    } else if (this.#ready && this.#sentSincePing) {
      this.#sentSincePing = false;
      this.#waitingSince = now();
      socket.write(encodeFrame(new Uint8Array(0), kinds.ping));
    }
  }

  close(): void {
    this.#closed = true;
    this.queue.clear();
    this.#disconnect();
  }

  #flush(): void {
    const socket = this.#socket;
    if (!socket) {
      if (!this.#closed && this.#retry === undefined) this.#dial();
      return;
    }
    if (!this.#ready) return;
    let wrote = false;
    while (this.queue.length > 0 && socket.writableLength < bytesInSocketMax) {
      const { payloads, bytes } = this.queue.take(256 * 1024);
      const [first] = payloads as [Uint8Array];
      const written = bytes + payloads.length * frameHeaderBytes;
      if (payloads.length === 1 && bytes >= copiedMax) {
        socket.cork();
        socket.write(frameHeader(first, kinds.message));
        socket.write(first);
        socket.uncork();
      } else if (payloads.length === 1) {
        socket.write(sharedFrame(first, kinds.message));
      } else {
        const out = Buffer.allocUnsafe(written);
        let at = 0;
        for (const payload of payloads) at = writeFrame(out, at, payload, kinds.message);
        socket.write(out);
      }
      this.messagesSent += payloads.length;
      this.bytesSent += written;
      wrote = true;
    }
    if (wrote) this.#sentSincePing = true;
  }

  #dial(): void {
    const { nodeId, secret, now } = this.#settings;
    const hello: Hello = {
      versionMin: messageVersion,
      versionMax: messageVersion,
      nonce: randomBytes(nonceBytes),
      from: nodeId,
      to: this.#peer,
    };
    const socket = this.#connect();
    const reader = new FrameReader({ frameBytesMax: handshakeBytesMax });
    this.#socket = socket;
    this.#waitingSince = now();
    let proved = false;
    socket.on(this.#settings.tls === undefined ? "connect" : "secureConnect", () =>
      socket.write(encodeFrame(encodeHello(hello), kinds.hello)),
    );
    socket.on("drain", () => this.#flush());
    socket.on("error", (error) => this.#fail(socket, error));
    socket.on("close", () =>
      this.#fail(socket, new PaxosError("ERR_PAXOS_CLOSED", `${this.#peer} ended the connection`)),
    );
    socket.on("data", (chunk) => {
      try {
        reader.push(chunk);
        for (let frame = reader.next(); frame; frame = reader.next()) {
          if (frame.kind === kinds.refuse) {
            throw new PaxosError(
              "ERR_PAXOS_FRAME",
              `${this.#peer} refused: ${Buffer.from(frame.payload).toString("utf8")}`,
            );
          }
          if (frame.kind === kinds.challenge && !proved) {
            const challenge = decodeChallenge(frame.payload);
            if (
              challenge.version !== messageVersion ||
              !sameProof(challenge.mac, proofOf(secret, "A", hello, challenge))
            ) {
              throw new PaxosError(
                "ERR_PAXOS_FRAME",
                `${this.#peer} does not hold our secret, or is not ${this.#peer}`,
              );
            }
            proved = true;
            socket.write(encodeFrame(proofOf(secret, "D", hello, challenge), kinds.proof));
          } else if (frame.kind === kinds.welcome && proved && !this.#ready) {
            this.#ready = true;
            this.#waitingSince = undefined;
            this.#backoffMs = this.#settings.backoffMinMs;
            this.#flush();
          } else if (frame.kind === kinds.pong && this.#ready) {
            this.#waitingSince = undefined;
          } else {
            throw new PaxosError("ERR_PAXOS_FRAME", `${this.#peer} sent a frame of kind ${frame.kind} out of place`);
          }
        }
      } catch (error) {
        this.#fail(socket, error as Error);
      }
    });
  }

  #connect(): Socket {
    const { tls } = this.#settings;
    const to = { host: this.#address.host, port: this.#address.port, noDelay: true };
    if (tls === undefined) return connect(to);
    return connectTls({
      ...to,
      ...tls.secure,
      // Nodes are told apart by their names, not by where they are.
      servername: "",
      checkServerIdentity: (_, certificate) =>
        tls.vouchesFor(certificate, this.#peer)
          ? undefined
          : new PaxosError("ERR_PAXOS_FRAME", `the certificate shown there does not speak for ${this.#peer}`),
    });
  }

  #disconnect(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#ready = false;
    this.#waitingSince = undefined;
    this.#sentSincePing = false;
    socket?.destroy();
  }

  #fail(socket: Socket, problem: Error): void {
    if (socket !== this.#socket) return;
    this.#disconnect();
    this.#settings.onProblem(this.#peer, problem);
    const { random, backoffMaxMs } = this.#settings;
    const pauseMs = this.#backoffMs * (0.5 + random() / 2);
    this.#backoffMs = Math.min(this.#backoffMs * 2, backoffMaxMs);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      if (this.queue.length > 0) this.#dial();
    }, pauseMs);
    this.#retry.unref();
  }
}
