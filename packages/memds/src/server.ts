import { channel } from "node:diagnostics_channel";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Entry } from "./core/block.js";
import { MemdsError } from "./core/errors.js";
import { type Answer, answerQueries, checkQueries, type Query } from "./core/messages.js";
import { Holdings, type Update } from "./holdings.js";
import { frameBytesDefault, integer } from "./options.js";
import { serveConnection } from "./serve-connection.js";

const serverErrors = channel("evenkeel:memds:server-error");

export interface MemdsServerOptions {
  /** Default 127.0.0.1: there is no authentication, so it must not face a network that is not trusted. */
  readonly host?: string;
  /** Default 0: a free port, see `.port`. */
  readonly port?: number;
  /** Entries held; a load or update past it is refused with `ERR_MEMDS_FULL`, and what was held is still served. Default 2,000,000. */
  readonly entriesMax?: number;
  /** Bytes of keys and values held, before compression; past it as past `entriesMax`. Default 256 MiB. */
  readonly bytesMax?: number;
  /** Connections at one time; the next one is closed at once. Default 1,024. */
  readonly connectionsMax?: number;
  /** The largest frame sent or taken. Default 8 MiB. */
  readonly frameBytesMax?: number;
  /** How long the rest of a frame may take to come; then the connection is closed. Default 10,000. */
  readonly frameTimeoutMs?: number;
}

export interface MemdsServerStats {
  /** Undefined until the first load. */
  readonly version: number | undefined;
  readonly entries: number;
  /** Of keys and values, before compression. */
  readonly bytes: number;
  readonly connections: number;
  readonly requests: number;
  readonly queries: number;
  /** Requests answered with an error, not ready included. */
  readonly refused: number;
  /** Connections closed for breaking the protocol: garbage, a damaged or endless frame. */
  readonly protocolErrors: number;
  readonly updates: number;
}

/**
 * One member of the fleet: holds one version of the tree in memory and answers look-ups from it, over TCP and in process. It is told what to
 * hold: a feeder loads a snapshot, then applies updates whose versions follow one another.
 */
export class MemdsServer {
  readonly #holdings: Holdings;
  readonly #options: Required<MemdsServerOptions>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;
  #closed = false;
  #requests = 0;
  #queries = 0;
  #refused = 0;
  #protocolErrors = 0;
  #updates = 0;

  private constructor(options: Required<MemdsServerOptions>) {
    this.#options = options;
    this.#holdings = new Holdings(options);
    this.#server = createServer({ noDelay: true }, (socket) => this.#connected(socket));
    this.#server.maxConnections = options.connectionsMax;
  }

  /**
   * Listens; answers `ERR_MEMDS_NOT_READY` until something is loaded.
   * @throws MemdsError `ERR_MEMDS_ARGUMENT`; rejects with Node's own error where the port cannot be had (`EADDRINUSE`).
   */
  static async listen(options: MemdsServerOptions = {}): Promise<MemdsServer> {
    const resolved = {
      host: options.host ?? "127.0.0.1",
      port: integer("port", options.port ?? 0, 0, 65_535),
      entriesMax: integer("entriesMax", options.entriesMax ?? 2_000_000, 1, 2 ** 31),
      bytesMax: integer("bytesMax", options.bytesMax ?? 256 * 1024 * 1024, 1, 2 ** 40),
      connectionsMax: integer("connectionsMax", options.connectionsMax ?? 1024, 1, 1_000_000),
      frameBytesMax: integer("frameBytesMax", options.frameBytesMax ?? frameBytesDefault, 131_072, 2 ** 30),
      frameTimeoutMs: integer("frameTimeoutMs", options.frameTimeoutMs ?? 10_000, 1, 2 ** 31 - 1),
    };
    const server = new MemdsServer(resolved);
    await new Promise<void>((resolve, reject) => {
      server.#server.once("error", reject);
      server.#server.listen({ host: resolved.host, port: resolved.port }, () => {
        server.#server.off("error", reject);
        // Such as running out of file descriptors while accepting: what is connected is still served.
        server.#server.on("error", (error) => serverErrors.publish({ error }));
        server.#port = (server.#server.address() as AddressInfo).port;
        resolve();
      });
    });
    return server;
  }

  get host(): string {
    return this.#options.host;
  }

  /** The port that was taken; the same after `close()`. */
  get port(): number {
    return this.#port;
  }

  /** The version held; undefined until the first load. */
  get version(): number | undefined {
    return this.#holdings.held?.version;
  }

  /** SHA-256 over the Merkle tree; members that hold the same entries have the same. Undefined until the first load. */
  get rootHash(): Uint8Array | undefined {
    return this.#holdings.held?.tree.rootHash;
  }

  /**
   * Replaces everything by a snapshot, all at once.
   * @param options `version` an integer from 0 to 2^53 - 1, not below the one held; `entries` in any order, each key once.
   * @throws MemdsError `ERR_MEMDS_ARGUMENT`, `ERR_MEMDS_STALE`, `ERR_MEMDS_FULL`, `ERR_MEMDS_CLOSED`; what was held is then still served.
   */
  load(options: { readonly version: number; readonly entries: Iterable<Entry> }): void {
    this.#checkOpen();
    this.#holdings.load(options.version, options.entries);
    this.#updates++;
  }

  /** Like `load`, from the bytes of `snapshot()`. @throws MemdsError also `ERR_MEMDS_CORRUPT`, `ERR_MEMDS_UNSUPPORTED` */
  loadSnapshot(bytes: Uint8Array): void {
    this.#checkOpen();
    this.#holdings.loadSnapshot(bytes);
    this.#updates++;
  }

  /** What is held, as bytes with version and checksum. @throws MemdsError `ERR_MEMDS_NOT_READY` */
  snapshot(): Uint8Array {
    this.#checkOpen();
    return this.#holdings.snapshot();
  }

  /**
   * Moves on by one version: all changes at once, or none.
   * @returns false if this update is what brought the version held: a repetition.
   * @throws MemdsError `ERR_MEMDS_GAP`, `ERR_MEMDS_STALE`, `ERR_MEMDS_DIVERGED`, `ERR_MEMDS_NOT_READY` (the feeder then loads a snapshot),
   *   `ERR_MEMDS_RANGE` (a gap or an overlap), `ERR_MEMDS_FULL`, `ERR_MEMDS_ARGUMENT`, `ERR_MEMDS_CLOSED`; what was held is still served.
   */
  apply(update: Update): boolean {
    this.#checkOpen();
    const moved = this.#holdings.apply(update);
    if (moved) this.#updates++;
    return moved;
  }

  /**
   * Answers in process what a client would be answered over TCP, all from one version.
   * @throws MemdsError `ERR_MEMDS_NOT_READY`, `ERR_MEMDS_TOO_LARGE`, `ERR_MEMDS_ARGUMENT`, `ERR_MEMDS_CLOSED`
   */
  lookup(queries: readonly Query[]): Answer[] {
    this.#requests++;
    try {
      this.#checkOpen();
      checkQueries(queries);
      const { tree, version } = this.#holdings.ready();
      const answers = answerQueries(tree, version, queries, this.#options.frameBytesMax - 1024);
      this.#queries += queries.length;
      return answers;
    } catch (error) {
      this.#refused++;
      throw error;
    }
  }

  stats(): MemdsServerStats {
    return {
      version: this.version,
      entries: this.#holdings.held?.tree.size ?? 0,
      bytes: this.#holdings.held?.tree.bytes ?? 0,
      connections: this.#sockets.size,
      requests: this.#requests,
      queries: this.#queries,
      refused: this.#refused,
      protocolErrors: this.#protocolErrors,
      updates: this.#updates,
    };
  }

  /** Closes the port and every connection, and forgets everything. May be called again. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#holdings.forget();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #connected(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    serveConnection(socket, {
      lookup: (queries) => {
        const answers = this.lookup(queries);
        return { version: this.#holdings.ready().version, answers };
      },
      protocolError: () => {
        this.#protocolErrors++;
      },
      frameBytesMax: this.#options.frameBytesMax,
      frameTimeoutMs: this.#options.frameTimeoutMs,
    });
  }

  #checkOpen(): void {
    if (this.#closed) throw new MemdsError("ERR_MEMDS_CLOSED", "the server is closed");
  }
}
