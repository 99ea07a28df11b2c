import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeCommand, type Write } from "../src/storage-node/command.js";
import { endedKey } from "../src/storage-node/ended-transaction.js";
import { sourceKey } from "../src/storage-node/global-index-keys.js";
import { keyText } from "../src/storage-node/key-text.js";
import { OWN_PREFIX } from "../src/storage-node/own-keys.js";
import { type FeedSource, type FillStep, nextFill } from "../src/storage-node/split-feed.js";
import {
  decodeProgress,
  encodeProgress,
  type SplitProgress,
  sameProgress,
} from "../src/storage-node/split-progress.js";

const MIDDLE = 2 ** 31;
const UPPER = { hashFrom: MIDDLE, hashTo: 2 ** 32 };
const LOWER = { hashFrom: 0, hashTo: MIDDLE };
const LIMITS = { itemsMax: 3, entriesMax: 4, bytesMax: 200 };

/** Few keys, so that they are written again: of items on either side, of what belongs to both, and of what is the whole's alone. */
const KEYS: readonly Uint8Array[] = [
  ...Array.from({ length: 16 }, (_, i) => Uint8Array.of((i * 16) % 256, 0, 0, 0, 0, 1, 65 + i)),
  endedKey("0123456789ab-x"),
  endedKey("0123456789ac-y"),
  sourceKey(3),
  Buffer.concat([OWN_PREFIX, Buffer.from("description")]),
  Buffer.concat([OWN_PREFIX, Buffer.from("n")]),
];
const IN_BOTH = KEYS.slice(16, 19).map(keyText);

/** A partition as a replica of it is: what is there, and the log that made it so, from a slot on. */
class Whole implements FeedSource {
  readonly items = new Map<string, { key: Uint8Array; value: { json: Uint8Array; itemSizeBytes: number } }>();
  readonly log: Uint8Array[] = [];
  readonly replica;
  readonly changes;

  constructor() {
    const whole = this;
    this.replica = {
      partition: 7,
      get appliedThrough() {
        return whole.log.length;
      },
      *range({ from, to }: { from?: Uint8Array | undefined; to?: Uint8Array | undefined }) {
        const inOrder = [...whole.items.values()].sort((a, b) => Buffer.compare(a.key, b.key));
        for (const entry of inOrder) {
          if (from !== undefined && Buffer.compare(entry.key, from) < 0) continue;
          if (to === undefined || Buffer.compare(entry.key, to) < 0) yield entry;
        }
      },
    } as unknown as FeedSource["replica"];
    this.changes = {
      async *entries(from: number, through: number) {
        for (let slot = from; slot <= through; slot++) yield { slot, command: whole.log[slot - 1] };
      },
    };
  }

  write(writes: readonly Write[]): void {
    this.log.push(encodeCommand({ kind: "writes", timeMs: 0, writes }));
    for (const write of writes) {
      const name = keyText(write.key);
      if (write.op === "delete") this.items.delete(name);
      else this.items.set(name, { key: write.key, value: { json: write.bytes, itemSizeBytes: write.itemSizeBytes } });
    }
  }
}

class Part {
  readonly held = new Map<string, string>();
  progress: SplitProgress | undefined;

  take(step: FillStep): void {
    if (!sameProgress(this.progress, step.from ?? undefined)) return;
    for (const write of step.writes) {
      if (write.op === "delete") this.held.delete(keyText(write.key));
      else this.held.set(keyText(write.key), Buffer.from(write.bytes).toString());
    }
    // As it is stored.
    this.progress = decodeProgress(encodeProgress(step.to));
  }
}

const write = fc.record({ key: fc.constantFrom(...KEYS), value: fc.option(fc.integer({ min: 0, max: 9 })) });
const action = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("write" as const), writes: fc.array(write, { maxLength: 3 }) }),
  },
  // A leader makes a step; it is taken now, or comes late, or twice.
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("step" as const), when: fc.constantFrom("now", "late", "twice") }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("arrive" as const) }) },
);

test("a part comes to hold what the whole does in its range, whatever is written meanwhile and however often each step comes", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(write, { maxLength: 20 }),
      fc.array(action, { maxLength: 60 }),
      fc.constantFrom(LOWER, UPPER),
      async (first, actions, range) => {
        const whole = new Whole();
        const part = new Part();
        const late: FillStep[] = [];
        const put = (writes: readonly { key: Uint8Array; value: number | null }[]) =>
          whole.write(
            writes.map(({ key, value }): Write => {
              if (value === null) return { op: "delete", key };
              return { op: "put", key, bytes: Buffer.from(`${value}`), itemSizeBytes: 1 };
            }),
          );
        for (const one of first) put([one]);
        for (const one of actions) {
          if (one.kind === "write") put(one.writes);
          else if (one.kind === "arrive") for (const step of late.splice(0)) part.take(step);
          else {
            const step = await nextFill(whole, range, part.progress, LIMITS);
            if (step === undefined) continue;
            if (one.when !== "late") part.take(step);
            if (one.when !== "now") late.push(step);
          }
        }
        for (;;) {
          const step = await nextFill(whole, range, part.progress, LIMITS);
          if (step === undefined) break;
          part.take(step);
        }
        for (const step of late) part.take(step);
        expect(part.progress).toEqual({ of: 7, slot: whole.log.length, copied: true });
        const isWanted = (key: Uint8Array): boolean => {
          if (key.length > 7 || keyText(key).startsWith(keyText(OWN_PREFIX))) return IN_BOTH.includes(keyText(key));
          const hash = Buffer.from(key).readUInt32BE(0);
          return range.hashFrom <= hash && hash < range.hashTo;
        };
        const wanted = [...whole.items].filter(([, { key }]) => isWanted(key));
        expect(part.held).toEqual(
          new Map(wanted.map(([name, { value }]) => [name, Buffer.from(value.json).toString()])),
        );
      },
    ),
    { numRuns: 300 },
  );
});

test("how far a part is reads as it was written when it was first written", () => {
  const stored = '{"of":7,"slot":41,"after":"00ff"}';
  expect(decodeProgress(Buffer.from(stored))).toEqual({ of: 7, slot: 41, after: "00ff" });
  expect(encodeProgress({ of: 7, slot: 41, after: "00ff" }).toString()).toBe(stored);
  expect(decodeProgress(Buffer.from('{"of":7,"slot":52,"copied":true,"sinceMs":1700000000000}'))).toEqual({
    of: 7,
    slot: 52,
    copied: true,
    sinceMs: 1_700_000_000_000,
  });
  expect(decodeProgress(undefined)).toBeUndefined();
});
