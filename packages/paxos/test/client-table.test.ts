import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { resultBytesMax } from "../src/core/client-table.js";
import { ClientTable, resultsBytesMax, sequencesAheadMax, type Verdict } from "../src/core/index.js";
import { Executor } from "../src/host/executor.js";
import { plainResults } from "../src/host/results.js";

/** The table as one would write it down: everything that was ever carried out, for ever, and who was heard of when. */
class Plain {
  readonly done = new Map<number, Set<number>>();
  readonly heard = new Map<number, number>();
  #time = 0;

  register(id: number, clientsMax: number): void {
    this.done.set(id, new Set());
    this.heard.set(id, ++this.#time);
    while (this.heard.size > clientsMax) {
      const [[oldest]] = [...this.heard].sort(([, a], [, b]) => a - b) as [[number, number]];
      this.heard.delete(oldest);
    }
  }

  judge(client: number, sequence: number): Verdict {
    if (!this.heard.has(client)) return "unknown";
    this.heard.set(client, ++this.#time);
    const done = this.done.get(client) as Set<number>;
    if (done.has(sequence)) return "applied";
    let first = 1;
    while (done.has(first)) first++;
    return sequence >= first + sequencesAheadMax ? "ahead" : "fresh";
  }
}

const step = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant("register" as const), clientsMax: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      what: fc.constant("ask" as const),
      // Of the newest clients, or of nobody.
      back: fc.nat(3),
      sequence: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 250, max: 265 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("copy" as const) }) },
);

describe("the table of clients", () => {
  it("says what a table without bounds says, of those whom it remembers; also after it was written down and read", () => {
    const seen = new Set<Verdict>();
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: "max" }), (steps) => {
        const [plain, ids] = [new Plain(), [] as number[]];
        let table = new ClientTable();
        for (const [at, one] of steps.entries()) {
          if (one.what === "register") {
            ids.push(at + 1);
            plain.register(at + 1, one.clientsMax);
            table.register(at + 1, one.clientsMax);
          } else if (one.what === "copy") {
            const image = table.encode(crc32);
            table = new ClientTable().load(image, crc32);
            expect(table.encode(crc32)).toEqual(image);
          } else {
            const client = ids.at(-1 - one.back) ?? 999;
            const verdict = table.judge(client, one.sequence);
            seen.add(verdict);
            expect(verdict).toBe(plain.judge(client, one.sequence));
            const result = Uint8Array.of(one.sequence % 256);
            const old = plain.done.get(client)?.has(one.sequence + sequencesAheadMax) === true;
            if (verdict === "applied") expect(table.resultOf(client, one.sequence)).toEqual(old ? undefined : result);
            if (verdict !== "fresh") continue;
            plain.done.get(client)?.add(one.sequence);
            table.done(client, one.sequence, result);
          }
        }
        expect(table.size).toBe(plain.heard.size);
      }),
      { numRuns: 150 },
    );
    expect([...seen].sort()).toEqual(["ahead", "applied", "fresh", "unknown"]);
  });

  it("is bounded: in answers for one client, in bytes of all, and gives them back when a client is forgotten", () => {
    const table = new ClientTable();
    table.register(1, 10);
    for (let sequence = 1; sequence <= 1000; sequence++) {
      expect(table.judge(1, sequence)).toBe("fresh");
      table.done(1, sequence, new Uint8Array(1));
    }
    expect(table.resultsBytes).toBe(sequencesAheadMax * 65);
    expect([table.resultOf(1, 744), table.resultOf(1, 745)]).toEqual([undefined, new Uint8Array(1)]);
    for (let client = 2; client <= 3; client++) {
      table.register(client, 10);
      for (let sequence = 1; sequence <= sequencesAheadMax; sequence++) {
        table.judge(client, sequence);
        table.done(client, sequence, new Uint8Array(60_000));
      }
    }
    expect(table.resultsBytes).toBeLessThanOrEqual(resultsBytesMax);
    expect(table.resultsBytes).toBeGreaterThan(resultsBytesMax - 100_000);
    // What was carried out is known all the same.
    expect([table.judge(1, 1000), table.resultOf(1, 1000)]).toEqual(["applied", undefined]);
    expect(table.resultOf(3, sequencesAheadMax)?.length).toBe(60_000);
    for (let client = 11; client <= 20; client++) table.register(client, 10);
    expect([table.size, table.resultsBytes]).toEqual([10, 0]);
  });

  it("keeps an answer of so many bytes, and so many bytes of them, on each replica the same: not one more or less", () => {
    const table = new ClientTable();
    table.register(1, 10);
    // Each counts 64 bytes more: 256 of them are all that there is room for.
    const result = new Uint8Array(resultsBytesMax / sequencesAheadMax - 64);
    for (let sequence = 1; sequence <= sequencesAheadMax; sequence++) table.done(1, sequence, result);
    expect([table.resultsBytes, table.resultOf(1, 1)?.length]).toEqual([resultsBytesMax, result.length]);
    table.register(2, 10);
    table.done(2, 1, new Uint8Array(0));
    expect([table.resultOf(1, 1), table.resultOf(1, 2)?.length]).toEqual([undefined, result.length]);
    table.done(2, 2, new Uint8Array(resultBytesMax));
    table.done(2, 3, new Uint8Array(resultBytesMax + 1));
    expect([table.resultOf(2, 2)?.length, table.resultOf(2, 3)]).toEqual([resultBytesMax, undefined]);
  });

  it("is read wherever its bytes lie, and does not need them afterwards", () => {
    const table = new ClientTable();
    table.register(1, 10);
    table.done(1, 1, Uint8Array.of(7));
    const image = table.encode(crc32);
    const among = Buffer.concat([Buffer.alloc(3, 9), image, Buffer.alloc(3, 9)]);
    const read = new ClientTable().load(among.subarray(3, 3 + image.length), crc32);
    among.fill(0);
    expect([read.resultOf(1, 1), read.encode(crc32)]).toEqual([Uint8Array.of(7), image]);
  });
});

describe("a state machine and those who ask it", () => {
  const machine = { appliedThrough: 0, apply: () => 1 };

  it("begin anew where neither has been kept, and not where the state alone was", () => {
    expect(new Executor("g", machine, 10).clients?.size).toBe(0);
    // What a group without clients keeps of them.
    const none = new Executor("g", machine).clientTable();
    expect(new Executor("g", { ...machine, appliedThrough: 5, clientTable: none }, 10).clients?.size).toBe(0);
    for (const kept of [{ appliedThrough: 5 }, { durableThrough: 0 }]) {
      const refused = expect.objectContaining({ code: "ERR_PAXOS_ARGUMENT" });
      expect(() => new Executor("g", { ...machine, ...kept }, 10)).toThrow(refused);
    }
  });

  it("keep an answer as it was, whatever becomes of what was given out", () => {
    const kept = plainResults.encode(Uint8Array.of(1, 2)) as Uint8Array;
    (plainResults.decode(kept) as Uint8Array).fill(0);
    expect(plainResults.decode(kept)).toEqual(Uint8Array.of(1, 2));
  });
});
