import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import type { Clock } from "@evenkeel/token-bucket";
import { clockFrom, steady } from "../clock.js";
import { AdmissionError, argumentError, checkName, checkNumber, checkOptions } from "../core/errors.js";
import { type Ring, ringFrom } from "../core/ring.js";
import { serverError } from "../events.js";
import { OwnedBooks } from "./owned-books.js";
import { REQUEST_BYTES_MAX, type SettleAnswer, settleRequestFrom, WIRE_VERSION } from "./wire.js";

export interface CoordinatorServerOptions {
  /** Where to listen: beyond loopback only with a `token`. Default 127.0.0.1 and a free port. */
  readonly host?: string;
  /** 0 to 65,535; 0, the default, is a free one, see `url`. */
  readonly port?: number;
  /** How members reach this server, as it stands in the ring. Needed with `ring`; by default what it listens on. */
  readonly self?: string | undefined;
  /**
   * Where the ring is looked up, every `ringEveryMs`: one place for all servers. While it cannot be reached for `ringTtlMs` this
   * server grants nothing, because its limits may have become somebody else's. Default: this server alone.
   */
  readonly ring?: (signal: AbortSignal) => Promise<unknown>;
  /** Default 1,000. */
  readonly ringEveryMs?: number;
  /**
   * The longest time for which any server may still work by a ring that was replaced: at most `leaseMs`, or members that left
   * for the new owner would be forgotten by the old one while it still grants. Default 5,000 or `leaseMs`; 0 without `ring`.
   */
  readonly ringTtlMs?: number;
  /** How long a share may be spent after the settlement that brought it. Default 10,000. */
  readonly leaseMs?: number;
  /** Whether members may hold leases of a server before this one. Default true. */
  readonly learnAtStart?: boolean;
  /** Default 0.05. */
  readonly learningShare?: number;
  /** Limits with books; settlements for more are not answered. Default 1,000,000. */
  readonly limitsMax?: number;
  /** Leases for one limit; further members are not answered. Default 10,000. */
  readonly membersMax?: number;
  /** A secret that members send too. */
  readonly token?: string | undefined;
  /** Milliseconds of a monotonic clock. Default `performance.now`. */
  readonly now?: Clock;
}

const names: Record<keyof CoordinatorServerOptions, 0> = {
  host: 0,
  port: 0,
  self: 0,
  ring: 0,
  ringEveryMs: 0,
  ringTtlMs: 0,
  leaseMs: 0,
  learnAtStart: 0,
  learningShare: 0,
  limitsMax: 0,
  membersMax: 0,
  token: 0,
  now: 0,
};

export interface CoordinatorServerStats {
  readonly url: string;
  readonly limits: number;
  readonly settlements: number;
  /** Settlements for limits that are another server's. */
  readonly elsewhere: number;
  readonly ring: Ring;
  /** False while the ring could not be looked up for `ringTtlMs`: nothing is granted then. */
  readonly serving: boolean;
}

/** Stateless but for memory: it may be killed and started at any time, and learns what is out from its members. */
export class CoordinatorServer {
  readonly #server: Server;
  readonly #books: OwnedBooks;
  readonly #now: Clock;
  readonly #token: Buffer | undefined;
  readonly #lookUp: CoordinatorServerOptions["ring"];
  readonly #ringTtlMs: number;
  readonly url: string;
  readonly #stop = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #ringSeenMs: number;
  #settlements = 0;
  #elsewhere = 0;

  private constructor(server: Server, url: string, ring: Ring, ringSeenMs: number, settings: Settings) {
    this.#server = server;
    this.url = url;
    this.#now = settings.now;
    this.#lookUp = settings.ring;
    this.#ringTtlMs = settings.ringTtlMs;
    this.#token = settings.token === undefined ? undefined : Buffer.from(`Bearer ${settings.token}`);
    this.#ringSeenMs = ringSeenMs;
    this.#books = new OwnedBooks(
      ring,
      { self: url, ringTtlMs: this.#ringTtlMs, ...settings.books },
      settings.learnAtStart,
      this.#now(),
    );
    server.on("request", (request, response) => void this.#answer(request, response));
    if (this.#lookUp === undefined) return;
    this.#timer = setInterval(() => void this.#refreshRing(), settings.ringEveryMs);
    this.#timer.unref();
  }

  /** Resolves when it listens. Rejects when it cannot, or when the ring cannot be looked up. */
  static async listen(options: CoordinatorServerOptions = {}): Promise<CoordinatorServer> {
    // All of it before it listens: nobody could close what a caller was never given.
    const settings = checked(options);
    const { host, port, self, ring, ringTtlMs, now } = settings;
    const seenMs = now();
    const found = ring === undefined ? undefined : ringFrom(await lookedUp(ring, ringTtlMs));
    if (ring !== undefined && found === undefined) throw argumentError("ring()", "a ring of epoch and nodes", found);
    const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => {
        server.off("error", reject);
        // Such as running out of file descriptors while accepting: who is connected is still served.
        server.on("error", (error) => serverError.publish({ error }));
        resolve();
      });
    });
    const { port: bound } = server.address() as AddressInfo;
    const url = (self ?? `http://${host}:${bound}`).replace(/\/+$/, "");
    return new CoordinatorServer(server, url, found ?? { epoch: 0, nodes: [url] }, seenMs, settings);
  }

  stats(): CoordinatorServerStats {
    return {
      url: this.url,
      limits: this.#books.limits,
      settlements: this.#settlements,
      elsewhere: this.#elsewhere,
      ring: this.#books.ring,
      serving: this.#serving(),
    };
  }

  /** Stops at once; members go on with their leases. May be called twice: each call resolves when it has stopped. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#looking;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #serving(): boolean {
    return this.#lookUp === undefined || this.#now() < this.#ringSeenMs + this.#ringTtlMs;
  }

  #refreshRing(): Promise<void> {
    this.#looking ??= this.#lookUpRing().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookUpRing(): Promise<void> {
    // The ring may have been replaced while its answer was on the way: it counts as seen when it was asked for.
    const askedMs = this.#now();
    try {
      const ring = this.#lookUp && ringFrom(await lookedUp(this.#lookUp, this.#ringTtlMs, this.#stop.signal));
      if (ring === undefined || ring.epoch < this.#books.ring.epoch) return;
      this.#books.adopt(ring, this.#now());
      this.#ringSeenMs = askedMs;
    } catch {
      // Seen in `serving` when it lasts.
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const { status, body } = await this.#respond(request);
      const headers = { "Content-Type": "application/json", "Cache-Control": "no-store" };
      response.writeHead(status, status === 413 ? { ...headers, Connection: "close" } : headers);
      response.end(JSON.stringify(body));
    } catch {
      // The member left.
      request.destroy();
    }
  }

  async #respond(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    if (request.url === "/health") return { status: this.#serving() ? 200 : 503, body: this.stats() };
    if (!this.#allowed(request)) return { status: 401, body: { error: "the token is missing or wrong" } };
    if (request.url === "/v1/ring" && request.method === "GET") return { status: 200, body: this.#books.ring };
    if (request.url !== "/v1/settle" || request.method !== "POST") return { status: 404, body: { error: "not found" } };
    const text = await textOf(request);
    if (text === undefined) return { status: 413, body: { error: `more than ${REQUEST_BYTES_MAX} bytes` } };
    const asked = settleRequestFrom(text);
    if (asked === undefined) return { status: 400, body: { error: `not a settlement of version ${WIRE_VERSION}` } };
    // The member knows a newer ring: this server has something to look up.
    if (asked.epoch > this.#books.ring.epoch) await this.#refreshRing();
    if (!this.#serving()) return { status: 503, body: { error: "the ring cannot be looked up" } };
    const elsewhere = asked.settlements.map(({ limit }) => limit).filter((limit) => !this.#books.owns(limit));
    this.#settlements += asked.settlements.length;
    this.#elsewhere += elsewhere.length;
    const { ring } = this.#books;
    const body: SettleAnswer = {
      version: WIRE_VERSION,
      grants: this.#books.settle(asked.settlements, this.#now()),
      elsewhere,
      ...(asked.epoch < ring.epoch || (asked.epoch === 0 && elsewhere.length > 0) ? { ring } : {}),
    };
    return { status: 200, body };
  }

  #allowed(request: IncomingMessage): boolean {
    if (this.#token === undefined) return true;
    const given = Buffer.from(request.headers.authorization ?? "");
    return given.length === this.#token.length && timingSafeEqual(given, this.#token);
  }
}

type Settings = ReturnType<typeof checked>;

/** @throws AdmissionError ERR_ADMISSION_ARGUMENT */
function checked(options: CoordinatorServerOptions) {
  checkOptions("CoordinatorServer", options, names);
  const { host = "127.0.0.1", port = 0, self, ring, token } = options;
  if (ring !== undefined && typeof ring !== "function") throw argumentError("ring", "a function", ring);
  if (ring !== undefined || self !== undefined) checkName("self", self);
  if (token !== undefined) checkName("token", token);
  const leaseMs = checkNumber("leaseMs", options.leaseMs ?? 10_000, 10, 3_600_000);
  return {
    host: checkHost(host, token),
    port: checkNumber("port", port, 0, 65_535),
    self,
    ring,
    token,
    ringEveryMs: checkNumber("ringEveryMs", options.ringEveryMs ?? 1000, 10, 3_600_000),
    ringTtlMs:
      ring === undefined ? 0 : checkNumber("ringTtlMs", options.ringTtlMs ?? Math.min(5000, leaseMs), 100, leaseMs),
    learnAtStart: options.learnAtStart ?? true,
    now: steady(clockFrom(options.now)),
    books: {
      leaseMs,
      learningShare: checkNumber("learningShare", options.learningShare ?? 0.05, 0, 1),
      limitsMax: checkNumber("limitsMax", options.limitsMax ?? 1_000_000, 1, 2 ** 24),
      membersMax: checkNumber("membersMax", options.membersMax ?? 10_000, 1, 1_000_000),
    },
  };
}

/** @throws AdmissionError ERR_ADMISSION_ARGUMENT */
function checkHost(host: string, token: string | undefined): string {
  checkName("host", host);
  // Only what cannot be anything else: a name may lead anywhere.
  const isLoopback = host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
  if (token !== undefined || isLoopback) return host;
  throw new AdmissionError("ERR_ADMISSION_ARGUMENT", `host ${host} can be reached from elsewhere: give a token`);
}

/** What `ring` says, in time: a place that never answers must hold up neither the start, nor the next look-up, nor the end. */
async function lookedUp(
  ring: NonNullable<CoordinatorServerOptions["ring"]>,
  timeoutMs: number,
  stop = new AbortController().signal,
): Promise<unknown> {
  const late = new AbortController();
  const error = new AdmissionError("ERR_ADMISSION_TIMEOUT", `the ring could not be looked up in ${timeoutMs} ms`);
  const timer = setTimeout(() => late.abort(error), timeoutMs);
  const signal = AbortSignal.any([stop, late.signal]);
  try {
    signal.throwIfAborted();
    return await new Promise<unknown>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
      Promise.resolve(ring(signal)).then(resolve, reject);
    });
  } finally {
    clearTimeout(timer);
  }
}

/** The whole body, or `undefined` as soon as it is more than a message may be; the rest is then read and dropped. */
function textOf(request: IncomingMessage): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytes <= REQUEST_BYTES_MAX) chunks.push(chunk);
      else {
        chunks.length = 0;
        resolve(undefined);
      }
    });
    request.once("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    request.once("error", reject);
    request.once("close", () => reject(new Error("the member left")));
  });
}
