import type { Ballot } from "./ballot.js";
import type { BondId } from "./bond-id.js";
import { ByteReader, ByteWriter } from "./bytes.js";
import type { Configuration } from "./configuration.js";
import { PaxosError } from "./errors.js";
import { pressMark } from "./mark-press.js";

/** What thousands of packed groups of one node have in common: names of nodes, lives of processes. Each is kept once, for as long as the node lives. */
export class Words {
  readonly #indices = new Map<string | number, number>();
  readonly #words: (string | number)[] = [];

  indexOf(word: string | number): number {
    const known = this.#indices.get(word);
    if (known !== undefined) return known;
    this.#indices.set(word, this.#words.length);
    return this.#words.push(word) - 1;
  }

  at(index: number): string | number {
    return this.#words[index] as string | number;
  }
}

/**
 * Both ways between a sleeping group and the few bytes that it is kept in. Whoever has something to keep says it once, in one method: `this.round = p.whole(this.round)` writes when packing and gives
 * back what it was given, and reads when unpacking. So what is written and what is read cannot drift apart. The bytes never leave the process: they carry no version and no checksum.
 */
export interface Press {
  readonly packing: boolean;
  /** Packing: unless this is so, there is more to it than is kept, and it cannot be packed now. Comes before whatever is set. */
  expect(so: boolean): void;
  flag(value: boolean): boolean;
  /** From 0 to 2^53 - 1. */
  whole(value: number): number;
  float(value: number): number;
  /** A moment that no longer matters once it lies before `sinceMs`: then it is as good as never. */
  time(value: number, sinceMs: number): number;
  /** A word that comes up in many groups. */
  name(value: string): string;
  /** One that does not. */
  text(value: string): string;
  ballot(value: Ballot): Ballot;
  bond(value: BondId): BondId;
  configuration(value: Configuration): Configuration;
}

abstract class Composed {
  abstract readonly packing: boolean;
  abstract whole(value: number): number;
  abstract flag(value: boolean): boolean;
  abstract float(value: number): number;
  abstract text(value: string): string;
  protected abstract word<T extends string | number>(value: T): T;

  time(value: number, sinceMs: number): number {
    if (this.flag(value >= sinceMs)) return this.float(value);
    return this.packing ? value : Number.NEGATIVE_INFINITY;
  }

  name(value: string): string {
    return this.word(value);
  }

  ballot({ round, node }: Ballot): Ballot {
    return { round: this.whole(round), node: this.name(node) };
  }

  bond({ life, turn }: BondId): BondId {
    return { life: this.word(life), turn: this.whole(turn) };
  }

  configuration({ slot, storage, log, departed, marks = [] }: Configuration): Configuration {
    const at = this.whole(slot);
    // One number for two, so that marks cost nothing where there are none: of thousands of groups that is most.
    const count = this.whole(2 * storage.length + (marks.length > 0 ? 1 : 0));
    const configuration = {
      slot: at,
      storage: this.#names(storage, count >> 1),
      log: this.#names(log),
      departed: this.#names(departed),
    };
    if ((count & 1) === 0) return configuration;
    const pressed = Array.from({ length: this.whole(marks.length) }, (_, i) => {
      const [node, mark] = marks[i] ?? ["", ""];
      return [this.name(node), pressMark(this, mark)] as const;
    });
    return { ...configuration, marks: pressed };
  }

  #names(names: readonly string[], length = this.whole(names.length)): readonly string[] {
    return Array.from({ length }, (_, at) => this.name(names[at] as string));
  }
}

/** Made once: where it is thrown is of no interest. */
const unfit = new PaxosError("ERR_PAXOS_INVARIANT", "there is more to it than is kept of a group that sleeps");

export class Packer extends Composed implements Press {
  readonly packing = true;
  readonly #words: Words;
  readonly #out: ByteWriter;
  #flagsAt = 0;
  #flags = 8;

  constructor(words: Words, capacity = 128) {
    super();
    this.#words = words;
    this.#out = new ByteWriter(capacity);
  }

  /** What `work` presses; undefined where something is not as it expects. It goes no further then: whatever it would set is as it was. */
  take(work: (p: Press) => void): Uint8Array | undefined {
    try {
      work(this);
      return this.#out.take();
    } catch (problem) {
      if (problem !== unfit) throw problem;
      this.#out.take();
      return undefined;
    } finally {
      this.#flags = 8;
    }
  }

  expect(so: boolean): void {
    if (!so) throw unfit;
  }

  /** Eight share a byte, which stands where the first of them was written. */
  flag(value: boolean): boolean {
    if (this.#flags === 8) {
      this.#flags = 0;
      this.#flagsAt = this.#out.length;
      this.#out.byte(0);
    }
    if (value) this.#out.setBit(this.#flagsAt, this.#flags);
    this.#flags++;
    return value;
  }

  whole(value: number): number {
    this.expect(Number.isSafeInteger(value) && value >= 0);
    this.#out.varint(value);
    return value;
  }

  float(value: number): number {
    this.#out.float64(value);
    return value;
  }

  text(value: string): string {
    this.#out.text(value);
    return value;
  }

  protected word<T extends string | number>(value: T): T {
    this.#out.varint(this.#words.indexOf(value));
    return value;
  }
}

export class Unpacker extends Composed implements Press {
  readonly packing = false;
  readonly #words: Words;
  readonly #in: ByteReader;
  #flags = 0;
  #left = 0;

  constructor(words: Words, bytes: Uint8Array) {
    super();
    this.#words = words;
    this.#in = new ByteReader(bytes);
  }

  expect(_so: boolean): void {}

  flag(_value: boolean): boolean {
    if (this.#left === 0) {
      this.#flags = this.#in.byte();
      this.#left = 8;
    }
    const set = (this.#flags & 1) === 1;
    this.#flags >>= 1;
    this.#left--;
    return set;
  }

  whole(_value: number): number {
    return this.#in.varint();
  }

  float(_value: number): number {
    return this.#in.float64();
  }

  text(_value: string): string {
    return this.#in.text();
  }

  protected word<T extends string | number>(_value: T): T {
    return this.#words.at(this.#in.varint()) as T;
  }
}
