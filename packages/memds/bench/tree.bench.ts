import BTreeModule from "sorted-btree";
import type { Bench } from "../../../scripts/bench-types.js";
import { type Entry, RangeTree, sha256 } from "../src/index.js";

const BTree = BTreeModule.default;
const partitions = 200_000;
const tables = 2000;
const probes = 100_000;

/** Partitions as a store keeps them: table, first hash of the range, and where its replicas are. */
const entries: Entry[] = [];
const strings: [string, string][] = [];
for (let i = 0; i < partitions; i++) {
  const table = String(Math.floor(i / (partitions / tables))).padStart(5, "0");
  const range = Math.floor(((i % (partitions / tables)) / (partitions / tables)) * 2 ** 32);
  const key = Buffer.from(`t${table}/0000`, "latin1");
  key.writeUInt32BE(range, 7);
  const value = Uint8Array.of(i & 255, (i >> 8) & 255, (i >> 16) & 255, i % 30, (i + 11) % 30, (i + 7) % 30);
  entries.push({ key: new Uint8Array(key), value });
  strings.push([key.toString("latin1"), Buffer.from(value).toString("latin1")]);
}

let seed = 7;
const random = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};
const probeBytes: Uint8Array[] = [];
const probeStrings: string[] = [];
for (let i = 0; i < probes; i++) {
  const key = Buffer.from(entries[Math.floor(random() * partitions)]!.key);
  key.writeUInt32BE(Math.floor(random() * 2 ** 32), 7);
  probeBytes.push(new Uint8Array(key));
  probeStrings.push(key.toString("latin1"));
}

const buildTree = () => RangeTree.from(entries, sha256);
const buildBTree = () => new BTree<string, string>(strings);
let tree = RangeTree.empty(sha256);
let btree = new BTree<string, string>();

const updates: Bench = {
  name: "splits applied one by one to 200,000 partitions, old versions kept intact",
  metrics: { rate: { unit: "K updates/s", better: "higher" } },
  subjects: {
    evenkeel: {
      open: () => {
        tree = buildTree();
      },
      run: () => {
        const start = performance.now();
        let done = 0;
        let next = tree;
        while (performance.now() - start < 600) {
          for (let i = 0; i < 100; i++, done++) {
            const split = probeBytes[done % probes]!;
            next = next.apply([
              { key: split, value: entries[done % partitions]!.value },
              { key: entries[(done * 31) % partitions]!.key, value: entries[done % partitions]!.value },
            ]);
          }
        }
        return { rate: done / (performance.now() - start) };
      },
    },
    "sorted-btree": {
      note: "with clone() before each, which is copy-on-write",
      open: () => {
        btree = buildBTree();
      },
      run: () => {
        const start = performance.now();
        let done = 0;
        let next = btree;
        while (performance.now() - start < 600) {
          for (let i = 0; i < 100; i++, done++) {
            next = next.clone();
            next.set(probeStrings[done % probes]!, strings[done % partitions]![1]);
            next.set(strings[(done * 31) % partitions]![0], strings[done % partitions]![1]);
          }
        }
        return { rate: done / (performance.now() - start) };
      },
    },
  },
};

export default updates;
