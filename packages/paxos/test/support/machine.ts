import type { Model } from "@evenkeel/simulation";
import { ClientTable, decodeRequest, type Entry, encodeRequest } from "../../src/core/index.js";

/** Registers and counters by key. A swap answers what it replaced: a write that is applied twice, or out of order, shows in the next answer. */
export type Op =
  | { readonly kind: "swap"; readonly key: number; readonly value: number }
  | { readonly kind: "read"; readonly key: number }
  /** Answers the count with this one: whatever is added twice shows in every later answer. */
  | { readonly kind: "add"; readonly key: number };

/** What a client asks under a name and number of its own, however often. */
export type Request =
  | { readonly kind: "register"; readonly clientsMax: number }
  | { readonly kind: "once"; readonly key: number; readonly client: number; readonly sequence: number };

export type Answer = number;

export const swapModel: Model<number, Op, Answer> = {
  initial: 0,
  step: (state, op) => {
    if (op.kind === "add") return { state: state + 1, output: state + 1 };
    return { state: op.kind === "swap" ? op.value : state, output: state };
  },
  isPure: (op) => op.kind === "read",
  stateText: String,
};

export const opKey = (op: Op): string => String(op.key);

/** A byte of key, four of value, then padding. */
export function encodeSwap(key: number, value: number, padding: number): Uint8Array {
  const bytes = new Uint8Array(5 + padding);
  bytes[0] = key;
  for (let i = 0; i < 4; i++) bytes[1 + i] = value >>> (24 - 8 * i);
  return bytes;
}

export function encodeAsked(request: Request): Uint8Array {
  if (request.kind === "register") return encodeRequest({ op: "register", clientsMax: request.clientsMax });
  const { client, sequence, key } = request;
  return encodeRequest({ op: "command", client, sequence, command: Uint8Array.of(key) });
}

/** The checksum of an image that never leaves memory. */
const unsummed = () => 0;

/** How a machine betrays its clients, if it does. */
export interface Betrayal {
  readonly table?: () => ClientTable;
  /** Carries out whatever the log says, whoever may have asked for it before. */
  readonly carriesOutAgain?: boolean;
}

export class Machine {
  #values = new Map<number, number>();
  #betrayal: Betrayal;
  clients: ClientTable;
  appliedThrough = 0;
  /** Of the entry applied last: a client's command that was not carried out, and why; or that it had been before. */
  verdict: "unknown" | "ahead" | "applied" | undefined;

  constructor(betrayal: Betrayal = {}) {
    this.#betrayal = betrayal;
    this.clients = betrayal.table?.() ?? new ClientTable();
  }

  /** The state as it is now, for a checkpoint or a snapshot. */
  copy(): Machine {
    const copy = new Machine(this.#betrayal);
    copy.#values = new Map(this.#values);
    copy.appliedThrough = this.appliedThrough;
    if (this.clients.used) copy.clients.load(this.clients.encode(unsummed), unsummed);
    return copy;
  }

  /** Answers what was there before, the count, or a client's id; undefined for a noop and for what is refused. */
  apply(entry: Entry): Answer | undefined {
    if (entry.slot !== this.appliedThrough + 1)
      throw new Error(`slot ${entry.slot} applied after ${this.appliedThrough}`);
    this.appliedThrough = entry.slot;
    this.verdict = undefined;
    if (entry.kind === "once") return this.#once(entry);
    if (entry.kind !== "command") return undefined;
    const { 0: key = 0, 1: a = 0, 2: b = 0, 3: c = 0, 4: d = 0 } = entry.command;
    const before = this.get(key);
    this.#values.set(key, a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d);
    return before;
  }

  #once({ slot, command }: Entry): Answer | undefined {
    const request = decodeRequest(command);
    if (request.op === "register") {
      this.clients.register(slot, request.clientsMax);
      return slot;
    }
    const { client, sequence } = request;
    const verdict = this.clients.judge(client, sequence);
    if (verdict !== "fresh") this.verdict = verdict;
    if (verdict === "applied" && !this.#betrayal.carriesOutAgain) return this.answered(client, sequence);
    if (verdict === "unknown" || verdict === "ahead") return undefined;
    const key = request.command[0] as number;
    const count = this.get(key) + 1;
    this.#values.set(key, count);
    const kept = new Uint8Array(4);
    new DataView(kept.buffer).setUint32(0, count);
    this.clients.done(client, sequence, kept);
    return count;
  }

  /** What a client's command answered when it was carried out. */
  answered(client: number, sequence: number): Answer | undefined {
    const kept = this.clients.resultOf(client, sequence);
    return kept && new DataView(kept.buffer, kept.byteOffset, kept.length).getUint32(0);
  }

  /** The table of clients, to be compared. */
  clientsText(): string {
    return Buffer.from(this.clients.encode(unsummed)).toString("latin1");
  }

  get(key: number): Answer {
    return this.#values.get(key) ?? 0;
  }

  fingerprint(): string {
    const keys = [...this.#values.keys()].sort((a, b) => a - b);
    return keys.map((key) => `${key}=${this.get(key)}`).join(" ");
  }
}
