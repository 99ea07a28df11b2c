import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Command, decodeCommand, encodeCommand, type Write } from "../src/storage-node/command.js";
import { StoreError } from "../src/storage-node/errors.js";
import { encodeState, StateDecoder } from "../src/storage-node/partition-state.js";
import { decodeStored, encodeStored } from "../src/storage-node/stored-value.js";
import { decodeApplied, encodeApplied } from "../src/storage-node/tree-applied.js";

/** Written once, not by this program, and never again: what lies on somebody's disk does not change with us. */
const fixture = (name: string): Buffer => readFileSync(new URL(`fixtures/${name}`, import.meta.url));

const KEY = Buffer.concat([Buffer.from("7f00ff010002", "hex"), Buffer.from("p1größe")]);
const OTHER_KEY = Buffer.from("00000000000178", "hex");
const ITEM = Buffer.from('{"pk":{"S":"p1"},"sk":{"S":"größe"},"n":{"N":"-1.5"}}');
const WAS = Buffer.from('{"pk":{"S":"p1"},"sk":{"S":"größe"},"n":{"N":"7"}}');
const EMPTY = { bytes: Buffer.from("{}"), itemSizeBytes: 0 };
const TIME_MS = Date.UTC(2026, 0, 1, 0, 0, 0, 123);

/** Plain bytes, whatever kind of view they came in: so that they compare. */
const plain = (command: Command): unknown =>
  command.kind === "mark"
    ? command
    : {
        ...command,
        writes: command.writes.map((write) => ({
          ...write,
          key: Buffer.from(write.key).toString("hex"),
          ...(write.op === "put" ? { bytes: Buffer.from(write.bytes).toString("hex") } : {}),
          ...(write.change?.before && {
            change: {
              ...write.change,
              before: { ...write.change.before, bytes: Buffer.from(write.change.before.bytes).toString("hex") },
            },
          }),
        })),
      };

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
  return undefined;
}

const bytes = fc.uint8Array({ maxLength: 200 });
const image = { bytes, itemSizeBytes: fc.nat({ max: 400 * 1024 }) };
const noted = {
  key: bytes,
  change: fc.record({ before: fc.record(image), expired: fc.constant(true as const) }, { requiredKeys: [] }),
};
const writes: fc.Arbitrary<Write> = fc.oneof(
  fc.record({ op: fc.constant("delete" as const), ...noted }, { requiredKeys: ["op", "key"] }),
  fc.record(
    { op: fc.constant("put" as const), ...image, ...noted },
    { requiredKeys: ["op", "key", "bytes", "itemSizeBytes"] },
  ),
);
const commands: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ kind: fc.constant("mark" as const), timeMs: fc.nat() }),
  fc.record({ kind: fc.constant("writes" as const), timeMs: fc.nat(), writes: fc.array(writes, { maxLength: 20 }) }),
);

describe("a log command, versions 1 and 2,", () => {
  const golden: readonly (readonly [string, Command])[] = [
    [
      "command-writes-v1.bin",
      {
        kind: "writes",
        timeMs: TIME_MS,
        writes: [
          { op: "put", key: KEY, bytes: ITEM, itemSizeBytes: 23 },
          { op: "delete", key: OTHER_KEY },
          { op: "put", key: OTHER_KEY, bytes: Buffer.from("{}"), itemSizeBytes: 0 },
        ],
      },
    ],
    ["command-mark-v1.bin", { kind: "mark", timeMs: TIME_MS }],
    [
      "command-writes-v2.bin",
      {
        kind: "writes",
        timeMs: TIME_MS,
        writes: [
          {
            op: "put",
            key: KEY,
            bytes: ITEM,
            itemSizeBytes: 23,
            change: { before: { bytes: WAS, itemSizeBytes: 21 } },
          },
          { op: "delete", key: OTHER_KEY, change: { before: EMPTY } },
          { op: "put", key: OTHER_KEY, ...EMPTY, change: {} },
          { op: "delete", key: OTHER_KEY, change: { before: EMPTY, expired: true } },
          { op: "put", key: KEY, bytes: ITEM, itemSizeBytes: 23 },
        ],
      },
    ],
  ];

  test.each(golden)("reads as it was written: %s", (name, command) => {
    expect(plain(decodeCommand(fixture(name)))).toEqual(plain(command));
    expect(encodeCommand(command).equals(fixture(name))).toBe(true);
  });

  test.each(golden)("of a newer version, or cut off anywhere, or with a tail, is refused as such: %s", (name) => {
    const whole = fixture(name);
    for (let version = 0; version < 256; version++) {
      if (version === 1 || version === 2) continue;
      const other = Buffer.from(whole);
      other[0] = version;
      expect(() => decodeCommand(other)).toThrow(`format version ${version}; this program reads versions 1 and 2`);
      expect(codeOf(() => decodeCommand(other))).toBe("ERR_STORE_FORMAT");
    }
    for (let length = 0; length < whole.length; length++) {
      expect(
        codeOf(() => decodeCommand(whole.subarray(0, length))),
        `cut off after ${length} bytes`,
      ).toBe("ERR_STORE_FORMAT");
    }
    expect(codeOf(() => decodeCommand(Buffer.concat([whole, Buffer.alloc(1)])))).toBe("ERR_STORE_FORMAT");
  });

  test("is read back as it was, wherever in memory its bytes lie", () => {
    fc.assert(
      fc.property(commands, fc.nat({ max: 9 }), (command, offset) => {
        const encoded = encodeCommand(command);
        const elsewhere = new Uint8Array(encoded.length + 20).fill(0xee);
        elsewhere.set(encoded, offset);
        expect(plain(decodeCommand(elsewhere.subarray(offset, offset + encoded.length)))).toEqual(plain(command));
      }),
    );
  });

  test("with flipped bits, or of any bytes at all, is either read or refused as what it is", () => {
    const flipped = fc.tuple(commands, fc.array(fc.nat(), { minLength: 1, maxLength: 8 })).map(([command, bits]) => {
      const damaged = encodeCommand(command);
      for (const bit of bits)
        damaged[(bit >> 3) % damaged.length] = (damaged[(bit >> 3) % damaged.length] ?? 0) ^ (1 << (bit & 7));
      return damaged;
    });
    fc.assert(
      fc.property(fc.oneof(flipped, fc.uint8Array({ maxLength: 64 })), (damaged) => {
        expect([undefined, "ERR_STORE_FORMAT"]).toContain(codeOf(() => decodeCommand(damaged)));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a stored value, version 1,", () => {
  const SLOT = 2 ** 40 + 7;

  test("reads as it was written", () => {
    const { slot, itemSizeBytes, json } = decodeStored(KEY, fixture("stored-value-v1.bin"));
    expect({ slot, itemSizeBytes, json: Buffer.from(json).toString() }).toEqual({
      slot: SLOT,
      itemSizeBytes: 23,
      json: ITEM.toString(),
    });
    expect(encodeStored(KEY, SLOT, 23, ITEM).equals(fixture("stored-value-v1.bin"))).toBe(true);
  });

  test("is not believed under another key, cut off anywhere, or with a tail", () => {
    const whole = fixture("stored-value-v1.bin");
    expect(codeOf(() => decodeStored(OTHER_KEY, whole))).toBe("ERR_STORE_CORRUPT");
    for (let length = 0; length < whole.length; length++) {
      expect(
        codeOf(() => decodeStored(KEY, whole.subarray(0, length))),
        `cut off after ${length} bytes`,
      ).toBe("ERR_STORE_CORRUPT");
    }
    expect(codeOf(() => decodeStored(KEY, Buffer.concat([whole, Buffer.alloc(1)])))).toBe("ERR_STORE_CORRUPT");
  });

  test("of a newer version is refused as such", () => {
    const newer = fixture("stored-value-v1.bin");
    newer[0] = 2;
    expect(codeOf(() => decodeStored(KEY, newer))).toBe("ERR_STORE_FORMAT");
    // Its checksum may be another one, or nowhere.
    expect(codeOf(() => decodeStored(KEY, Uint8Array.of(2)))).toBe("ERR_STORE_FORMAT");
  });

  test("with any bit flipped, in value or key, is never read as something else", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 100 }),
        fc.nat(),
        fc.nat({ max: 400 * 1024 }),
        bytes,
        fc.nat(),
        fc.boolean(),
        (key, slot, itemSizeBytes, json, bit, inKey) => {
          const value = encodeStored(key, slot, itemSizeBytes, json);
          const read = decodeStored(key, value);
          expect([read.slot, read.itemSizeBytes, Buffer.from(read.json).equals(json)]).toEqual([
            slot,
            itemSizeBytes,
            true,
          ]);
          const damaged = inKey ? key : value;
          const at = (bit >> 3) % damaged.length;
          damaged[at] = (damaged[at] as number) ^ (1 << (bit & 7));
          expect(
            codeOf(() => decodeStored(key, value)),
            `byte ${at}`,
          ).toMatch(/^ERR_STORE_(CORRUPT|FORMAT)$/);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("a partition's state, version 1,", () => {
  const whole = fixture("partition-state-v1.bin");
  const entries = [
    { key: OTHER_KEY, bytes: encodeStored(OTHER_KEY, 7, 0, Buffer.from("{}")) },
    { key: KEY, bytes: encodeStored(KEY, 258, 23, ITEM) },
  ];
  const read = (bytes: Uint8Array, pieceBytes = bytes.length) => {
    const decoder = new StateDecoder();
    const found = [];
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      for (const { key, bytes: value } of decoder.push(bytes.subarray(at, at + pieceBytes)))
        found.push({ key: Buffer.from(key), bytes: Buffer.from(value) });
    }
    return { ...decoder.finish(), found };
  };

  test("reads as it was written, in pieces of any size", () => {
    for (let pieceBytes = 1; pieceBytes <= whole.length; pieceBytes++)
      expect(read(whole, pieceBytes)).toEqual({ slot: 300, timeMs: TIME_MS, found: entries });
    const written = Buffer.concat([
      ...encodeState(
        { slot: 300, timeMs: TIME_MS },
        entries.map((entry) => [entry]),
      ),
    ]);
    expect(Buffer.concat([written, Buffer.alloc(5)]).equals(whole)).toBe(true);
  });

  test("of a newer version, or cut off anywhere before its end, is refused as such", () => {
    for (let length = 0; length < whole.length - 5; length++)
      expect(codeOf(() => read(whole.subarray(0, length)))).toBe("ERR_STORE_FORMAT");
    const newer = Buffer.from(whole);
    newer[4] = 2;
    expect(() => read(newer)).toThrow("format version 2; this program reads version 1");
  });

  test("with any bit flipped is refused, but for the slot, the time and the zeros that its carrier sums", () => {
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const at = bit >> 3;
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] as number) ^ (1 << (bit & 7));
      const summedByTheCarrier = at >= 5 && at < 24;
      if (!summedByTheCarrier)
        expect(
          codeOf(() => read(flipped)),
          `bit ${bit}`,
        ).toMatch(/^ERR_STORE_(FORMAT|CORRUPT)$/);
    }
  });
});

test("how far a partition is applied, and where its items lie, reads as it was written, also by a program before that", () => {
  const golden = JSON.parse(fixture("tree-applied.json").toString()) as Record<string, string>;
  const of = (name: string) => Buffer.from(golden[name] as string, "hex");
  expect(decodeApplied(1, of("slot alone"))).toEqual({ slot: 300, timeMs: 0, area: 1 });
  for (const [name, area] of [
    ["first area", 1],
    ["second area", 2],
  ] as const) {
    expect(decodeApplied(1, of(name))).toEqual({ slot: 300, timeMs: TIME_MS, area });
    expect(encodeApplied({ slot: 300, timeMs: TIME_MS, area }).equals(of(name))).toBe(true);
  }
  // It reads the first eight bytes: the slot itself, or one that no log reaches, upon which it refuses the partition.
  expect(of("first area").readBigUInt64BE(0)).toBe(300n);
  expect(of("second area").readBigUInt64BE(0)).toBeGreaterThan(2n ** 53n);
  const strange = Buffer.from(of("second area"));
  strange[1] = 3;
  expect(codeOf(() => decodeApplied(1, strange))).toBe("ERR_STORE_FORMAT");
});
