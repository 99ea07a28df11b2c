import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { PaxosError } from "../core/errors.js";
import { encodeFrame, FrameReader } from "./frame.js";
import {
  agreeVersion,
  decodeHello,
  encodeChallenge,
  type Hello,
  handshakeBytesMax,
  kinds,
  nonceBytes,
  proofOf,
  sameProof,
} from "./handshake.js";
import type { TlsContext } from "./tls.js";

export interface IncomingSettings {
  readonly nodeId: string;
  readonly secret: Uint8Array | undefined;
  readonly tls: TlsContext | undefined;
  readonly frameBytesMax: number;
  readonly knows: (nodeId: string) => boolean;
  readonly onProved: (incoming: Incoming, from: string) => void;
  readonly onMessage: (from: string, payload: Uint8Array) => void;
  readonly onRefused: (problem: Error) => void;
  readonly onClosed: (incoming: Incoming) => void;
}

const empty = new Uint8Array(0);
/** Answers that a peer has not read: one that asks on and never reads is no peer. */
const unreadMax = 64 * 1024;
/** How long whoever is refused may take to read why. */
const lingerMs = 1000;

/** One connection that somebody dialled to us: he proves who he is, then we listen. Anything out of place ends it. */
export class Incoming {
  readonly #socket: Socket;
  readonly #settings: IncomingSettings;
  readonly #reader = new FrameReader({ frameBytesMax: handshakeBytesMax });
  readonly #nonce = randomBytes(nonceBytes);
  readonly openedAtMs: number;
  #hello: Hello | undefined;
  #from: string | undefined;
  bytesReceived = 0;

  constructor(socket: Socket, openedAtMs: number, settings: IncomingSettings) {
    this.#socket = socket;
    this.#settings = settings;
    this.openedAtMs = openedAtMs;
    socket.on("data", (chunk) => this.#read(chunk));
    // A reset is no news for the receiving side; "close" follows.
    socket.on("error", () => {});
    socket.on("close", () => settings.onClosed(this));
  }

  /** The sender's name, once proved. */
  get from(): string | undefined {
    return this.#from;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    try {
      this.#reader.push(chunk);
      while (!this.#socket.destroyed) {
        const frame = this.#reader.next();
        if (!frame) return;
        if (this.#from !== undefined && frame.kind === kinds.message)
          this.#settings.onMessage(this.#from, frame.payload);
        else if (this.#from !== undefined && frame.kind === kinds.ping) this.#answerPing();
        else if (this.#from === undefined && frame.kind === kinds.hello && !this.#hello)
          this.#greet(decodeHello(frame.payload));
        else if (this.#from === undefined && frame.kind === kinds.proof && this.#hello)
          this.#admit(this.#hello, frame.payload);
        else throw new PaxosError("ERR_PAXOS_FRAME", `a frame of kind ${frame.kind} out of place`);
      }
    } catch (error) {
      this.#refuse(error as Error);
    }
  }

  #answerPing(): void {
    if (this.#socket.writableLength > unreadMax) throw new PaxosError("ERR_PAXOS_FRAME", "answers are not read");
    this.#socket.write(encodeFrame(empty, kinds.pong));
  }

  #greet(hello: Hello): void {
    const { nodeId, secret, knows, tls } = this.#settings;
    const version = agreeVersion(hello);
    if (version === undefined) {
      throw new PaxosError(
        "ERR_PAXOS_FRAME",
        `no common message version (theirs: ${hello.versionMin} to ${hello.versionMax})`,
      );
    }
    if (hello.to !== nodeId) throw new PaxosError("ERR_PAXOS_FRAME", "this is not the node that was meant");
    if (!knows(hello.from)) throw new PaxosError("ERR_PAXOS_FRAME", "not a peer of this node");
    const shown = this.#socket instanceof TLSSocket ? this.#socket.getPeerCertificate() : undefined;
    if (tls !== undefined && !tls.vouchesFor(shown, hello.from)) {
      throw new PaxosError("ERR_PAXOS_FRAME", "the certificate does not speak for that name");
    }
    this.#hello = hello;
    const mac = proofOf(secret, "A", hello, { version, nonce: this.#nonce });
    this.#socket.write(encodeFrame(encodeChallenge({ version, nonce: this.#nonce, mac }), kinds.challenge));
  }

  #admit(hello: Hello, proof: Uint8Array): void {
    const version = agreeVersion(hello) as number;
    if (!sameProof(proof, proofOf(this.#settings.secret, "D", hello, { version, nonce: this.#nonce }))) {
      throw new PaxosError("ERR_PAXOS_FRAME", "wrong secret");
    }
    this.#from = hello.from;
    this.#reader.frameBytesMax = this.#settings.frameBytesMax;
    this.#settings.onProved(this, hello.from);
    this.#socket.write(encodeFrame(empty, kinds.welcome));
  }

  /** Says why and ends it; nothing more is read, and who does not read either is not waited for. */
  #refuse(problem: Error): void {
    this.#settings.onRefused(problem);
    this.#socket.removeAllListeners("data");
    if (this.#socket.writableLength > unreadMax) {
      this.#socket.destroy();
      return;
    }
    this.#socket.setTimeout(lingerMs, () => this.#socket.destroy());
    this.#socket.end(encodeFrame(Buffer.from(problem.message, "utf8").subarray(0, 512), kinds.refuse));
    this.#socket.destroySoon();
  }
}
