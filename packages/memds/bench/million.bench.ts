import type { Bench } from "../../../scripts/bench-types.js";
import { crc32, decodeSnapshot, encodeSnapshot, Place, RangeTree, sha256 } from "../src/index.js";
import { cpuMs, entries, memoryOf, partitions, probes, seeded, textOf } from "./partitions.js";
import { buildBTree, MapOfObjects, PackedArrays, type Tree } from "./peers.js";

const hashBytes = 4;
const probeCount = 50_000;
const edge = { hash: sha256, checksum: crc32 };
const asked = probes(probeCount, hashBytes);
const askedText = Array.from({ length: probeCount }, (_, i) =>
  textOf(asked.bytes.subarray(i * asked.width, (i + 1) * asked.width)),
);
const title = "1,000,000 partitions of 10,000 tables";

const snapshotOf = (bytes: number) =>
  encodeSnapshot({ version: 1, tree: RangeTree.from(entries(bytes), sha256) }, crc32);
const load = (snapshot: Uint8Array) => {
  const { tree } = decodeSnapshot(snapshot, edge);
  void tree.rootHash;
  return tree;
};

function rate(find: (probe: number) => number): Record<string, number> {
  let found = 0;
  let done = 0;
  for (let i = 0; i < probeCount; i++) found += find(i); // warms up
  const startMs = cpuMs();
  for (; cpuMs() - startMs < 700; done += probeCount) for (let i = 0; i < probeCount; i++) found += find(i);
  if (found < 0) throw new Error("no floor was found");
  return { rate: done / (cpuMs() - startMs) / 1000 };
}

const key = new Uint8Array(asked.width);
const place = new Place();
function take(probe: number): Uint8Array {
  for (let b = 0, at = probe * asked.width; b < asked.width; b++) key[b] = asked.bytes[at + b]!;
  return key;
}

let tree = RangeTree.empty(sha256);
let btree: Tree | undefined;
let map: MapOfObjects | undefined;
let packed: PackedArrays | undefined;

const floors: Bench = {
  name: `floor look-ups, ${title}`,
  metrics: { rate: { unit: "M ops/CPU-s", better: "higher" } },
  subjects: {
    evenkeel: {
      note: "seekFloor: the value is read where it lies",
      open: () => {
        tree = load(snapshotOf(hashBytes));
      },
      run: () =>
        rate((i) => (tree.seekFloor(take(i), place) ? place.bytes[place.valueStart]! : Number.NEGATIVE_INFINITY)),
      close: () => {
        tree = RangeTree.empty(sha256);
      },
    },
    "Map of objects": {
      note: "by table, a sorted array each; keys and probes are strings",
      open: () => {
        map = new MapOfObjects(hashBytes);
      },
      run: () => rate((i) => map!.floor(askedText[i]!)!.id),
      close: () => {
        map = undefined;
      },
    },
    "sorted-btree": {
      note: "keys and probes are strings",
      open: () => {
        btree = buildBTree(hashBytes);
      },
      run: () => rate((i) => btree!.getPairOrNextLower(askedText[i]!)![1].length),
      close: () => {
        btree = undefined;
      },
    },
    "packed arrays": {
      note: "binary search in one run of keys; no versions, no hashes, a change copies all",
      open: () => {
        packed = new PackedArrays(hashBytes);
      },
      run: () => rate((i) => packed!.values[packed!.floor(take(i)) * 6]!),
      close: () => {
        packed = undefined;
      },
    },
  },
  goals: [
    { metric: "rate", atLeast: 5 },
    { metric: "rate", against: "sorted-btree", atLeast: 5 },
  ],
};

/** Separators are cut to what tells neighbours apart; whole keys hold 16 bytes of hash. */
const memory = (bytes: number, what: string, atMost: number): Bench => {
  const looked = probes(probeCount, bytes);
  let snapshot: Uint8Array = new Uint8Array(0);
  const per = async (build: () => object) => ({ perEntry: (await memoryOf(build)) / partitions });
  return {
    name: `memory, ${title}, ${what}`,
    metrics: { perEntry: { unit: "B/partition", better: "lower" } },
    subjects: {
      evenkeel: {
        note: "all Merkle hashes included, and what look-ups make to be quick",
        open: () => {
          snapshot = snapshotOf(bytes);
        },
        run: () =>
          per(() => {
            const loaded = load(snapshot);
            for (let i = 0; i < probeCount; i++) {
              loaded.seekFloor(looked.bytes.subarray(i * looked.width, (i + 1) * looked.width), place);
            }
            return loaded;
          }),
        close: () => {
          snapshot = new Uint8Array(0);
        },
      },
      "Map of objects": { run: () => per(() => new MapOfObjects(bytes)) },
      "sorted-btree": { run: () => per(() => buildBTree(bytes)) },
      "packed arrays": { run: () => per(() => new PackedArrays(bytes)) },
    },
    goals: [{ metric: "perEntry", atMost }],
  };
};

let snapshot: Uint8Array = new Uint8Array(0);
const cold: Bench = {
  name: `cold load, ${title}`,
  metrics: { time: { unit: "CPU-ms", better: "lower" } },
  subjects: {
    evenkeel: {
      note: "from a snapshot's bytes: checksum, order and shape checked, every Merkle hash computed",
      open: () => {
        snapshot = snapshotOf(hashBytes);
      },
      run: () => {
        const startMs = cpuMs();
        load(snapshot);
        return { time: cpuMs() - startMs };
      },
    },
    "sorted-btree": {
      note: "from entries; nothing checked or hashed",
      run: () => {
        const startMs = cpuMs();
        buildBTree(hashBytes);
        return { time: cpuMs() - startMs };
      },
    },
    "Map of objects": {
      note: "from entries; nothing checked or hashed",
      run: () => {
        const startMs = cpuMs();
        new MapOfObjects(hashBytes);
        return { time: cpuMs() - startMs };
      },
    },
  },
  goals: [{ metric: "time", atMost: 250 }],
};

let after = RangeTree.empty(sha256);
const differences: Bench = {
  name: `diff of two versions that differ in 1,000 of ${title}`,
  metrics: { time: { unit: "CPU-ms", better: "lower" } },
  subjects: {
    evenkeel: {
      note: "both with their hashes",
      open: () => {
        tree = load(snapshotOf(hashBytes));
        const random = seeded(3);
        const changes = new Map<string, { key: Uint8Array; value: Uint8Array }>();
        while (changes.size < 1000) {
          tree.seekFloor(take(Math.floor(random() * probeCount)), place);
          changes.set(textOf(place.key()), { key: place.key(), value: Uint8Array.of(255, 255, 255, 255, 255, 255) });
        }
        after = tree.apply([...changes.values()]);
        void after.rootHash;
      },
      run: () => {
        const startMs = cpuMs();
        let found = 0;
        const turns = 20;
        for (let i = 0; i < turns; i++) found += tree.diff(after).length;
        if (found !== turns * 1000) throw new Error(`${found / turns} changes were found`);
        return { time: (cpuMs() - startMs) / turns };
      },
    },
    "packed arrays": {
      note: "the best that can be done without hashes: comparing all bytes",
      open: () => {
        packed = new PackedArrays(hashBytes);
      },
      run: () => {
        const { values } = packed!;
        const other = values.slice();
        const startMs = cpuMs();
        let same = 0;
        for (let i = 0; i < values.length; i++) if (values[i] === other[i]) same++;
        if (same !== values.length) throw new Error("a copy differs");
        return { time: cpuMs() - startMs };
      },
    },
  },
};

export default [
  floors,
  memory(2, "separators of 2 bytes", 16),
  memory(16, "whole hashes of 16 bytes", 28),
  cold,
  differences,
];
