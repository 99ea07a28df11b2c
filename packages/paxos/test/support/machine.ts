import type { Model } from "@evenkeel/simulation";
import type { Entry } from "../../src/core/index.js";

/** Registers by key. A swap answers what it replaced: a write that is applied twice, or out of order, shows in the next answer. */
export type Op =
  | { readonly kind: "swap"; readonly key: number; readonly value: number }
  | { readonly kind: "read"; readonly key: number };

export type Answer = number;

export const swapModel: Model<number, Op, Answer> = {
  initial: 0,
  step: (state, op) => ({ state: op.kind === "swap" ? op.value : state, output: state }),
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

export class Machine {
  #values = new Map<number, number>();
  appliedThrough = 0;

  /** The state as it is now, for a checkpoint or a snapshot. */
  copy(): Machine {
    const copy = new Machine();
    copy.#values = new Map(this.#values);
    copy.appliedThrough = this.appliedThrough;
    return copy;
  }

  /** Answers what was there before; undefined for a noop. */
  apply(entry: Entry): Answer | undefined {
    if (entry.slot !== this.appliedThrough + 1)
      throw new Error(`slot ${entry.slot} applied after ${this.appliedThrough}`);
    this.appliedThrough = entry.slot;
    if (entry.kind !== "command") return undefined;
    const { 0: key = 0, 1: a = 0, 2: b = 0, 3: c = 0, 4: d = 0 } = entry.command;
    const before = this.get(key);
    this.#values.set(key, a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d);
    return before;
  }

  get(key: number): Answer {
    return this.#values.get(key) ?? 0;
  }

  fingerprint(): string {
    const keys = [...this.#values.keys()].sort((a, b) => a - b);
    return keys.map((key) => `${key}=${this.get(key)}`).join(" ");
  }
}
