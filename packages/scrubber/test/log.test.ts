import { expect, it } from "vitest";
import { keySequence, type LogEntry, logReplica, Scrubber, sequenceKey } from "../src/index.js";
import { bytes } from "./support/sources.js";

const COUNT = 3_000;
const records = (): LogEntry[] =>
  Array.from({ length: COUNT }, (_, i) => ({ sequence: i + 1, data: bytes(`command ${i + 1}`) }));

/** A log whose records between `first` and its end can be read, up to the one that has rotted. */
function logOf(name: string, held: LogEntry[], options: { rotten?: number; first?: number } = {}) {
  return logReplica({
    name,
    last: () => held.at(-1)?.sequence ?? 0,
    ...(options.first === undefined ? {} : { first: () => options.first as number }),
    read: function* (from) {
      for (const record of held) {
        if (record.sequence < from) continue;
        if (record.sequence === options.rotten)
          throw new Error(`record ${record.sequence} does not match its checksum`);
        yield record;
      }
    },
  });
}

it("a sequence and its key are the same order", () => {
  const sequences = [0, 1, 255, 256, 65_536, 2 ** 32, Number.MAX_SAFE_INTEGER];
  const keys = sequences.map(sequenceKey);
  expect(keys.map(keySequence)).toEqual(sequences);
  expect([...keys].sort(Buffer.compare)).toEqual(keys);
  expect(keySequence(new Uint8Array(0))).toBe(0);
  expect(keySequence(Uint8Array.from([...sequenceKey(7), 0]))).toBe(8);
});

it("logs and their archive are compared record by record, up to the position", async () => {
  const [a, b, c, archive] = [records(), records(), records(), records()];
  c.push({ sequence: COUNT + 1, data: bytes("not yet chosen everywhere") });
  const scrubber = new Scrubber({
    replicas: [logOf("a", a), logOf("b", b), logOf("c", c)],
    reference: logReplica({
      name: "archive",
      kind: "archive",
      last: () => COUNT,
      read: (from) => archive.slice(from - 1),
    }),
    position: () => COUNT,
    stepBytes: 10_000,
  });
  expect(await scrubber.pass()).toMatchObject({ complete: true, keys: COUNT, divergences: [], unreadable: [] });

  b[1_776] = { sequence: 1_777, data: bytes("command 1777 of another leader") };
  c.splice(41, 1);
  const { divergences } = await scrubber.pass();
  expect(divergences.map(({ key, replica, kind }) => `${keySequence(key)} ${kind} on ${replica}`)).toEqual([
    "42 missing on c",
    "1777 different on b",
  ]);
});

it("a record that has rotted is found to a few sequences, and what lies behind it is still compared", async () => {
  const c = records();
  c[2_499] = { sequence: 2_500, data: bytes("something else") };
  const scrubber = new Scrubber({
    replicas: [logOf("a", records()), logOf("b", records(), { rotten: 1_234 }), logOf("c", c)],
    position: () => COUNT,
    stepBytes: 10_000,
  });
  const { divergences, unreadable } = await scrubber.pass();
  expect(unreadable).toMatchObject([{ replica: "b", cause: new Error("record 1234 does not match its checksum") }]);
  const [from, to] = [unreadable[0]?.range.from, unreadable[0]?.range.to].map((key) => keySequence(key as Uint8Array));
  expect(from).toBeLessThanOrEqual(1_234);
  expect(to).toBeGreaterThan(1_234);
  expect((to as number) - (from as number)).toBeLessThanOrEqual(17);
  expect(divergences.map(({ key, replica }) => `${keySequence(key)} ${replica}`)).toEqual(["2500 c"]);
});

it("a log that was truncated at its start is compared from where all begin; one that is shorter is behind", async () => {
  const first = 1_001;
  const scrubber = new Scrubber({
    replicas: [
      logOf("a", records().slice(first - 1), { first }),
      logOf("b", records(), { first }),
      logOf("c", records().slice(0, 2_000), { first }),
    ],
    position: () => COUNT,
  });
  expect(await scrubber.pass()).toMatchObject({
    complete: true,
    keys: COUNT - first + 1,
    divergences: [],
    absent: [{ replica: "c", why: "behind" }],
  });
});
