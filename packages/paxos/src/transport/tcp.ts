import { channel } from "node:diagnostics_channel";
import { createServer, isIP, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { checkOptions } from "../core/check-options.js";
import { badArgument, checkInteger, PaxosError } from "../core/errors.js";
import { Incoming, type IncomingSettings } from "./incoming.js";
import { type Address, Outgoing, type OutgoingSettings } from "./outgoing.js";
import { type TlsSettings, tlsContext } from "./tls.js";
import type { Transport, TransportStats } from "./transport.js";

export interface TcpTransportOptions {
  /** This node's name, 1 to 128 bytes of UTF-8; never used again for another node. */
  readonly nodeId: string;
  /** Where to listen; loopback unless told. Anything else needs `tls` or a `secret`. */
  readonly host?: string;
  /** 0, the default, takes a free one; see `port` of the result. */
  readonly port?: number;
  /** Everybody we talk to; nobody else is listened to. `setPeer` adds more. */
  readonly peers?: Readonly<Record<string, Address>>;
  /**
   * Largest message, in bytes; 16 MiB unless told. A connection that announces more is ended. For groups: above their `pipelineBytesMax`,
   * all of which one message must be able to carry when a new leader takes over.
   */
  readonly frameBytesMax?: number;
  /** What may wait for one peer, in bytes; 32 MiB unless told. Beyond it the oldest messages are dropped. */
  readonly queueBytesMax?: number;
  /** At least 16 bytes that all nodes share, proved by each side of a connection without sending it. Does not encrypt. */
  readonly secret?: Uint8Array | string;
  /**
   * Encrypts, and lets in only who shows a certificate of the given authority in the name of a peer; each side of each connection does so. TLS 1.3. With a
   * `secret` as well, both are asked for.
   */
  readonly tls?: TlsSettings;
  /** A connection that has not proved who it is for so long is ended, 10 to 600,000. 3,000 unless told. */
  readonly handshakeTimeoutMs?: number;
  /** A peer that answers no ping for so long is dialled anew. 5,000 unless told. */
  readonly stallTimeoutMs?: number;
  /** First pause before dialling again; doubles up to `backoffMaxMs`, jittered. 20 and 1,000 unless told. */
  readonly backoffMinMs?: number;
  /** See `backoffMinMs`; not less than that. */
  readonly backoffMaxMs?: number;
  /** Connections that have not yet proved who they are; further ones are ended at once. 64 unless told. */
  readonly unprovedMax?: number;
}

const optionNames: Record<keyof TcpTransportOptions, 0> = {
  nodeId: 0,
  host: 0,
  port: 0,
  peers: 0,
  frameBytesMax: 0,
  queueBytesMax: 0,
  secret: 0,
  tls: 0,
  handshakeTimeoutMs: 0,
  stallTimeoutMs: 0,
  backoffMinMs: 0,
  backoffMaxMs: 0,
  unprovedMax: 0,
};

export interface TcpTransport extends Transport, AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** Adds a peer, or tells its new address. */
  setPeer(nodeId: string, address: Address): void;
  /** Ends what connects us with this peer, and no longer listens to it. */
  removePeer(nodeId: string): void;
}

const problems = channel("evenkeel:paxos:connection");

/**
 * Listens, and resolves when it does; rejects with the system's own error (`EADDRINUSE`). Each pair of nodes uses one connection a direction,
 * dialled by the side that has something to send; see `handshake.ts` for how it begins.
 */
export async function tcpTransport(options: TcpTransportOptions): Promise<TcpTransport> {
  const settings = checked(options);
  const { tls, handshakeTimeoutMs } = settings;
  const server =
    tls === undefined
      ? createServer({ noDelay: true })
      : createTlsServer({
          ...tls.secure,
          noDelay: true,
          requestCert: true,
          rejectUnauthorized: true,
          handshakeTimeout: handshakeTimeoutMs,
        });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(settings.port, settings.host, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
  return new Tcp(server, settings);
}

type Settings = ReturnType<typeof checked>;

class Tcp implements TcpTransport {
  readonly nodeId: string;
  readonly host: string;
  readonly port: number;
  readonly #server: Server;
  /** Connections whose TLS handshake is not done, by the other end's address. */
  readonly #securing = new Map<string, { readonly raw: Socket; readonly openedAtMs: number }>();
  readonly #settings: Settings;
  readonly #peers = new Map<string, Outgoing>();
  readonly #incoming = new Set<Incoming>();
  readonly #outgoingSettings: OutgoingSettings;
  readonly #incomingSettings: IncomingSettings;
  readonly #timer: NodeJS.Timeout;
  #handler: ((from: string, bytes: Uint8Array) => void) | undefined;
  #unproved = 0;
  #closing: Promise<void> | undefined;
  #messagesReceived = 0;
  #bytesReceived = 0;
  #dropped = 0;
  #refused = 0;
  #sentBefore = { messages: 0, bytes: 0 };

  constructor(server: Server, settings: Settings) {
    this.#server = server;
    this.#settings = settings;
    this.nodeId = settings.nodeId;
    this.host = settings.host;
    const address = server.address();
    this.port = typeof address === "object" && address ? address.port : settings.port;
    const now = () => performance.now();
    this.#outgoingSettings = {
      ...settings,
      now,
      random: Math.random,
      onProblem: (peer, problem) => {
        if (problems.hasSubscribers) problems.publish({ nodeId: this.nodeId, peer, direction: "out", problem });
      },
    };
    this.#incomingSettings = {
      ...settings,
      knows: (nodeId) => this.#peers.has(nodeId),
      onProved: (proved, from) => {
        this.#unproved--;
        // One connection a direction: an older one is from before a restart or a broken path, and nothing on it is worth waiting for.
        for (const other of this.#incoming) if (other !== proved && other.from === from) other.destroy();
      },
      onMessage: (from, payload) => {
        this.#messagesReceived++;
        if (this.#closing || !this.#handler) this.#dropped++;
        else this.#handler(from, payload);
      },
      onRefused: (problem) => {
        this.#refused++;
        if (problems.hasSubscribers) problems.publish({ nodeId: this.nodeId, direction: "in", problem });
      },
      onClosed: (incoming) => this.#forget(incoming),
    };
    server.on("connection", (socket) => this.#accept(socket));
    server.on("secureConnection", (socket) => this.#secured(socket));
    server.on("tlsClientError", (problem) => this.#incomingSettings.onRefused(problem));
    server.on("error", (problem) => this.#incomingSettings.onRefused(problem));
    this.#timer = setInterval(
      () => this.#tick(),
      Math.max(10, Math.min(settings.stallTimeoutMs, settings.handshakeTimeoutMs) / 4),
    );
    this.#timer.unref();
    for (const [nodeId, peer] of Object.entries(settings.peers)) this.setPeer(nodeId, peer);
  }

  setPeer(nodeId: string, address: Address): void {
    checkPeer(nodeId, address);
    if (this.#closing || nodeId === this.nodeId) return;
    const known = this.#peers.get(nodeId);
    if (known) known.moveTo(address);
    else this.#peers.set(nodeId, new Outgoing(nodeId, address, this.#outgoingSettings));
  }

  removePeer(nodeId: string): void {
    const peer = this.#peers.get(nodeId);
    if (!peer) return;
    this.#peers.delete(nodeId);
    peer.close();
    this.#dropped += peer.queue.dropped;
    this.#sentBefore.messages += peer.messagesSent;
    this.#sentBefore.bytes += peer.bytesSent;
    for (const incoming of this.#incoming) if (incoming.from === nodeId) incoming.destroy();
  }

  send(to: string, bytes: Uint8Array): void {
    const peer = this.#peers.get(to);
    if (!peer || this.#closing || bytes.length > this.#settings.frameBytesMax) this.#dropped++;
    else peer.send(bytes);
  }

  onMessage(handler: (from: string, bytes: Uint8Array) => void): void {
    this.#handler = handler;
  }

  stats(): TransportStats {
    let connected = 0;
    let { messages: messagesSent, bytes: bytesSent } = this.#sentBefore;
    let messagesDropped = this.#dropped;
    let bytesQueued = 0;
    for (const peer of this.#peers.values()) {
      if (peer.connected) connected++;
      messagesSent += peer.messagesSent;
      bytesSent += peer.bytesSent;
      messagesDropped += peer.queue.dropped;
      bytesQueued += peer.queue.bytes;
    }
    let bytesReceived = this.#bytesReceived;
    for (const incoming of this.#incoming) bytesReceived += incoming.bytesReceived;
    return {
      connected,
      messagesSent,
      messagesReceived: this.#messagesReceived,
      bytesSent,
      bytesReceived,
      messagesDropped,
      connectionsRefused: this.#refused,
      bytesQueued,
    };
  }

  close(): Promise<void> {
    this.#closing ??= new Promise<void>((resolve) => {
      clearInterval(this.#timer);
      for (const peer of this.#peers.values()) peer.close();
      for (const incoming of this.#incoming) incoming.destroy();
      for (const { raw } of this.#securing.values()) raw.destroy();
      this.#server.close(() => resolve());
    });
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(socket: Socket): void {
    if (this.#closing || this.#unproved >= this.#settings.unprovedMax) {
      this.#refused++;
      socket.destroy();
      return;
    }
    this.#unproved++;
    if (this.#settings.tls === undefined) this.#listenTo(socket, performance.now());
    else {
      const end = endOf(socket);
      this.#securing.set(end, { raw: socket, openedAtMs: performance.now() });
      socket.once("close", () => {
        if (this.#securing.get(end)?.raw !== socket) return;
        this.#securing.delete(end);
        this.#unproved--;
      });
    }
  }

  /** The TLS server has checked who vouches for the other end; in whose name it may speak is checked at its hello. */
  #secured(socket: Socket): void {
    const end = endOf(socket);
    const waiting = this.#securing.get(end);
    if (waiting === undefined) {
      socket.destroy();
      return;
    }
    this.#securing.delete(end);
    this.#listenTo(socket, waiting.openedAtMs);
  }

  #listenTo(socket: Socket, openedAtMs: number): void {
    this.#incoming.add(new Incoming(socket, openedAtMs, this.#incomingSettings));
  }

  #forget(incoming: Incoming): void {
    if (!this.#incoming.delete(incoming)) return;
    if (incoming.from === undefined) this.#unproved--;
    this.#bytesReceived += incoming.bytesReceived;
  }

  #tick(): void {
    for (const peer of this.#peers.values()) peer.tick();
    const oldest = performance.now() - this.#settings.handshakeTimeoutMs;
    for (const incoming of this.#incoming) {
      if (incoming.from === undefined && incoming.openedAtMs < oldest) incoming.destroy();
    }
    for (const { raw, openedAtMs } of this.#securing.values()) if (openedAtMs < oldest) raw.destroy();
  }
}

function checked(options: TcpTransportOptions) {
  options = checkOptions("tcpTransport", options, optionNames);
  const nodeId = checkNodeId("nodeId", options.nodeId);
  const secret = typeof options.secret === "string" ? Buffer.from(options.secret, "utf8") : options.secret;
  if (secret !== undefined && !(secret instanceof Uint8Array)) throw badArgument("secret", "a text or bytes", secret);
  if (secret && secret.length < 16) throw badArgument("secret", "at least 16 bytes long", `${secret.length} bytes`);
  const host = options.host ?? "127.0.0.1";
  const tls = options.tls === undefined ? undefined : tlsContext(options.tls);
  if (!secret && !tls && !isLoopback(host)) {
    throw new PaxosError(
      "ERR_PAXOS_ARGUMENT",
      `host ${host} is reachable from elsewhere: give tls or a secret, or listen on loopback`,
    );
  }
  const peers = options.peers ?? {};
  if (typeof peers !== "object" || Array.isArray(peers))
    throw badArgument("peers", "an address for each node id", peers);
  // Before it listens: nobody could close what a caller was never given.
  for (const [peer, address] of Object.entries(peers)) checkPeer(peer, address);
  const backoffMinMs = checkInteger("backoffMinMs", options.backoffMinMs ?? 20, 1, 60_000);
  return {
    nodeId,
    host,
    port: checkInteger("port", options.port ?? 0, 0, 65_535),
    peers,
    secret,
    tls,
    frameBytesMax: checkInteger("frameBytesMax", options.frameBytesMax ?? 16 * 1024 * 1024, 1024, 0x7fff_ffff),
    queueBytesMax: checkInteger("queueBytesMax", options.queueBytesMax ?? 32 * 1024 * 1024, 1024, 0x7fff_ffff),
    handshakeTimeoutMs: checkInteger("handshakeTimeoutMs", options.handshakeTimeoutMs ?? 3000, 10, 600_000),
    stallTimeoutMs: checkInteger("stallTimeoutMs", options.stallTimeoutMs ?? 5000, 10, 600_000),
    backoffMinMs,
    backoffMaxMs: checkInteger("backoffMaxMs", options.backoffMaxMs ?? 1000, backoffMinMs, 600_000),
    unprovedMax: checkInteger("unprovedMax", options.unprovedMax ?? 64, 1, 100_000),
  };
}

function endOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

function checkPeer(nodeId: string, address: Address): void {
  checkNodeId("peer", nodeId);
  if (typeof address?.host !== "string") throw badArgument(`host of ${nodeId}`, "a string", address?.host);
  checkInteger(`port of ${nodeId}`, address.port, 1, 65_535);
}

function checkNodeId(name: string, value: string): string {
  const bytes = typeof value === "string" ? Buffer.byteLength(value) : 0;
  if (bytes < 1 || bytes > 128) throw badArgument(name, "a name of 1 to 128 bytes", value);
  return value;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
