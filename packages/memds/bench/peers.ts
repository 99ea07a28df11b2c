import BTreeModule from "sorted-btree";
import { entries, partitions, textOf } from "./partitions.js";

const BTree = BTreeModule.default;
export type Tree = InstanceType<typeof BTree<string, string>>;

/** What comes out of a parser shares its memory with the input; a copy does not. */
const copied = (text: string) => Buffer.from(text, "latin1").toString("latin1");

export function buildBTree(hashBytes: number): Tree {
  const pairs: [string, string][] = [];
  for (const { key, value } of entries(hashBytes)) pairs.push([copied(textOf(key)), copied(textOf(value))]);
  return new BTree<string, string>(pairs);
}

interface Partition {
  readonly hash: string;
  readonly id: number;
  readonly nodes: readonly number[];
}

/** A table's partitions in a sorted array of objects, in a Map by the table's name: what one writes first. */
export class MapOfObjects {
  readonly #tables = new Map<string, Partition[]>();

  constructor(hashBytes: number) {
    for (const { key, value } of entries(hashBytes)) {
      const text = textOf(key);
      const table = copied(text.slice(0, 6));
      let list = this.#tables.get(table);
      if (list === undefined) {
        list = [];
        this.#tables.set(table, list);
      }
      const id = value[0]! | (value[1]! << 8) | (value[2]! << 16);
      list.push({ hash: copied(text.slice(7)), id, nodes: [value[3]!, value[4]!, value[5]!] });
    }
  }

  floor(key: string): Partition | undefined {
    const list = this.#tables.get(key.slice(0, 6));
    if (list === undefined) return undefined;
    const hash = key.slice(7);
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (list[middle]!.hash <= hash) low = middle + 1;
      else high = middle;
    }
    return list[low - 1];
  }
}

/** Keys and values of one width each in two sorted runs of bytes: as small as it gets without compression, and as hard to change. */
export class PackedArrays {
  readonly #keys: Uint8Array;
  readonly values: Uint8Array;
  readonly #width: number;

  constructor(hashBytes: number) {
    this.#width = 7 + hashBytes;
    this.#keys = new Uint8Array(partitions * this.#width);
    this.values = new Uint8Array(partitions * 6);
    let i = 0;
    for (const { key, value } of entries(hashBytes)) {
      this.#keys.set(key, i * this.#width);
      this.values.set(value, i++ * 6);
    }
  }

  floor(key: Uint8Array): number {
    const keys = this.#keys;
    const width = this.#width;
    let low = 0;
    let high = partitions;
    while (low < high) {
      const middle = (low + high) >>> 1;
      let at = 0;
      while (at < width && keys[middle * width + at] === key[at]) at++;
      if (at === width || keys[middle * width + at]! < key[at]!) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
