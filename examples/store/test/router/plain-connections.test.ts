import { once } from "node:events";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRouterServer, type RouterServer } from "../../src/router/http.js";
import { PlainConnections } from "../../src/router/plain-connections.js";
import { plainRequest } from "../../src/router/plain-request.js";
import { readInPlace } from "../../src/router/read-in-place.js";
import { MemoryBackend } from "../memory-backend.js";
import { SIGNED } from "./harness.js";

const BODY = '{"Limit":1}';
const FIELDS: Readonly<Record<string, string>> = {
  Host: "localhost",
  ...SIGNED,
  "X-Amz-Target": "DynamoDB_20120810.ListTables",
  "Content-Length": String(BODY.length),
};

function request(
  changed: Readonly<Record<string, string>> = {},
  { body = BODY, line = "POST / HTTP/1.1" } = {},
): Buffer {
  const fields = Object.entries({ ...FIELDS, ...changed }).map(([name, value]) => `${name}: ${value}`);
  return Buffer.from(`${[line, ...fields].join("\r\n")}\r\n\r\n${body}`);
}

describe("a plain request", () => {
  it("is read as it is, names in lower case", () => {
    const read = plainRequest(request({ "X-Odd": "  a: b\t" }));
    expect(read?.body()).toBe(BODY);
    expect(read?.bodyBytes).toBe(BODY.length);
    expect(read?.allHeaders()).toMatchObject({ host: "localhost", "x-odd": "a: b", "content-length": "11" });
    expect(plainRequest(request({ constructor: "y" }))?.allHeaders().constructor).toBe("y");
    expect(plainRequest(request())?.allHeaders().constructor).toBeUndefined();
    const named = plainRequest(request(JSON.parse('{"__proto__":"x"}')))?.allHeaders() ?? {};
    expect(Object.entries(named)).toContainEqual(["__proto__", "x"]);
  });

  it("is read by itself, whatever stood in the same lines of the one before", () => {
    const first: Record<string, string> = { "x-one": "1", "x-two": "2", "x-three": "3" };
    const others: Record<string, string>[] = [
      { "x-two": "4", "x-one": "5" },
      { "x-on": "6", "x-one-more": "7" },
      first,
    ];
    plainRequest(request(first));
    for (const fields of others) {
      const read = Object.entries(plainRequest(request(fields))?.allHeaders() ?? {});
      expect(Object.fromEntries(read.filter(([name]) => /^x-(on|two|three)/.test(name)))).toEqual(fields);
    }
    expect(plainRequest(request({ "X-One": "1", "x-one": "2" }))).toBeUndefined();
  });

  it("is read in the same way whether or not one with the same fields has come before, and however many others", () => {
    const known = [
      "Content-Type",
      "accept-encoding",
      "AUTHORIZATION",
      "X-Amz-Date",
      "Date",
      "X-Amz-Target",
      "Connection",
    ];
    const name = fc.oneof(fc.constantFrom(...known), fc.stringMatching(/^[a-z.*+^$|-]{1,6}$/));
    const value = fc.oneof(fc.constant("keep-alive"), fc.stringMatching(/^[ \t]{0,2}[!-~]?[ -~\t]{0,9}$/));
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([its]) => its.toLowerCase() }), (fields) => {
        const head = [["Host", "here"], ...fields, ["content-length", "2"]].map(([its, said]) => `${its}:${said}\r\n`);
        const bytes = Buffer.from(`POST / HTTP/1.1\r\n${head.join("")}\r\n{}`);
        const [first, second] = [plainRequest(bytes), plainRequest(bytes)];
        const expected = Object.fromEntries(
          fields.map(([its, said]) => [its.toLowerCase(), said.replace(/^[ \t]+|[ \t]+$/g, "")]),
        );
        const { connection = "keep-alive" } = expected;
        const isPlain = connection.toLowerCase() === "keep-alive" && expected.te === undefined;
        expect([first, second].map((read) => read !== undefined)).toEqual([isPlain, isPlain]);
        if (!isPlain) return;
        expect(first?.allHeaders()).toEqual({ ...expected, host: "here", "content-length": "2" });
        expect(second?.allHeaders()).toEqual(first?.allHeaders());
        for (const its of known.map((sent) => sent.toLowerCase())) {
          expect(first?.headers[its]).toBe(expected[its]);
          expect(second?.headers[its]).toBe(expected[its]);
        }
        expect(second?.body()).toBe("{}");
      }),
      { numRuns: 200 },
    );
  });

  it.each<[string, Buffer]>([
    ["of another method", request({}, { line: "PUT / HTTP/1.1" })],
    ["to another path", request({}, { line: "POST /x HTTP/1.1" })],
    ["of another version", request({}, { line: "POST / HTTP/1.0" })],
    ["in chunks", request({ "Transfer-Encoding": "chunked" })],
    ["that is compressed", request({ "Content-Encoding": "gzip" })],
    ["of another origin", request({ Origin: "http://example.test" })],
    ["that asks first", request({ Expect: "100-continue" })],
    ["that is the last", request({ Connection: "close" })],
    ["that wants another protocol", request({ Connection: "upgrade" })],
    ["without a host", Buffer.from(request().toString().replace("Host: localhost\r\n", ""))],
    [
      "of unknown length",
      Buffer.from(
        request()
          .toString()
          .replace(/Content-Length: .*\r\n/, ""),
      ),
    ],
    ["of two lengths", request({ "content-length": "11" })],
    ["of a length with a sign", request({ "Content-Length": "+11" })],
    ["of a length in hexadecimal", request({ "Content-Length": "0xb" })],
    ["with a field's name before a space", request({ "X-Odd ": "1" })],
    ["with a folded field", request({ "X-Odd": "a\r\n b" })],
    ["with a bare line feed", request({ "X-Odd": "a\nb: c" })],
    ["with a zero byte", request({ "X-Odd": "a\0" })],
    ["with a field that is not ASCII", request({ "X-Odd": "é" })],
    ["with a head of many kilobytes", request({ "X-Odd": "x".repeat(9_000) })],
    ["that is not all there", request().subarray(0, -1)],
    ["with something behind it", Buffer.concat([request(), Buffer.from("P")])],
  ])("is not one %s", (_, bytes) => {
    expect(plainRequest(bytes)).toBeUndefined();
  });

  it("is nothing that is cut off, and nothing random", () => {
    const whole = request();
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length - 1 }), (length) => {
        expect(plainRequest(whole.subarray(0, length))).toBeUndefined();
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(plainRequest(Buffer.from(bytes))).toBeUndefined();
      }),
    );
  });
});

describe("a connection", () => {
  let server: RouterServer;
  let backend: MemoryBackend;
  let socket: Socket;
  let port = 0;
  let received = "";

  async function opened(options: Parameters<typeof createRouterServer>[1] = {}): Promise<void> {
    server = createRouterServer(backend, options);
    ({ port } = await server.listen());
    socket = connect(port, "127.0.0.1");
    received = "";
    socket.on("data", (data) => {
      received += data.toString("latin1");
    });
    socket.on("error", () => undefined);
  }
  const answers = () => received.match(/HTTP\/1\.1 \d+/g) ?? [];

  function gate(): { readonly held: Promise<void>; readonly release: () => void } {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    return { held, release };
  }
  /** The server is told to close while a request is under way, whose answer comes only then. */
  async function closedWhileAnswering(names: string[]): Promise<void> {
    await opened();
    const { held, release } = gate();
    backend.listTables = async () => {
      await held;
      return { names, more: false };
    };
    socket.write(request());
    await expect.poll(() => server.stats().underway).toBe(1);
    const closed = server.close();
    release();
    await closed;
  }

  beforeEach(() => {
    backend = new MemoryBackend();
  });
  afterEach(async () => {
    socket.destroy();
    await server.close();
  });

  it("may be plain, then not, and is answered in the same way", async () => {
    await opened();
    socket.write(request());
    await expect.poll(answers).toEqual(["HTTP/1.1 200"]);
    const plain = received;
    const bytes = request();
    socket.write(bytes.subarray(0, 100));
    await expect.poll(() => server.stats().connections).toBe(1);
    socket.write(bytes.subarray(100));
    await expect.poll(answers).toEqual(["HTTP/1.1 200", "HTTP/1.1 200"]);
    const shape = (answer: string) => answer.replace(/RequestId: .*/, "RequestId").replace(/Date: .*/, "Date");
    expect(shape(received.slice(plain.length))).toBe(shape(plain));
    socket.write(
      request({}, { line: "GET / HTTP/1.1", body: "" })
        .toString()
        .replace(/Content-Length: .*\r\n/, ""),
    );
    await expect.poll(() => received).toContain("healthy: localhost ");
    expect(server.stats()).toMatchObject({ requests: 3, underway: 0, connections: 1 });
  });

  it("may send more before its answer, and is answered in order", async () => {
    await opened();
    const { held, release } = gate();
    const list = backend.listTables.bind(backend);
    let calls = 0;
    backend.listTables = async (asked) => {
      if (calls++ === 0) await held;
      return await list(asked);
    };
    socket.write(request());
    await expect.poll(() => server.stats().underway).toBe(1);
    socket.write(request({ "X-Amz-Target": "DynamoDB_20120810.Nope" }));
    socket.write(request().subarray(0, 50));
    release();
    await expect.poll(answers).toEqual(["HTTP/1.1 200", "HTTP/1.1 400"]);
    socket.write(request().subarray(50));
    await expect.poll(answers).toEqual(["HTTP/1.1 200", "HTTP/1.1 400", "HTTP/1.1 200"]);
  });

  it.each<[string, number]>([
    ["part of a request", 150],
    ["a request and part of the next", request().length + 150],
  ])("keeps %s, whatever comes on others before the rest", async (_, length) => {
    await opened();
    const asked: unknown[] = [];
    backend.listTables = async ({ after }) => {
      asked.push(after);
      return { names: [], more: false };
    };
    const after = (name: string) => {
      const body = JSON.stringify({ ExclusiveStartTableName: name });
      return request({ "Content-Length": String(body.length) }, { body });
    };
    const sent = Buffer.concat([request(), after("its-own")]).subarray(
      length > request().length ? 0 : request().length,
    );
    socket.write(sent.subarray(0, length));
    await expect.poll(() => server.stats().connections).toBe(1);
    const other = connect(port, "127.0.0.1");
    const answered = new Promise((resolve) => other.once("data", resolve));
    other.write(after("another's"));
    await answered;
    other.destroy();
    socket.write(sent.subarray(length));
    await expect.poll(() => asked.at(-1)).toBe("its-own");
  });

  it("may end its sending side before the answer, and gets it", async () => {
    await opened();
    const ended = new Promise((resolve) => socket.on("close", resolve));
    socket.end(request());
    await ended;
    expect(answers()).toEqual(["HTTP/1.1 200"]);
    await expect.poll(() => server.stats()).toMatchObject({ connections: 0, underway: 0 });
  });

  it("on which nothing is ever asked is closed", async () => {
    await opened({ requestTimeoutMs: 20 });
    await new Promise((resolve) => socket.on("close", resolve));
    await expect.poll(() => server.stats().connections).toBe(0);
  });

  it("that is idle for long is closed", async () => {
    await opened({ keepAliveMs: 50, requestTimeoutMs: 20 });
    const ended = new Promise((resolve) => socket.on("close", resolve));
    socket.write(request());
    await ended;
    expect(answers()).toEqual(["HTTP/1.1 200"]);
    await expect.poll(() => server.stats().connections).toBe(0);
  });

  it("whose client does not take its answers is cut off", async () => {
    await opened({ stallTimeoutMs: 50, requestTimeoutMs: 20 });
    const names = Array.from({ length: 100 }, (_, i) => `${"n".repeat(250)}-${i}`);
    backend.listTables = async () => ({ names: Array<string[]>(2_000).fill(names).flat(), more: false });
    socket.pause();
    socket.write(request());
    await expect.poll(() => server.stats().requests).toBe(1);
    await expect.poll(() => server.stats()).toMatchObject({ connections: 0, answerBytes: 0 });
  });

  it("is for node:http, which then reads no more of it, when its client asks again and has not taken an answer", async () => {
    let asked = 0;
    const accepting = createServer();
    const handedOver = new Promise<Buffer | undefined>((resolve) => {
      const plain = new PlainConnections({
        onRequest: (_, connection) => {
          if (++asked > 1) resolve(undefined);
          connection.answer(Buffer.alloc(64 * 1024 * 1024), { last: false });
        },
        handOver: (taken, arrived) => {
          taken.destroy();
          resolve(arrived);
        },
        firstRequestMs: 60_000,
        keepAliveMs: 60_000,
        stallTimeoutMs: 60_000,
        lookEveryMs: 1_000,
      });
      accepting.on("connection", (taken) => plain.add(taken)).listen(0, "127.0.0.1");
    });
    await once(accepting, "listening");
    const deaf = connect((accepting.address() as AddressInfo).port, "127.0.0.1").pause();
    deaf.write(request());
    await expect.poll(() => asked).toBe(1);
    deaf.write(request());
    expect(await handedOver).toEqual(request());
    expect(asked).toBe(1);
    deaf.destroy();
    accepting.close();
  });

  it("gets the whole of its last answer, however long, when the server closes", async () => {
    await closedWhileAnswering(Array.from({ length: 40_000 }, () => "n".repeat(250)));
    const length = Number(/Content-Length: (\d+)/.exec(received)?.[1]);
    expect(length).toBeGreaterThan(10_000_000);
    await expect.poll(() => received.length - received.indexOf("\r\n\r\n") - 4).toBe(length);
    await expect.poll(() => server.stats()).toMatchObject({ answerBytes: 0, connections: 0 });
  });

  it("ends with its answer when the server closes", async () => {
    await closedWhileAnswering([]);
    await expect.poll(() => received).toContain("Connection: close");
  });
});

describe("what arrives on an accepted connection", () => {
  it("is read to where it was read before, and comes as events once that is stopped", async () => {
    const taken: Buffer[] = [];
    const events: Buffer[] = [];
    let accepted: Socket | undefined;
    let stop = (): unknown => undefined;
    const server = createServer((socket) => {
      accepted = socket;
      stop = readInPlace(socket, (arrived) => taken.push(arrived));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
    client.write("one");
    await expect.poll(() => taken.map(String)).toEqual(["one"]);
    client.write("two");
    await expect.poll(() => taken.map(String)).toEqual(["two", "two"]);
    stop();
    accepted?.on("data", (arrived) => events.push(arrived));
    client.write("three");
    await expect.poll(() => events.map(String)).toEqual(["three"]);
    client.end("four");
    await expect.poll(() => events.map(String)).toEqual(["three", "four"]);
    expect(taken).toHaveLength(2);
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  it("comes as events where it cannot be read so", () => {
    const socket = new Socket();
    const taken: string[] = [];
    const stop = readInPlace(socket, (arrived) => taken.push(String(arrived)));
    socket.emit("data", Buffer.from("one"));
    stop();
    socket.emit("data", Buffer.from("two"));
    expect(taken).toEqual(["one"]);
  });
});
