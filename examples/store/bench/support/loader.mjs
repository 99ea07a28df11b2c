// The load: a process of its own, so that what is measured is the server's work and not the client's. Keep-alive connections over bare sockets,
// requests that are laid out once and patched in place, answers cut by their Content-Length: a few microseconds an operation.
import { connect } from "node:net";

/** Every number in a request has this many digits, so that a request's length is known before it is made. */
const DIGITS = 9;
const FILLER = "x".repeat(856);
const FIVE = "5".charCodeAt(0);
const ATTEMPTS_MAX = 20;
const PAUSE_MS = 25;
/** As many as the service takes in a BatchWriteItem. */
const BATCH = 25;
const ALL_TAKEN = '"UnprocessedItems":{}';
const HEADERS_END = "\r\n\r\n";
const CONTENT_LENGTH = /\r\ncontent-length: */i;

const digitsOf = (number) => String(number).padStart(DIGITS, "0");

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
  for (let i = 0; i < places.length; i++) bytes.latin1Write(digitsOf(numbers[i]), places[i]);
  return bytes;
}

/** Where a connection's answers are read to. One that does not fit, or comes in parts, is put together elsewhere. */
const READ_BYTES = 16 * 1024;

/** One connection with one request under way at most. */
class Connection {
  #socket;
  /** What came of an answer so far that is not here whole. */
  #begun;
  #answered;
  #failed;

  static async open({ host, port }) {
    const connection = new Connection();
    // Read into memory that stays: the 64 KiB that Node otherwise takes for each answer, and gives back, cost the client a twelfth of its time.
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (length, buffer) => connection.#take(buffer.subarray(0, length)),
    };
    await new Promise((resolve, reject) => {
      connection.#socket = connect({ host, port, noDelay: true, onread }, resolve).on("error", reject);
    });
    connection.#socket.on("error", (error) => connection.#failed?.(error));
    connection.#socket.on("close", () => connection.#failed?.(new Error("the server closed the connection")));
    return connection;
  }

  /**
   * Resolves with the whole answer, headers included, which stands until the next one comes. `bytes` may be changed as soon as it has. As the SDK does it asks again after a 5xx; the time
   * counts on.
   */
  async ask(bytes) {
    for (let left = ATTEMPTS_MAX; ; left--) {
      const answer = await this.#askOnce(bytes);
      if (answer.latin1Slice(9, 12) === "200") return answer;
      if (answer[9] !== FIVE || left === 1) throw new Error(answer.toString("utf8", 0, 800));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #askOnce(bytes) {
    return new Promise((resolve, reject) => {
      // Of what is written to it nobody would hear any more.
      if (this.#socket.destroyed) return reject(new Error("the server closed the connection"));
      this.#answered = resolve;
      this.#failed = reject;
      this.#socket.write(bytes);
    });
  }

  /** Returns whether to read on. */
  #take(chunk) {
    const whole = this.#begun === undefined ? chunk : Buffer.concat([this.#begun, chunk]);
    const bytes = this.#bytesOf(whole);
    if (bytes === undefined || whole.length < bytes) {
      this.#begun = Buffer.from(whole);
      return true;
    }
    this.#begun = undefined;
    this.#answered(whole);
    return true;
  }

  /** How long an answer is that begins so; undefined: that is not said yet. */
  #bytesOf(begun) {
    const end = begun.indexOf(HEADERS_END);
    if (end < 0) return undefined;
    const head = begun.latin1Slice(0, end);
    const at = head.search(CONTENT_LENGTH);
    if (at < 0) return this.#failed(new Error(`an answer without Content-Length: ${head}`));
    return end + HEADERS_END.length + Number.parseInt(head.slice(head.indexOf(":", at) + 1), 10);
  }

  close() {
    this.#failed = undefined;
    this.#socket.destroy();
  }
}

/** What one client sends: reads and writes by chance, keys uniformly, and looks whether a read brought the item that it asked for. */
class Client {
  #connection;
  #items;
  #readShare;
  #get;
  #put;
  #written = 0;

  constructor(connection, { table, items, readShare }) {
    this.#connection = connection;
    this.#items = items;
    this.#readShare = readShare;
    this.#get = template("GetItem", { TableName: table, Key: { id: { S: `item-${HOLE}` } }, ConsistentRead: true });
    this.#put = template("PutItem", { TableName: table, Item: itemOf(HOLE, `1${HOLE}`) });
  }

  /** One operation; resolves with whether it was a read. */
  async operate() {
    const id = Math.floor(Math.random() * this.#items);
    if (Math.random() >= this.#readShare) {
      await this.#connection.ask(patch(this.#put, id, this.#written++));
      return false;
    }
    const answer = await this.#connection.ask(patch(this.#get, id));
    if (answer.length < FILLER.length || !answer.includes(`item-${digitsOf(id)}`))
      throw new Error(`GetItem did not bring the item: ${answer}`);
    return true;
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
    clients.map(async (client) => {
      for (let begun = performance.now(); begun < endAt; ) {
        const read = await client.operate();
        const now = performance.now();
        (read ? reads : writes).push(now - begun);
        begun = now;
      }
    }),
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
  const idle = await clientsOf(options);
  const all = [...idle];
  const cpuBefore = process.cpuUsage();
  const reads = [];
  const writes = [];
  const answers = [];
  const due = [];
  let failure;
  const startedAt = performance.now();
  const endAt = startedAt + options.seconds * 1000;
  const dues = dueTimes(options, startedAt);
  let nextAt = dues.next().value;
  const serve = (client) => {
    const at = due.shift();
    if (at === undefined) return void idle.push(client);
    client.operate().then(
      (read) => {
        const now = performance.now();
        (read ? reads : writes).push(now - at);
        if (options.each) answers.push([performance.timeOrigin + now, now - at, read]);
        serve(client);
      },
      (error) => {
        failure ??= error;
      },
    );
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
  return options.each
    ? { answers }
    : figuresOf(reads, writes, performance.now() - startedAt, process.cpuUsage(cpuBefore));
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
