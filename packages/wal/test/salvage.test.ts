import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { salvage, Wal, type WalRecord } from "../src/index.js";
import { collect } from "./collect.js";
import { FaultFileSystem, seeded } from "./fault-file-system.js";

const options = { dir: "log", segmentBytes: 65_536, segmentsBeforeCarry: 1, now: () => 1_700_000_000_000 };
const segment = (number: number) => `log/${String(number).padStart(12, "0")}.wal`;
const brief = ({ sequence, timeMs, data }: WalRecord) => `${sequence} ${timeMs} ${data.length} ${data[0]}`;
const range = (from: number, to: number) => Array.from({ length: Math.max(0, to - from + 1) }, (_, n) => from + n);

/** A closed log of 60 records of 3,000 bytes in some segments, each a batch of its own. */
async function filled(): Promise<FaultFileSystem> {
  const fileSystem = new FaultFileSystem();
  const wal = await Wal.open({ ...options, segmentsBeforeCarry: 100, fileSystem });
  for (let n = 1; n <= 60; n++) await wal.stream("s").append(new Uint8Array(3000).fill(n));
  await wal.close();
  return fileSystem;
}

describe("salvage", () => {
  it("of a whole log finds no damage and what reading finds, after appends, truncations and carrying", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 0x7fffffff }), async (seed) => {
        const random = seeded(seed);
        const fileSystem = new FaultFileSystem();
        const wal = await Wal.open({ ...options, fileSystem });
        const expected = new Map<string, string[]>();
        for (let n = 0; n < 120; n++) {
          const stream = wal.stream(random() < 0.9 ? "busy" : "quiet");
          const data = new Uint8Array(Math.floor(random() ** 3 * 9000)).fill(n);
          const first = stream.append(
            [data, data.subarray(1)],
            random() < 0.1 ? { truncateAfter: Math.max(stream.firstSequence, stream.lastSequence - 1) } : {},
          );
          if (random() < 0.5 || n === 119) await Promise.all([first, stream.append(data)]);
          if (random() < 0.1) await stream.truncateBefore(Math.max(stream.firstSequence, stream.lastSequence - 5));
        }
        for (const name of wal.streams()) expected.set(name, (await collect(wal.stream(name).read())).map(brief));
        await wal.close();
        const found = await salvage({ dir: "log", fileSystem });
        expect(found.damages).toEqual([]);
        expect(found.streams.flatMap((stream) => stream.missing)).toEqual([]);
        const read = found.streams.map(
          async (stream) => [stream.name, (await collect(stream.read())).map(brief)] as const,
        );
        expect(new Map(await Promise.all(read))).toEqual(expected);
      }),
      { numRuns: 30 },
    );
  });

  it("accounts for every record wherever bytes were lost: it is found as it was, or named as missing, or behind the end", async () => {
    const fileSystem = await filled();
    const restore = fileSystem.snapshot();
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(segment(1), segment(2), segment(3), "log/marks"),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom(1, 10, 5000, 30_000),
        async (file, where, length) => {
          restore();
          fileSystem.damage(file, (bytes) => {
            const at = Math.floor(where * (bytes.length - 1));
            for (let n = at; n < Math.min(bytes.length, at + length); n++) bytes[n] = (bytes[n] as number) ^ 0x55;
          });
          const { damages, streams } = await salvage({ dir: "log", fileSystem });
          const stream = streams[0];
          const records = stream === undefined ? [] : await collect(stream.read());
          for (const { sequence, data } of records)
            expect(Buffer.compare(data, new Uint8Array(3000).fill(sequence))).toBe(0);
          const named = (stream?.missing ?? []).flatMap(({ from, to }) => range(from, to));
          const behind = range((stream?.lastSequence ?? 0) + 1, 60);
          const all = [...records.map(({ sequence }) => sequence), ...named, ...behind].sort((a, b) => a - b);
          expect(all).toEqual(range(1, 60));
          const refused = await Wal.open({ ...options, fileSystem }).then(
            (wal) => wal.close(),
            (error: unknown) => error,
          );
          if (refused !== undefined) expect(damages).not.toEqual([]);
          if (named.length + behind.length > 0) expect(damages.some((damage) => damage.wasDurable)).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("names file, place and batches of what is lost, and the sequences", async () => {
    const fileSystem = await filled();
    fileSystem.damage(segment(2), (bytes) => bytes.fill(0, 10_000, 12_000));
    const { damages, streams } = await salvage({ dir: "log", fileSystem });
    expect(damages).toEqual([
      {
        file: segment(2),
        from: expect.any(Number),
        to: expect.any(Number),
        batches: { from: expect.any(Number), to: expect.any(Number) },
        reason: "not a batch that was written here",
        wasDurable: true,
      },
    ]);
    const [damage] = damages;
    expect(damage?.from).toBeLessThanOrEqual(10_000);
    expect(damage?.to).toBeGreaterThanOrEqual(12_000);
    const lost = (damage?.batches?.to ?? 0) - (damage?.batches?.from ?? 0) + 1;
    const [missing] = streams[0]?.missing ?? [];
    expect(streams[0]?.missing).toHaveLength(1);
    expect((missing?.to ?? 0) - (missing?.from ?? 0) + 1).toBe(lost);
  });

  it("gets over a segment that is missing, one that cannot be read, and one whose header is damaged", async () => {
    const fileSystem = await filled();
    const restore = fileSystem.snapshot();
    const outcomes: unknown[] = [];
    const look = async () => {
      const { damages, streams } = await salvage({ dir: "log", fileSystem });
      outcomes.push(streams[0]?.missing);
      return damages.map(({ file, reason }) => `${file}: ${reason}`);
    };
    await fileSystem.remove(segment(2));
    expect(await look()).toEqual([`${segment(2)}: the segment's file is missing`]);
    restore();
    fileSystem.fail = (operation, path) => (operation === "read" && path === segment(2) ? new Error("EIO") : undefined);
    expect(await look()).toEqual([`${segment(2)}: the file cannot be read: Error: EIO`]);
    fileSystem.fail = undefined;
    fileSystem.damage(segment(2), (bytes) => bytes.fill(0xff, 0, 20));
    expect(await look()).toEqual([`${segment(2)}: the segment's header is damaged`]);
    expect(outcomes[0]).toHaveLength(1);
    expect(outcomes).toEqual([outcomes[0], outcomes[0], outcomes[0]]);
  });

  it("is refused while the log is open", async () => {
    const fileSystem = new FaultFileSystem();
    await using wal = await Wal.open({ ...options, fileSystem });
    await expect(salvage({ dir: "log", fileSystem })).rejects.toMatchObject({ code: "ERR_WAL_LOCKED" });
    expect(wal.streams()).toEqual([]);
  });
});
