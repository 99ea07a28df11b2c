import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Wal, type WalRecord } from "../src/index.js";
import { collect } from "./collect.js";
import { FaultFileSystem, type Random, seeded } from "./fault-file-system.js";

/**
 * A model of one stream under power cuts. `history` holds every state that the stream may be found in: the last one that was acknowledged, and
 * each that a call in flight may have led to since. After a crash exactly one of them must be there, whole.
 */
interface Content {
  readonly first: number;
  readonly records: readonly string[];
}

const empty: Content = { first: 1, records: [] };
const names = ["a", "b", "quiet"];
const key = (content: Content) =>
  `${content.first}: ${content.records.map((record) => record.replace(/x+/, (x) => `x${x.length}`)).join(" ")}`;

class Model {
  readonly possible = new Map<string, Content[]>(names.map((name) => [name, [empty]]));

  latest(name: string): Content {
    return (this.possible.get(name) as Content[]).at(-1) as Content;
  }

  called(name: string, next: Content): number {
    const list = this.possible.get(name) as Content[];
    list.push(next);
    return list.length - 1;
  }

  acknowledged(name: string, state: Content): void {
    const list = this.possible.get(name) as Content[];
    const at = list.indexOf(state);
    if (at > 0) list.splice(0, at);
  }

  found(name: string, content: Content): void {
    this.possible.set(name, [content]);
  }
}

const open = (fileSystem: FaultFileSystem) =>
  Wal.open({
    dir: "log",
    fileSystem: fileSystem.boot(),
    segmentBytes: 65_536,
    segmentsBeforeCarry: 1,
    batchBytesMax: 20_000,
    now: () => 1_700_000_000_000,
  });

async function content(wal: Wal, name: string): Promise<Content> {
  const stream = wal.stream(name);
  const records = await collect(stream.read());
  expect(records.map((record: WalRecord) => record.sequence)).toEqual(
    records.map((_, at) => stream.firstSequence + at),
  );
  return { first: stream.firstSequence, records: records.map((record) => Buffer.from(record.data).toString()) };
}

/** Calls one random operation, notes what it may lead to, and what it has led to once it is acknowledged. */
function operate(wal: Wal, model: Model, random: Random, serial: number): Promise<unknown> {
  const name = random() < 0.05 ? "quiet" : random() < 0.5 ? "a" : "b";
  const stream = wal.stream(name);
  const before = model.latest(name);
  const last = before.first + before.records.length - 1;
  const pick = random();
  let after: Content;
  let call: Promise<unknown>;
  if (pick < 0.75 || before.records.length === 0) {
    const count = 1 + Math.floor(random() * 4);
    const records = Array.from(
      { length: count },
      (_, n) => `${serial}.${n}.${"x".repeat(Math.floor(random() ** 4 * 12_000))}`,
    );
    const cut = random() < 0.15 ? before.first - 1 + Math.floor(random() * (before.records.length + 1)) : undefined;
    const kept = cut === undefined ? before.records : before.records.slice(0, cut - before.first + 1);
    after = { first: before.first, records: [...kept, ...records] };
    const data = records.map((record) => Buffer.from(record));
    call = stream.append(data, cut === undefined ? {} : { truncateAfter: cut });
  } else if (pick < 0.9) {
    const sequence = before.first + Math.floor(random() * (before.records.length + 1));
    after = { first: sequence, records: before.records.slice(sequence - before.first) };
    call = stream.truncateBefore(sequence);
  } else {
    const sequence = last - Math.floor(random() * (before.records.length + 1));
    after = { first: before.first, records: before.records.slice(0, sequence - before.first + 1) };
    call = stream.truncateAfter(sequence);
  }
  model.called(name, after);
  return call.then(() => model.acknowledged(name, after));
}

async function live(
  wal: Wal,
  fileSystem: FaultFileSystem,
  model: Model,
  random: Random,
  serial: number,
): Promise<void> {
  fileSystem.countdown = Math.floor(random() * 60);
  for (let round = 0; round < 40 && !wal.stats().poisoned; round++) {
    const calls = Array.from({ length: 1 + Math.floor(random() * 5) }, (_, n) =>
      operate(wal, model, random, serial + round * 10 + n),
    );
    const results = await Promise.allSettled(calls);
    if (results.some((result) => result.status === "rejected")) return;
  }
}

describe("after power cuts at any write boundary, with any subset of unsynced pages kept", () => {
  it("each stream is what was acknowledged, or what a call in flight would have made of it", {
    timeout: 60_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 0x7fffffff }), async (seed) => {
        const random = seeded(seed);
        const fileSystem = new FaultFileSystem();
        const model = new Model();
        for (let life = 0; life < 8; life++) {
          let wal: Wal;
          if (random() < 0.3) fileSystem.countdown = Math.floor(random() * 25);
          try {
            wal = await open(fileSystem);
          } catch (error) {
            // The machine may stop during recovery; nothing else may go wrong there.
            expect(fileSystem.countdown, String(error)).toBeLessThan(0);
            fileSystem.crash(random);
            continue;
          }
          fileSystem.countdown = Number.POSITIVE_INFINITY;
          for (const name of names) {
            const found = await content(wal, name);
            expect(key(found), `stream ${name}, life ${life}`).toBeOneOf(
              (model.possible.get(name) as Content[]).map(key),
            );
            model.found(name, found);
          }
          await live(wal, fileSystem, model, random, life * 1000);
          const end = random();
          if (end < 0.2) await wal.close().catch(() => undefined);
          if (end < 0.9) fileSystem.crash(random);
          else fileSystem.kill();
          await wal.close().catch(() => undefined);
        }
      }),
      // The examples: killed between a rename and the directory's sync, opened again, and only then the power cut;
      // records carried, truncated and replaced within one batch.
      { numRuns: 60, examples: [[1226699598], [13], [120667525]] },
    );
  });
});
