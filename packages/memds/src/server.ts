import { channel } from "node:diagnostics_channel";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { AntiEntropy, type AntiEntropyStats } from "./anti-entropy.js";
import { MemdsError } from "./core/errors.js";
import { answerFloors } from "./core/floor-answers.js";
import { decodeFrame, encodeFrame, frameType } from "./core/frame.js";
import { type Answer, answerQueries, checkQueries, decodeQueries, encodeAnswers, type Query } from "./core/messages.js";
import type { Snapshot } from "./core/snapshot.js";
import { crc32 } from "./digest.js";
import { type Followed, Follower, type FollowerStats } from "./follower.js";
import { checkedSecret } from "./handshake.js";
import { Holdings, type Load, type Update } from "./holdings.js";
import { checkedAddress, checkedHost, checkedPeers, checkOptions, frameBytesDefault, integer } from "./options.js";
import type { MemdsAddress } from "./peer-connection.js";
import { PeerSession } from "./peer-session.js";
import { Publisher } from "./publisher.js";
import { answerOrRefusal, lookedUp, serveConnection } from "./serve-connection.js";
import { type MemdsServerOptions, serverNames } from "./server-options.js";

const serverErrors = channel("evenkeel:memds:server-error");

type Resolved = Required<Omit<MemdsServerOptions, "follow" | "secret">> & Pick<MemdsServerOptions, "follow" | "secret">;

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
  /** Whether look-ups are answered. */
  readonly isReady: boolean;
  /** Connections that follow this server. */
  readonly followers: number;
  readonly follow: FollowerStats | undefined;
  readonly antiEntropy: AntiEntropyStats | undefined;
}

/**
 * One member of the fleet: holds one version of the tree in memory and answers look-ups from it, over TCP and in process. It is told what to
 * hold: a feeder loads a snapshot, then applies updates whose versions follow one another.
 */
export class MemdsServer {
  readonly #holdings: Holdings;
  readonly #options: Resolved;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #publisher: Publisher;
  readonly #waiting = new Set<() => void>();
  #follower: Follower | undefined;
  #antiEntropy: AntiEntropy | undefined;
  #announcing: NodeJS.Timeout | undefined;
  #isReady = false;
  #port = 0;
  #closing: Promise<void> | undefined;
  #requests = 0;
  #queries = 0;
  #refused = 0;
  #protocolErrors = 0;
  #updates = 0;

  private constructor(options: Resolved) {
    this.#options = options;
    this.#holdings = new Holdings(options);
    this.#publisher = new Publisher({
      bytesMax: options.historyBytesMax,
      updateBytesMax: options.frameBytesMax - 1024,
      held: () => this.#holdings.held,
    });
    this.#server = createServer({ noDelay: true }, (socket) => this.#connected(socket));
    this.#server.maxConnections = options.connectionsMax;
  }

  /**
   * Listens; answers `ERR_MEMDS_NOT_READY` until something is loaded.
   * @throws MemdsError `ERR_MEMDS_ARGUMENT`; rejects with Node's own error where the port cannot be had (`EADDRINUSE`).
   */
  static async listen(options: MemdsServerOptions = {}): Promise<MemdsServer> {
    checkOptions("MemdsServer", options, serverNames);
    const secret = checkedSecret(options.secret);
    const resolved = {
      host: checkedHost(options.host ?? "127.0.0.1", secret),
      port: integer("port", options.port ?? 0, 0, 65_535),
      entriesMax: integer("entriesMax", options.entriesMax ?? 2_000_000, 1, 2 ** 31),
      bytesMax: integer("bytesMax", options.bytesMax ?? 256 * 1024 * 1024, 1, 2 ** 40),
      connectionsMax: integer("connectionsMax", options.connectionsMax ?? 1024, 1, 1_000_000),
      frameBytesMax: integer("frameBytesMax", options.frameBytesMax ?? frameBytesDefault, 131_072, 2 ** 30),
      frameTimeoutMs: integer("frameTimeoutMs", options.frameTimeoutMs ?? 10_000, 1, 2 ** 31 - 1),
      antiEntropyMs: integer("antiEntropyMs", options.antiEntropyMs ?? 1000, 1, 2 ** 31 - 1),
      announceMs: integer("announceMs", options.announceMs ?? 200, 1, 2 ** 31 - 1),
      silenceMs: integer("silenceMs", options.silenceMs ?? 5000, 1, 2 ** 31 - 1),
      retryMs: integer("retryMs", options.retryMs ?? 200, 1, 2 ** 31 - 1),
      historyBytesMax: integer("historyBytesMax", options.historyBytesMax ?? 8 * 1024 * 1024, 0, 2 ** 40),
      peers: checkedPeers(options.peers ?? []),
      follow: options.follow === undefined ? undefined : checkedAddress(options.follow, "follow"),
      secret,
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
    server.#join();
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
   * @throws MemdsError `ERR_MEMDS_ARGUMENT`, `ERR_MEMDS_STALE`, `ERR_MEMDS_FULL`, `ERR_MEMDS_CLOSED`; what was held is then still served.
   */
  load(load: Load): void {
    this.#checkOpen();
    this.#holdings.load(load);
    this.#loaded();
  }

  /** Like `load`, from the bytes of `snapshot()`. @throws MemdsError also `ERR_MEMDS_CORRUPT`, `ERR_MEMDS_UNSUPPORTED` */
  loadSnapshot(bytes: Uint8Array): void {
    this.#checkOpen();
    this.#holdings.loadSnapshot(bytes);
    this.#loaded();
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
    const changes = this.#holdings.apply(update);
    if (changes === undefined) return false;
    this.#updates++;
    this.#publisher.add(update.version, changes);
    return true;
  }

  /**
   * Answers in process what a client would be answered over TCP, all from one version.
   * @throws MemdsError `ERR_MEMDS_NOT_READY`, `ERR_MEMDS_TOO_LARGE`, `ERR_MEMDS_ARGUMENT`, `ERR_MEMDS_CLOSED`
   */
  lookup(queries: readonly Query[]): Answer[] {
    return this.#asked(({ tree, version }, answerBytesMax) => {
      checkQueries(queries);
      const answers = answerQueries(tree, version, queries, answerBytesMax);
      this.#queries += queries.length;
      return answers;
    });
  }

  /**
   * Answers a look-up's frame that a client's `MemdsCarrier` brought here: a frame for its way back, which also says what could not be answered. The secret is not asked for: who
   * carries knows whom it lets in.
   * @throws MemdsError `ERR_MEMDS_PROTOCOL`, `ERR_MEMDS_CORRUPT`, `ERR_MEMDS_UNSUPPORTED` for what is no such frame
   */
  answer(frame: Uint8Array): Uint8Array {
    const asked = decodeFrame(frame, { frameBytesMax: this.#options.frameBytesMax, checksum: crc32 });
    if (asked.type !== frameType.lookup)
      throw new MemdsError("ERR_MEMDS_PROTOCOL", `a frame of type ${asked.type} is no look-up`);
    return encodeFrame(
      answerOrRefusal(asked, (lookup) => lookedUp(lookup, this.#lookup)),
      crc32,
    );
  }

  /** From a look-up's payload to its answer's. */
  readonly #lookup = (payload: Uint8Array): Uint8Array => {
    return this.#asked(({ tree, version }, answerBytesMax) => {
      const floors = answerFloors(tree, version, payload, answerBytesMax);
      this.#queries += floors?.count ?? 0;
      if (floors !== undefined) return floors.bytes;
      const queries = decodeQueries(payload);
      const answers = answerQueries(tree, version, queries, answerBytesMax);
      this.#queries += queries.length;
      return encodeAnswers(version, answers);
    });
  };

  #asked<T>(answer: (held: Snapshot, answerBytesMax: number) => T): T {
    this.#requests++;
    try {
      this.#checkOpen();
      const held = this.#holdings.ready();
      if (!this.#isReady) throw new MemdsError("ERR_MEMDS_NOT_READY", `version ${held.version} has not caught up yet`);
      return answer(held, this.#options.frameBytesMax - 1024);
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
      isReady: this.isReady,
      followers: this.#publisher.followers,
      follow: this.#follower?.stats(),
      antiEntropy: this.#antiEntropy?.stats(),
    };
  }

  /** Whether look-ups are answered: something was loaded or, where this member follows a feed or has peers, it has caught up with them once. */
  get isReady(): boolean {
    return this.#isReady && this.#holdings.held !== undefined;
  }

  /** Resolves once look-ups are answered. Rejects with the signal's reason, or `ERR_MEMDS_CLOSED`. */
  async whenReady(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { signal } = checkOptions("whenReady", options, { signal: 0 });
    while (!this.isReady) {
      this.#checkOpen();
      signal?.throwIfAborted();
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake);
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        this.#waiting.add(wake);
        signal?.addEventListener("abort", wake);
      });
    }
  }

  /** Compares with these members from now on. @throws MemdsError `ERR_MEMDS_ARGUMENT`, `ERR_MEMDS_CLOSED` */
  setPeers(peers: readonly MemdsAddress[]): void {
    this.#checkOpen();
    const checked = checkedPeers(peers);
    if (this.#antiEntropy === undefined) this.#antiEntropy = this.#compareWith(checked);
    else this.#antiEntropy.setPeers(checked);
  }

  /** Closes the port and every connection, and forgets everything. May be called again: each call resolves when the port is free. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#follower?.close();
    this.#antiEntropy?.close();
    clearInterval(this.#announcing);
    for (const wake of [...this.#waiting]) wake();
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
      lookup: this.#lookup,
      protocolError: () => {
        this.#protocolErrors++;
      },
      session: (push) =>
        new PeerSession({
          held: () => this.#holdings.ready(),
          isReady: () => this.isReady,
          publisher: this.#publisher,
          subscriber: { push },
          frameBytesMax: this.#options.frameBytesMax,
        }),
      secret: this.#options.secret,
      frameBytesMax: this.#options.frameBytesMax,
      frameTimeoutMs: this.#options.frameTimeoutMs,
    });
  }

  #join(): void {
    const { follow, peers, announceMs, retryMs } = this.#options;
    this.#announcing = setInterval(() => this.#publisher.announce(), announceMs).unref();
    if (follow !== undefined) {
      this.#follower = new Follower({ address: follow, to: this.#followed, connect: this.#connectAs(), retryMs });
    }
    if (peers.length > 0) this.#antiEntropy = this.#compareWith(peers);
  }

  #compareWith(peers: readonly MemdsAddress[]): AntiEntropy {
    return new AntiEntropy({
      peers,
      to: {
        ...this.#followed,
        // While the feed can be heard it says what is the latest; without it, a peer that had caught up is as good as there is.
        caughtUp: () => {
          if (this.#follower?.stats().isConnected !== true) this.#caughtUp();
        },
      },
      connect: this.#connectAs(),
      everyMs: this.#options.antiEntropyMs,
      askFeed: () => {
        this.#follower?.compare();
        return this.#follower?.stats().isConnected === true;
      },
    });
  }

  #connectAs(): { secret: string | undefined; frameBytesMax: number; silenceMs: number } {
    const { secret, frameBytesMax, silenceMs } = this.#options;
    return { secret, frameBytesMax, silenceMs };
  }

  readonly #followed: Followed = {
    held: () => this.#holdings.held,
    apply: (version, changes) => this.apply({ version, changes }),
    replace: (snapshot) => {
      this.#checkOpen();
      this.#holdings.replace(snapshot);
      this.#updates++;
      this.#publisher.clear();
    },
    caughtUp: () => this.#caughtUp(),
    checkRoom: (entries, bytes) => this.#holdings.checkSize(entries, bytes),
  };

  /** The app's own load is the truth, unless somebody else's is followed. */
  #loaded(): void {
    this.#updates++;
    this.#publisher.clear();
    if (this.#follower === undefined) this.#caughtUp();
  }

  #caughtUp(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    for (const wake of [...this.#waiting]) wake();
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new MemdsError("ERR_MEMDS_CLOSED", "the server is closed");
  }
}
