// The load: a process of its own, so that what is measured is the server's work and not the client's. Keep-alive connections over bare sockets,
// requests that are laid out once and patched in place, answers cut by their Content-Length: a few microseconds an operation.
import { connect } from "node:net";

/** Every number in a request has this many digits, so that a request's length is known before it is made. */
const DIGITS = 9;
const FILLER = "x".repeat(856);
/** Where the first digit of an answer's status is. */
const STATUS_AT = "HTTP/1.1 ".length;
const TWO = "2".charCodeAt(0);
const FIVE = "5".charCodeAt(0);
const ATTEMPTS_MAX = 20;
const PAUSE_MS = 25;
/** As many as the service takes in a BatchWriteItem. */
const BATCH = 25;
const ALL_TAKEN = '"UnprocessedItems":{}';

const ZERO = "0".charCodeAt(0);
const LINE_FEED = "\n".charCodeAt(0);
const LOWER = 0x20;

/** Writes a whole number with its zeros before it; no string, since this is done for each request. */
function writeDigits(bytes, number, at) {
  let left = number;
  for (let i = at + DIGITS - 1; i >= at; i--) {
    const rest = Math.floor(left / 10);
    bytes[i] = ZERO + left - rest * 10;
    left = rest;
  }
}

/** A request as bytes, with the places of what changes in it; `#` stands for a digit. */
function template(target, body) {
  const text = JSON.stringify(body);
  const head = [
    "POST / HTTP/1.1",
    "host: 127.0.0.1",
    "content-type: application/x-amz-json-1.0",
    `content-length: ${Buffer.byteLength(text)}`,
    `x-amz-target: DynamoDB_20120810.${target}`,
    "x-amz-date: 20260101T000000Z",
    "authorization: AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=0000",
  ];
  const bytes = Buffer.from(`${head.join("\r\n")}\r\n\r\n${text}`);
  const places = [];
  for (let at = bytes.indexOf("#"); at >= 0; at = bytes.indexOf("#", at + DIGITS)) places.push(at);
  return { bytes, places };
}

const HOLE = "#".repeat(DIGITS);
const itemOf = (id, n) => ({ id: { S: `item-${id}` }, n: { N: n }, filler: { S: FILLER } });

/** Writes the digits of `numbers` into the places of a request. */
function patch({ bytes, places }, ...numbers) {
  for (let i = 0; i < places.length; i++) writeDigits(bytes, numbers[i], places[i]);
  return bytes;
}

/** Where a connection's answers are read to. One that does not fit, or comes in parts, is put together elsewhere. */
const READ_BYTES = 16 * 1024;
/** Of an answer that is no success, so much is told. */
const TOLD_BYTES = 800;
const CONTENT_LENGTH = Buffer.from("content-length:");

/** Where the name that begins at `at` ends, if it is `Content-Length:` in whatever case; otherwise 0. */
function endOfContentLength(bytes, at) {
  for (let i = 0; i < CONTENT_LENGTH.length; i++) if ((bytes[at + i] | LOWER) !== CONTENT_LENGTH[i]) return 0;
  return at + CONTENT_LENGTH.length;
}

/** How long an answer is whose first `length` bytes are here, its headers included; undefined: that is not said yet; NaN: it does not say. */
function answerBytes(bytes, length) {
  let body = Number.NaN;
  for (let lineAt = 0; ; ) {
    const feed = bytes.indexOf(LINE_FEED, lineAt);
    if (feed < 0 || feed >= length) return undefined;
    if (feed - lineAt <= 1) return feed + 1 + body;
    const valueAt = endOfContentLength(bytes, lineAt);
    if (valueAt > 0) body = Number(bytes.latin1Slice(valueAt, feed));
    lineAt = feed + 1;
  }
}

/**
 * One connection with one request under way at most. Who asks gives the same two functions each time, and nothing is made for a request that does not live on: what the load leaves to
 * be collected, and who collects it, would take the processors that the servers answer on.
 */
class Connection {
  #socket;
  /** What came of an answer so far that is not here whole. */
  #begun;
  #bytes;
  #attemptsLeft = 0;
  #answered;
  #failed;

  static async open({ host, port }) {
    const connection = new Connection();
    // Read into memory that stays, not into 64 KiB for each answer.
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (length, buffer) => connection.#take(buffer, length),
    };
    await new Promise((resolve, reject) => {
      connection.#socket = connect({ host, port, noDelay: true, onread }, resolve).on("error", reject);
    });
    connection.#socket.on("error", (error) => connection.#failed?.(error));
    connection.#socket.on("close", () => connection.#failed?.(new Error("the server closed the connection")));
    return connection;
  }

  /**
   * `answered` is called with the bytes that begin with the whole answer, headers included, and with its length; they stand until it returns. `bytes` may be changed as soon as it is called. As
   * the SDK does it asks again after a 5xx; the time counts on.
   */
  send(bytes, answered, failed) {
    this.#bytes = bytes;
    this.#answered = answered;
    this.#failed = failed;
    this.#attemptsLeft = ATTEMPTS_MAX;
    this.#attempt();
  }

  /** Resolves with a copy of the answer. */
  ask(bytes) {
    return new Promise((resolve, reject) => {
      this.send(bytes, (answer, length) => resolve(Buffer.from(answer.subarray(0, length))), reject);
    });
  }

  #attempt() {
    this.#attemptsLeft--;
    // Of what is written to it nobody would hear any more.
    if (this.#socket.destroyed) this.#failed(new Error("the server closed the connection"));
    else this.#socket.write(this.#bytes);
  }

  /** Returns whether to read on. */
  #take(chunk, chunkLength) {
    const whole = this.#begun === undefined ? chunk : Buffer.concat([this.#begun, chunk.subarray(0, chunkLength)]);
    const length = this.#begun === undefined ? chunkLength : whole.length;
    const bytes = answerBytes(whole, length);
    if (bytes === undefined || length < bytes) {
      this.#begun = Buffer.from(whole.subarray(0, length));
      return true;
    }
    this.#begun = undefined;
    if (Number.isNaN(bytes)) this.#failed(new Error(`an answer without Content-Length: ${told(whole, length)}`));
    else if (whole[STATUS_AT] === TWO) this.#answered(whole, bytes);
    else if (whole[STATUS_AT] === FIVE && this.#attemptsLeft > 0) setTimeout(() => this.#attempt(), PAUSE_MS);
    else this.#failed(new Error(told(whole, length)));
    return true;
  }

  close() {
    this.#failed = undefined;
    this.#socket.destroy();
  }
}

const told = (answer, length) => answer.toString("utf8", 0, Math.min(length, TOLD_BYTES));

/** What one client sends: reads and writes by chance, keys uniformly, and looks whether a read brought the item that it asked for. */
class Client {
  #connection;
  #items;
  #readShare;
  #get;
  #put;
  #written = 0;
  #isRead = false;
  #id = Buffer.from(`item-${HOLE}`);
  #done;
  #failed;

  constructor(connection, { table, items, readShare }) {
    this.#connection = connection;
    this.#items = items;
    this.#readShare = readShare;
    this.#get = template("GetItem", { TableName: table, Key: { id: { S: `item-${HOLE}` } }, ConsistentRead: true });
    this.#put = template("PutItem", { TableName: table, Item: itemOf(HOLE, `1${HOLE}`) });
  }

  /** One operation; `done` is called with whether it was a read. */
  operate(done, failed) {
    const id = Math.floor(Math.random() * this.#items);
    this.#isRead = Math.random() < this.#readShare;
    this.#done = done;
    this.#failed = failed;
    writeDigits(this.#id, id, this.#id.length - DIGITS);
    const request = this.#isRead ? patch(this.#get, id) : patch(this.#put, id, this.#written++);
    this.#connection.send(request, this.#answered, failed);
  }

  #answered = (answer, length) => {
    if (this.#isRead && (length < FILLER.length || !this.#isIn(answer, length)))
      this.#failed(new Error(`GetItem did not bring the item: ${told(answer, length)}`));
    else this.#done(this.#isRead);
  };

  /** Whether the answer names the item that was asked for. */
  #isIn(answer, length) {
    const at = answer.indexOf(this.#id);
    return at >= 0 && at < length;
  }

  close() {
    this.#connection.close();
  }
}

async function clientsOf(options) {
  return await Promise.all(
    Array.from({ length: options.clients }, async () => new Client(await Connection.open(options), options)),
  );
}

/** The value below which `share` of the sorted ones lie. */
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

function figuresOf(reads, writes, elapsedMs, cpu) {
  const sorted = (times) => Float64Array.from(times).sort();
  const all = sorted([...reads, ...writes]);
  return {
    operations: all.length,
    throughput: (all.length * 1000) / elapsedMs,
    p50: quantile(all, 0.5),
    p99: quantile(all, 0.99),
    p999: quantile(all, 0.999),
    "p99 of reads": quantile(sorted(reads), 0.99),
    "p99 of writes": quantile(sorted(writes), 0.99),
    clientCpuUs: cpu.user + cpu.system,
  };
}

/** Each client asks again as soon as it is answered. */
async function closedLoop(options) {
  const clients = await clientsOf(options);
  const cpuBefore = process.cpuUsage();
  const reads = [];
  const writes = [];
  const startedAt = performance.now();
  const endAt = startedAt + options.seconds * 1000;
  await Promise.all(
    clients.map(
      (client) =>
        new Promise((resolve, reject) => {
          let begun = performance.now();
          const done = (read) => {
            const now = performance.now();
            (read ? reads : writes).push(now - begun);
            begun = now;
            if (now < endAt) client.operate(done, reject);
            else resolve();
          };
          client.operate(done, reject);
        }),
    ),
  );
  const elapsedMs = performance.now() - startedAt;
  const cpu = process.cpuUsage(cpuBefore);
  for (const client of clients) client.close();
  return figuresOf(reads, writes, elapsedMs, cpu);
}

/**
 * When requests are due, one after the other: when they come (a Poisson stream), or, `even`, each at a moment by lot in a slot of its own, so that no two slots' requests come in a heap and what is
 * slow is the server.
 */
function* dueTimes({ rate, even }, startedAt) {
  const slotMs = 1000 / rate;
  let at = startedAt;
  for (let slot = 0; ; slot++) {
    yield even ? startedAt + (slot + Math.random()) * slotMs : at;
    at -= Math.log(1 - Math.random()) * slotMs;
  }
}

/**
 * Requests come whether or not those before are answered; one for which no connection is free waits, and
 * its time counts from when it was due. So a server that stands still for a moment is charged for all who would have come meanwhile.
 */
async function openLoop(options) {
  const all = await clientsOf(options);
  const cpuBefore = process.cpuUsage();
  const reads = [];
  const writes = [];
  const answers = { atMs: [], tookMs: [], isRead: [] };
  const due = [];
  let failure;
  const startedAt = performance.now();
  const endAt = startedAt + options.seconds * 1000;
  const dues = dueTimes(options, startedAt);
  let nextAt = dues.next().value;
  const failed = (error) => {
    failure ??= error;
  };
  const idle = all.map((client) => ({ client, dueAt: 0, done: undefined }));
  for (const one of idle)
    one.done = (read) => {
      const now = performance.now();
      (read ? reads : writes).push(now - one.dueAt);
      if (options.each) {
        answers.atMs.push(performance.timeOrigin + now);
        answers.tookMs.push(now - one.dueAt);
        answers.isRead.push(read);
      }
      serve(one);
    };
  const serve = (one) => {
    const at = due.shift();
    if (at === undefined) return void idle.push(one);
    one.dueAt = at;
    one.client.operate(one.done, failed);
  };
  while (performance.now() < endAt && failure === undefined) {
    for (const now = performance.now(); nextAt <= now; nextAt = dues.next().value) due.push(nextAt);
    // The one that rests for longest: none rests until the server closes it.
    while (due.length > 0 && idle.length > 0) serve(idle.shift());
    // A millisecond at most, counted in the answers' times; without a pause the loader would take a whole processor.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  while (idle.length < all.length && failure === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  for (const client of all) client.close();
  if (failure !== undefined) throw new Error(`the load ended early: ${failure}`, { cause: failure });
  return options.each ? answers : figuresOf(reads, writes, performance.now() - startedAt, process.cpuUsage(cpuBefore));
}

/** Makes the table with all its items. */
async function fill(options) {
  const { table } = options;
  const first = await Connection.open(options);
  const definition = {
    TableName: table,
    AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
    KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
    BillingMode: "PAY_PER_REQUEST",
  };
  await first.ask(template("CreateTable", definition).bytes);
  const describe = template("DescribeTable", { TableName: table }).bytes;
  while (!(await first.ask(describe)).includes('"TableStatus":"ACTIVE"'))
    await new Promise((resolve) => setTimeout(resolve, 50));
  first.close();
  return await writeAll(options);
}

/** Writes each item of a table that is there. */
async function writeAll(options) {
  const { table, items } = options;
  const connections = await Promise.all(Array.from({ length: 32 }, () => Connection.open(options)));
  let next = 0;
  await Promise.all(
    connections.map(async (connection) => {
      const whole = putsOf(table, BATCH);
      while (next < items) {
        const first = next;
        const count = Math.min(BATCH, items - first);
        next += count;
        const puts = count === BATCH ? whole : putsOf(table, count);
        const numbers = Array.from({ length: count }, (_, i) => [first + i, 0]).flat();
        // What is not taken is asked for once more with all the rest: it comes to the same.
        while (!(await connection.ask(patch(puts, ...numbers)).catch(refused)).includes(ALL_TAKEN))
          await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }),
  );
  for (const connection of connections) connection.close();
  return {};
}

/** That it was too much at once is no failure of a load. */
function refused(error) {
  if (String(error).includes("ThrottlingException")) return "";
  throw error;
}

const putsOf = (table, count) =>
  template("BatchWriteItem", {
    RequestItems: {
      [table]: Array.from({ length: count }, () => ({ PutRequest: { Item: itemOf(HOLE, `1${HOLE}`) } })),
    },
  });

const works = { fill, writeAll, closed: closedLoop, open: openLoop };

process.on("message", ({ work, ...options }) => {
  works[work](options).then(
    (result) => process.send({ result }),
    (error) => process.send({ error: error.message }),
  );
});
