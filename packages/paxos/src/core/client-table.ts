import { ByteReader, ByteWriter, corrupt } from "./bytes.js";
import { PaxosError } from "./errors.js";

/** What a `once` entry holds. */
export type Request =
  /** A new client; its id is the slot of this entry, so that no id is ever given twice. `clientsMax`: how many the group remembers from here on. */
  | { readonly op: "register"; readonly clientsMax: number }
  /** A client's command under its number: the same however often it is tried. */
  | { readonly op: "command"; readonly client: number; readonly sequence: number; readonly command: Uint8Array };

const requestVersion = 1;
const ops = { register: 1, command: 2 } as const;
/** The most that a request takes beside its command. */
export const requestOverheadBytes = 18;

export function encodeRequest(request: Request): Uint8Array {
  const { op } = request;
  const out = new ByteWriter(requestOverheadBytes + (op === "command" ? request.command.length : 0));
  out.byte(requestVersion);
  out.byte(ops[op]);
  if (op === "register") out.varint(request.clientsMax);
  else {
    out.varint(request.client);
    out.varint(request.sequence);
    out.bytes(request.command);
  }
  return out.take();
}

/**
 * The command stands on `bytes`.
 *
 * @throws PaxosError ERR_PAXOS_UNSUPPORTED, ERR_PAXOS_CORRUPT
 */
export function decodeRequest(bytes: Uint8Array): Request {
  const input = new ByteReader(bytes);
  const [version, op] = [input.byte(), input.byte()];
  if (version !== requestVersion || (op !== ops.register && op !== ops.command)) {
    const what = `a client's request of version ${version} and kind ${op}, this release reads version ${requestVersion}`;
    throw new PaxosError("ERR_PAXOS_UNSUPPORTED", what);
  }
  if (op === ops.command) {
    return { op: "command", client: input.varint(), sequence: input.varint(), command: input.rest() };
  }
  const clientsMax = input.varint();
  if (input.left > 0) throw corrupt(`${input.left} bytes too many`);
  return { op: "register", clientsMax };
}

/**
 * What is to become of a client's command: `fresh`, carry it out; `applied`, it was carried out before; `unknown`, nobody of that id is remembered;
 * `ahead`, it is too far ahead of numbers that were not carried out yet.
 */
export type Verdict = "fresh" | "applied" | "unknown" | "ahead";

/** How many numbers a client may be ahead of its first one that was not carried out, and how many of its last results are kept. Part of the format. */
export const sequencesAheadMax = 256;
/** What all kept results together may take, each with `resultCostBytes` on top: the oldest go first. Part of the format. */
export const resultsBytesMax = 16 << 20;
/** A larger result is not kept at all. Part of the format. */
export const resultBytesMax = 64 << 10;
const resultCostBytes = 64;

interface Client {
  /** Every number through here was carried out. */
  through: number;
  /** Those above that were, too. */
  readonly ahead: Set<number>;
}

const imageVersion = 1;

/**
 * Who has asked for what already (Ongaro, *Consensus: Bridging Theory and Practice*, 6.3; the client table of Viewstamped Replication). Part of the
 * replicated state: it changes by entries of the log alone, in slot order, so it is the same on every replica at the same slot, and a snapshot without it is no snapshot. What becomes of a
 * command depends on the log alone, never on what a state machine answered: results are kept beside it, for whoever asks again.
 *
 * Bounded by `clientsMax` of the newest registration: whoever was not heard of for longest is forgotten first, and refused from then on, since a forgotten number would be carried out
 * a second time.
 */
export class ClientTable {
  /** Oldest use first. */
  readonly #clients = new Map<number, Client>();
  /** Oldest first. */
  readonly #results = new Map<string, Uint8Array>();
  #resultsBytes = 0;
  #registered = 0;

  /** Clients that are remembered. */
  get size(): number {
    return this.#clients.size;
  }

  get resultsBytes(): number {
    return this.#resultsBytes;
  }

  /** Whether anybody ever registered: then all members take requests, and so must all later ones. */
  get used(): boolean {
    return this.#registered > 0;
  }

  /** The entry at `slot` registers a client of this id. */
  register(slot: number, clientsMax: number): void {
    this.#registered++;
    this.#clients.set(slot, { through: 0, ahead: new Set() });
    while (this.#clients.size > clientsMax) this.#forget(this.victim(this.#clients.keys()));
  }

  /** Who is forgotten, of all from the one unheard of for longest on. */
  protected victim(clients: Iterable<number>): number {
    for (const client of clients) return client;
    throw new PaxosError("ERR_PAXOS_INVARIANT", "nobody is there to be forgotten");
  }

  /** Also says that the client was heard of. What is `fresh` must be `done` before the next entry. */
  judge(client: number, sequence: number): Verdict {
    const known = this.#clients.get(client);
    if (known === undefined) return "unknown";
    this.#clients.delete(client);
    this.#clients.set(client, known);
    if (sequence <= known.through || known.ahead.has(sequence)) return "applied";
    return sequence > known.through + sequencesAheadMax ? "ahead" : "fresh";
  }

  /** Carried out. `result` is kept, as long as there is room; undefined: it cannot be. */
  done(client: number, sequence: number, result: Uint8Array | undefined): void {
    const known = this.#clients.get(client);
    if (known === undefined) return;
    known.ahead.add(sequence);
    while (known.ahead.delete(known.through + 1)) known.through++;
    this.#drop(keyOf(client, sequence - sequencesAheadMax));
    if (result !== undefined && result.length <= resultBytesMax) this.#keep(keyOf(client, sequence), result);
  }

  /** What a command answered when it was carried out; undefined when that is not kept. */
  resultOf(client: number, sequence: number): Uint8Array | undefined {
    return this.#results.get(keyOf(client, sequence));
  }

  /** The whole table, for a snapshot: version, content, checksum. The same bytes from the same entries and results. */
  encode(crc: (bytes: Uint8Array) => number): Uint8Array {
    const out = new ByteWriter(1024);
    out.byte(imageVersion);
    out.varint(this.#registered);
    out.varint(this.#clients.size);
    for (const [id, { through, ahead }] of this.#clients) {
      out.varint(id);
      out.varint(through);
      out.varint(ahead.size);
      for (const sequence of [...ahead].sort((a, b) => a - b)) out.varint(sequence - through);
    }
    out.varint(this.#results.size);
    for (const [key, result] of this.#results) {
      const [client, sequence] = key.split("/");
      out.varint(Number(client));
      out.varint(Number(sequence));
      out.blob(result);
    }
    const content = out.take();
    const image = new Uint8Array(content.length + 4);
    image.set(content);
    new DataView(image.buffer).setUint32(content.length, crc(content), true);
    return image;
  }

  /**
   * Reads what `encode` gave into this table, which is new.
   *
   * @throws PaxosError ERR_PAXOS_UNSUPPORTED, ERR_PAXOS_CORRUPT
   */
  load(image: Uint8Array, crc: (bytes: Uint8Array) => number): this {
    if (image.length < 5) throw corrupt("a table of clients ends early");
    const content = image.subarray(0, image.length - 4);
    const sum = new DataView(image.buffer, image.byteOffset, image.length).getUint32(content.length, true);
    if (sum !== crc(content)) throw corrupt("the checksum of a table of clients is wrong");
    const input = new ByteReader(content);
    const version = input.byte();
    if (version !== imageVersion) {
      const what = `a table of clients of version ${version}, this release reads ${imageVersion}`;
      throw new PaxosError("ERR_PAXOS_UNSUPPORTED", what);
    }
    this.#registered = input.varint();
    for (let left = input.varint(); left > 0; left--) {
      const [id, through] = [input.varint(), input.varint()];
      const ahead = new Set<number>();
      for (let more = input.varint(); more > 0; more--) ahead.add(through + input.varint());
      this.#clients.set(id, { through, ahead });
    }
    for (let left = input.varint(); left > 0; left--) {
      this.#keep(keyOf(input.varint(), input.varint()), Uint8Array.from(input.blob()));
    }
    if (input.left > 0) throw corrupt(`${input.left} bytes too many`);
    return this;
  }

  #forget(id: number): void {
    const client = this.#clients.get(id);
    if (client === undefined) return;
    this.#clients.delete(id);
    for (let n = client.through - sequencesAheadMax + 1; n <= client.through; n++) this.#drop(keyOf(id, n));
    for (const sequence of client.ahead) this.#drop(keyOf(id, sequence));
  }

  #keep(key: string, result: Uint8Array): void {
    this.#results.set(key, result);
    this.#resultsBytes += result.length + resultCostBytes;
    for (const oldest of this.#results.keys()) {
      if (this.#resultsBytes <= resultsBytesMax) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const result = this.#results.get(key);
    if (result === undefined) return;
    this.#results.delete(key);
    this.#resultsBytes -= result.length + resultCostBytes;
  }
}

function keyOf(client: number, sequence: number): string {
  return `${client}/${sequence}`;
}
