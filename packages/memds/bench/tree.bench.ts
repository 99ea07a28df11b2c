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
const buildArray = () => strings.map(([key]) => key);

function floorInArray(keys: readonly string[], key: string): string | undefined {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! <= key) low = middle + 1;
    else high = middle;
  }
  return keys[low - 1];
}

function floorRate(find: (probe: number) => unknown): Record<string, number> {
  const start = performance.now();
  let done = 0;
  while (performance.now() - start < 600) {
    for (let i = 0; i < 10_000; i++) if (find((done + i) % probes) === undefined) throw new Error("no floor was found");
    done += 10_000;
  }
  return { rate: done / (performance.now() - start) / 1000 };
}

let tree = RangeTree.empty(sha256);
let btree = new BTree<string, string>();
let array: string[] = [];

const floors: Bench = {
  name: "floor look-ups, 200,000 partitions of 2,000 tables",
  metrics: { rate: { unit: "M ops/s", better: "higher" } },
  subjects: {
    evenkeel: {
      note: "answers copies of key and value",
      open: () => {
        tree = buildTree();
      },
      run: () => floorRate((i) => tree.floor(probeBytes[i]!)),
    },
    "sorted-btree": {
      note: "answers a reference",
      open: () => {
        btree = buildBTree();
      },
      run: () => floorRate((i) => btree.getPairOrNextLower(probeStrings[i]!)),
    },
    limit: {
      note: "binary search in an array of strings",
      open: () => {
        array = buildArray();
      },
      run: () => floorRate((i) => floorInArray(array, probeStrings[i]!)),
    },
  },
  goals: [{ metric: "rate", against: "sorted-btree", atLeast: 1 }],
};

/** Memory of what is built, beside its input: copies are made so that nothing is shared with it. */
async function memory(build: () => object): Promise<Record<string, number>> {
  const { setFlagsFromString } = await import("node:v8");
  const { runInNewContext } = await import("node:vm");
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc") as () => void;
  const used = async () => {
    for (let i = 0; i < 3; i++) {
      gc();
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const before = await used();
  const held = [build()];
  const bytes = (await used()) - before;
  held.pop();
  return { perEntry: bytes / partitions };
}

const copied = (value: string) => Buffer.from(value, "latin1").toString("latin1");

const bytes: Bench = {
  name: "memory, 200,000 partitions (11-byte keys, 6-byte values)",
  metrics: { perEntry: { unit: "B/entry", better: "lower" } },
  subjects: {
    evenkeel: {
      note: "keys, values and Merkle hashes",
      run: () =>
        memory(() => {
          const built = buildTree();
          void built.rootHash;
          return built;
        }),
    },
    "sorted-btree": {
      note: "keys and values as strings, no hashes",
      run: () => memory(() => new BTree<string, string>(strings.map(([key, value]) => [copied(key), copied(value)]))),
    },
    limit: {
      note: "two arrays of strings",
      run: () => memory(() => strings.flatMap(([key, value]) => [copied(key), copied(value)])),
    },
  },
  goals: [{ metric: "perEntry", against: "sorted-btree", atMost: 0.5 }],
};

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

export default [floors, bytes, updates];
