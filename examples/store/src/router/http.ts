/**
 * The router's front door: DynamoDB's JSON protocol 1.0 over node:http. Whatever a client sends, slowly or never, it holds a bounded amount
 * of memory for a bounded time.
 */
import { channel } from "node:diagnostics_channel";
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { crc32 } from "node:zlib";
import { ApiError } from "../api/errors.js";
import { StoreError } from "../storage-node/errors.js";
import { AnswerAccounts } from "./answer-accounts.js";
import { AnswerRoom, type Body, bytesOf } from "./answer-room.js";
import { inOriginForm } from "./authentication.js";
import type { Backend } from "./backend.js";
import { connectionsWithin } from "./descriptors.js";
import { type Answer, type DispatchContext, dispatch } from "./dispatch.js";
import { type Coding, codingOf, decoded, encoded } from "./encodings.js";
import { type PlainConnection, PlainConnections } from "./plain-connections.js";
import type { PlainRequest } from "./plain-request.js";
import { BodyBudget, readBody } from "./read-body.js";
import { requestIds } from "./request-id.js";
import { type Credentials, Signatures } from "./signatures.js";

/** Published with `{ error }` when no connection could be taken, such as for want of file descriptors; those that there are go on. */
const serverErrors = channel("evenkeel:store:server-error");

export interface RouterServerOptions {
  /** Bytes of one request's body, and what it may become where it came compressed; default 16 MiB, the service's limit. More is answered with 413. */
  readonly bodyBytesMax?: number;
  /** Bytes of all bodies that are arriving; default 256 MiB. Past it a request is answered with ServiceUnavailable (503). */
  readonly bodiesBytesMax?: number;
  /** Bytes of all answers that their clients have not taken yet; default 256 MiB. Past it a request is answered as above. */
  readonly answersBytesMax?: number;
  /** Requests under way; default 4096. Past it a request is answered with ServiceUnavailable (503). */
  readonly requestsMax?: number;
  /** Connections; default 10,000, and fewer where the process may not have so many files open. Past it a new one is closed at once. */
  readonly connectionsMax?: number;
  /** Time for a request to arrive whole, headers and body; default 30,000 ms. A slower client gets 408 and is cut off. */
  readonly requestTimeoutMs?: number;
  /** How long a connection without a request is kept; default 60,000 ms. */
  readonly keepAliveMs?: number;
  /** How long nothing may move on a connection while a request is under way, such as an answer nobody reads; default 60,000 ms. */
  readonly stallTimeoutMs?: number;
  /** How long `close()` waits for requests under way; default 5,000 ms. */
  readonly closeGraceMs?: number;
  /** Wall-clock time; default `Date.now`. */
  readonly nowMs?: () => number;
  /** Whose signatures are good; none (the default): everybody's, on loopback. */
  readonly credentials?: readonly Credentials[];
}

export interface RouterServerStats {
  readonly connections: number;
  readonly requests: number;
  readonly underway: number;
  /** Answers with a status from 400 to 499. */
  readonly clientErrors: number;
  /** Answers with a status from 500 on, refusals included. */
  readonly serverErrors: number;
  /** Requests refused because a bound was reached. */
  readonly refused: number;
  /** Of requests that are arriving, and of those that came compressed until they are answered. */
  readonly bodyBytes: number;
  /** Of answers that are on their way. */
  readonly answerBytes: number;
}

export interface RouterServer {
  /**
   * @param address host: loopback only unless there are credentials, default 127.0.0.1; port: default 0, any free one
   * @throws StoreError ERR_STORE_ARGUMENT for a host that is not loopback where there are no credentials, ERR_STORE_LISTEN when the port is not to be had
   */
  listen(address?: {
    readonly host?: string;
    readonly port?: number;
  }): Promise<{ readonly host: string; readonly port: number }>;
  /** Takes no new request, lets those under way end, then cuts every connection. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  stats(): RouterServerStats;
}

const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);
const JSON_TYPES: ReadonlySet<string> = new Set(["application/json", "application/x-amz-json-1.0"]);
const HEADERS_TIMEOUT_MS_MAX = 10_000;
const NOT_OUR_PROTOCOL = "<UnknownOperationException/>\n";
const SHORT_ON_ROOM = JSON.stringify(new ApiError("ServiceUnavailable").body());
const UNREADABLE: Answer = { status: 500, body: JSON.stringify(new ApiError("InternalServerError").body()) };

export function createRouterServer(backend: Backend, options: RouterServerOptions = {}): RouterServer {
  return new HttpRouterServer(backend, options);
}

class HttpRouterServer implements RouterServer {
  readonly #server: Server;
  readonly #context: DispatchContext;
  readonly #budget: BodyBudget;
  readonly #bodyBytesMax: number;
  readonly #answersBytesMax: number;
  readonly #requestsMax: number;
  readonly #closeGraceMs: number;
  readonly #nextId = requestIds();
  readonly #answers = new AnswerAccounts();
  readonly #room = new AnswerRoom();
  readonly #plain: PlainConnections;
  readonly #plainTail: string;
  #address = "";
  #date = "";
  #dateUntilMs = 0;
  #closing: Promise<void> | undefined;
  #connections = 0;
  #requests = 0;
  #underway = 0;
  #clientErrors = 0;
  #serverErrors = 0;
  #refused = 0;

  constructor(backend: Backend, options: RouterServerOptions) {
    const nowMs = options.nowMs ?? Date.now;
    const { credentials = [] } = options;
    this.#context = {
      backend,
      nowMs,
      address: () => this.#address,
      ...(credentials.length > 0 && { signatures: new Signatures(credentials, nowMs) }),
    };
    this.#bodyBytesMax = bound("bodyBytesMax", options.bodyBytesMax, 16 * 1024 * 1024);
    this.#budget = new BodyBudget(bound("bodiesBytesMax", options.bodiesBytesMax, 256 * 1024 * 1024));
    this.#answersBytesMax = bound("answersBytesMax", options.answersBytesMax, 256 * 1024 * 1024);
    this.#requestsMax = bound("requestsMax", options.requestsMax, 4096);
    this.#closeGraceMs = bound("closeGraceMs", options.closeGraceMs, 5_000);
    const requestTimeoutMs = bound("requestTimeoutMs", options.requestTimeoutMs, 30_000);
    const keepAliveMs = bound("keepAliveMs", options.keepAliveMs, 60_000);
    const stallTimeoutMs = bound("stallTimeoutMs", options.stallTimeoutMs, 60_000);
    const lookEveryMs = Math.min(requestTimeoutMs, 1_000);
    this.#plainTail = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`;
    this.#server = createServer(
      {
        keepAliveTimeout: keepAliveMs,
        headersTimeout: Math.min(requestTimeoutMs, HEADERS_TIMEOUT_MS_MAX),
        requestTimeout: requestTimeoutMs,
        // How often the two limits above are looked after.
        connectionsCheckingInterval: lookEveryMs,
        noDelay: true,
      },
      (request, response) => void this.#exchange(request, response),
    );
    this.#server.maxConnections = bound("connectionsMax", options.connectionsMax, connectionsWithin());
    this.#server.setTimeout(stallTimeoutMs);
    // node:http takes a connection when it is told of it: for as long as there is nothing out of the ordinary on one, that is never.
    const [takeOver] = this.#server.listeners("connection") as [(this: Server, socket: Socket) => void];
    this.#server.off("connection", takeOver);
    this.#plain = new PlainConnections({
      onRequest: (request, connection) => void this.#plainExchange(request, connection),
      handOver: (socket, arrived) => {
        takeOver.call(this.#server, socket);
        if (arrived !== undefined) socket.emit("data", arrived);
      },
      firstRequestMs: Math.min(requestTimeoutMs, HEADERS_TIMEOUT_MS_MAX),
      keepAliveMs,
      stallTimeoutMs,
      lookEveryMs,
    });
    this.#server.on("connection", (socket) => {
      this.#connections++;
      this.#answers.open(socket);
      socket.once("close", () => this.#connections--);
      this.#plain.add(socket);
    });
  }

  async listen({ host = "127.0.0.1", port = 0 } = {}): Promise<{ host: string; port: number }> {
    if (!LOOPBACK.has(host) && this.#context.signatures === undefined) {
      const why =
        "without credentials only this machine may connect: give credentials, or use 127.0.0.1, ::1 or localhost";
      throw new StoreError("ERR_STORE_ARGUMENT", `host: ${why}; got ${host}`);
    }
    await new Promise<void>((resolve, reject) => {
      const onError = (cause: NodeJS.ErrnoException) => {
        const why = cause.code === "EADDRINUSE" ? "the port is in use" : cause.message;
        reject(new StoreError("ERR_STORE_LISTEN", `cannot listen on ${host}:${port}: ${why}`, { cause }));
      };
      this.#server.once("error", onError);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", onError);
        this.#server.on("error", (error) => serverErrors.publish({ error }));
        resolve();
      });
    });
    const { port: taken } = this.#server.address() as AddressInfo;
    this.#address = `${host.includes(":") ? `[${host}]` : host}:${taken}`;
    return { host, port: taken };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const cutOff = setTimeout(() => {
      this.#server.closeAllConnections();
      this.#plain.close();
    }, this.#closeGraceMs);
    cutOff.unref();
    this.#server.closeIdleConnections();
    this.#plain.closeIdle();
    await closed;
    this.#plain.close();
    clearTimeout(cutOff);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  stats(): RouterServerStats {
    return {
      connections: this.#connections,
      requests: this.#requests,
      underway: this.#underway,
      clientErrors: this.#clientErrors,
      serverErrors: this.#serverErrors,
      refused: this.#refused,
      bodyBytes: this.#budget.bytes,
      answerBytes: this.#answers.bytes,
    };
  }

  async #exchange(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#requests++;
    this.#underway++;
    // An answer that nobody waits for any more fails without a word.
    response.on("error", () => {});
    try {
      if (this.#underway > this.#requestsMax || this.#answers.bytes > this.#answersBytesMax) this.#refuse(response);
      else await this.#answer(request, response);
    } finally {
      this.#underway--;
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request, this.#bodyBytesMax, this.#budget);
    if (body.kind === "gone") return;
    // What is still on its way is read and dropped, within the request's time, so that the client gets to see this answer.
    if (body.kind === "too-large") return this.#send(response, 413, "");
    if (body.kind === "no-room") return this.#refuse(response);
    const { method, headers } = request;
    const url = inOriginForm(request.url);
    const cors = crossOrigin(request);
    if (cors !== undefined && method === "OPTIONS") return this.#send(response, 200, "", cors);
    if (method === "GET" && (url === "/" || url.startsWith("/?"))) {
      return this.#send(response, 200, `healthy: ${headers.host ?? ""} `, { ...cors, "Content-Type": "text/plain" });
    }
    const type = mediaType(headers["content-type"]);
    if (method !== "POST" || !JSON_TYPES.has(type)) return this.#send(response, 404, NOT_OUR_PROTOCOL, cors);
    const answer = await this.#operate(request, url, body.bytes);
    if (answer === "too-large") return this.#send(response, 413, "");
    if (answer === "no-room") return this.#refuse(response);
    const coding = codingOf(request.headersDistinct["accept-encoding"]?.at(-1), answer.body);
    const fields = { ...cors, "Content-Type": type };
    if (coding === undefined) return this.#send(response, answer.status, answer.body, fields);
    const short = await encoded(coding, answer.body);
    this.#send(response, answer.status, short, { ...fields, "Content-Encoding": coding });
  }

  async #operate({ headers }: IncomingMessage, url: string, sent: Buffer): Promise<Answer | "too-large" | "no-room"> {
    const coding = headers["content-encoding"];
    if (!coding) return dispatch(headers, sent.toString("utf8"), this.#context, url);
    const body = await decoded(coding, sent, this.#bodyBytesMax);
    if (body === "too-large") return body;
    if (body === "broken") return UNREADABLE;
    // Sixteen kilobytes may become as many megabytes: they count for as long as they are here.
    this.#budget.bytes += body.length;
    try {
      if (this.#budget.bytes > this.#budget.bytesMax) return "no-room";
      return await dispatch(headers, body.toString("utf8"), this.#context, url, sent);
    } finally {
      this.#budget.bytes -= body.length;
    }
  }

  /** As `#exchange`, of a request that is here whole and was looked at already. */
  async #plainExchange(request: PlainRequest, connection: PlainConnection): Promise<void> {
    const { headers, bodyBytes } = request;
    this.#requests++;
    this.#underway++;
    try {
      if (this.#underway > this.#requestsMax || this.#answers.bytes > this.#answersBytesMax) {
        this.#refused++;
        this.#plainAnswer(connection, 503, SHORT_ON_ROOM, "application/x-amz-json-1.0");
        return;
      }
      if (bodyBytes > this.#bodyBytesMax) return this.#plainAnswer(connection, 413, "");
      if (this.#budget.bytes + bodyBytes > this.#budget.bytesMax) {
        this.#refused++;
        this.#plainAnswer(connection, 503, SHORT_ON_ROOM, "application/x-amz-json-1.0");
        return;
      }
      const type = mediaType(headers["content-type"]);
      if (!JSON_TYPES.has(type)) return this.#plainAnswer(connection, 404, NOT_OUR_PROTOCOL);
      // A signature is about whatever fields it names.
      const said = this.#context.signatures === undefined ? headers : request.allHeaders();
      const answer = await dispatch(said, request.body(), this.#context);
      const coding = codingOf(headers["accept-encoding"], answer.body);
      const bytes = coding === undefined ? answer.body : await encoded(coding, answer.body);
      this.#plainAnswer(connection, answer.status, bytes, type, coding);
    } finally {
      this.#underway--;
    }
  }

  #plainAnswer(connection: PlainConnection, status: number, body: Body, type?: string, coding?: Coding): void {
    if (status >= 500) this.#serverErrors++;
    else if (status >= 400) this.#clientErrors++;
    const last = this.#closing !== undefined;
    const bytes = this.#room.writeBody(body);
    const head =
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nx-amzn-RequestId: ${this.#nextId()}\r\nx-amz-crc32: ${crc32(bytes)}\r\n` +
      `Content-Length: ${bytes.length}\r\n${type === undefined ? "" : `Content-Type: ${type}\r\n`}` +
      `${coding === undefined ? "" : `Content-Encoding: ${coding}\r\n`}Server: Server\r\nDate: ${this.#now()}\r\n` +
      (last ? "Connection: close\r\n\r\n" : this.#plainTail);
    connection.answer(this.#room.whole(head), { last });
    const { socket } = connection;
    if (socket.writableLength > 0) this.#room.giveAway();
    if (!socket.destroyed) this.#answers.addUnsent(socket);
  }

  /** As the Date field has it. */
  #now(): string {
    const nowMs = Date.now();
    if (nowMs >= this.#dateUntilMs || nowMs < this.#dateUntilMs - 1_000) {
      this.#date = new Date(nowMs).toUTCString();
      this.#dateUntilMs = nowMs - (nowMs % 1_000) + 1_000;
    }
    return this.#date;
  }

  #refuse(response: ServerResponse): void {
    this.#refused++;
    this.#send(response, 503, SHORT_ON_ROOM, { "Content-Type": "application/x-amz-json-1.0" });
  }

  #send(response: ServerResponse, status: number, body: Body, headers?: Readonly<Record<string, string>>): void {
    if (status >= 500) this.#serverErrors++;
    else if (status >= 400) this.#clientErrors++;
    if (response.destroyed) return;
    // While we go down, each answer is its connection's last.
    if (this.#closing !== undefined) response.setHeader("Connection", "close");
    const bytes = bytesOf(body);
    this.#answers.add(response, bytes.length);
    response.writeHead(status, {
      "x-amzn-RequestId": this.#nextId(),
      "x-amz-crc32": crc32(bytes),
      "Content-Length": bytes.length,
      ...headers,
      Server: "Server",
    });
    response.end(bytes);
  }
}

/** Without its parameters. */
function mediaType(header = ""): string {
  const end = header.indexOf(";");
  return (end < 0 ? header : header.slice(0, end)).trim();
}

/** The headers that let a page of another origin read the answer; undefined when none asks. */
function crossOrigin({ method: its, headers }: IncomingMessage): Record<string, string> | undefined {
  if (headers.origin === undefined) return undefined;
  const readable = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "x-amzn-RequestId, x-amz-crc32",
  };
  if (its !== "OPTIONS") return readable;
  const asked = headers["access-control-request-headers"];
  const method = headers["access-control-request-method"];
  return {
    ...readable,
    ...(asked !== undefined && { "Access-Control-Allow-Headers": asked }),
    ...(method !== undefined && { "Access-Control-Allow-Methods": method }),
    "Access-Control-Max-Age": "172800",
  };
}

function bound(name: string, value: number | undefined, otherwise: number): number {
  const chosen = value ?? otherwise;
  if (!Number.isSafeInteger(chosen) || chosen < 1) {
    throw new StoreError("ERR_STORE_ARGUMENT", `${name}: expected a whole number from 1 on, got ${String(value)}`);
  }
  return chosen;
}
