import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { EntryType, putEntryHeader } from "../src/core/entry.js";
import { IdList } from "../src/core/id-list.js";
import type { SegmentRef } from "../src/core/point-list.js";
import { StreamState } from "../src/core/stream-state.js";
import { putDeclaration, StreamTable } from "../src/core/stream-table.js";
import { Wal } from "../src/index.js";
import { Packing } from "../src/packing.js";
import { FaultFileSystem } from "./fault-file-system.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const segmentOf = (number: number): SegmentRef => ({ number, points: 0, liveBytes: 0, streams: new IdList() });

describe("a stream that rests", () => {
  /** What happens to the streams of a table, in segments that grow. */
  const step = fc.oneof(
    fc.record({ op: fc.constant("append" as const), stream: fc.nat(40), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({
      op: fc.constant("before" as const),
      stream: fc.nat(40),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    fc.record({
      op: fc.constant("after" as const),
      stream: fc.nat(40),
      part: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    fc.record({ op: fc.constant("remove" as const), stream: fc.nat(40) }),
    fc.record({ op: fc.constant("carry" as const), stream: fc.nat(40) }),
    fc.record({ op: fc.constant("segment" as const) }),
    fc.record({ op: fc.constant("rest" as const), count: fc.nat(50) }),
  );
  const nameOf = (stream: number) => (stream % 7 === 0 ? `ström ${"é".repeat(stream)} ${stream}` : `s/${stream}`);

  class World {
    readonly table = new StreamTable();
    readonly segments: SegmentRef[] = [segmentOf(1)];
    offset = 4096;

    get segment(): SegmentRef {
      return this.segments.at(-1) as SegmentRef;
    }

    do(what: Exclude<typeof step extends fc.Arbitrary<infer T> ? T : never, { op: "rest" }>): void {
      this.offset += 100_000;
      if (what.op === "segment") {
        this.segments.push(segmentOf(this.segments.length + 1));
        this.offset = 4096;
        return;
      }
      const name = nameOf(what.stream);
      let state = this.table.named(name);
      if (what.op === "append") {
        if (state === undefined) {
          state = new StreamState(this.table.nextId++, name);
          this.table.name(state);
          this.table.add(state);
        }
        state.nextAssigned += what.count;
        state.extend(what.count, 30 * what.count, this.segment, this.offset, 3);
      } else if (state === undefined) return;
      else if (what.op === "remove") {
        state.remove();
        this.table.delete(state);
      } else if (what.op === "carry") {
        const range = state.rangeIn(this.segments.find(({ points }) => points > 0) as SegmentRef);
        if (range === undefined) return;
        const { first, last } = range;
        const point = {
          segment: this.segment,
          offset: this.offset,
          entry: 0,
          sequence: first,
          end: last + 1,
          bytes: 30,
        };
        state.carry([point], last);
      } else {
        const sequence = state.first + Math.floor(what.part * (state.next - state.first));
        if (what.op === "before") state.truncateBefore(sequence);
        else state.truncateAfter(sequence);
        state.firstAssigned = state.first;
        state.nextAssigned = state.next;
      }
    }

    /** All that can be asked, without waking anybody. */
    seen() {
      const streams = [...this.table.states()].map((state) => {
        const { id, name, first, next, lost, fresh } = state;
        const points = Array.from({ length: state.points.length }, (_, at) => {
          const { segment, ...point } = state.points.get(at);
          return { ...point, segment: segment.number };
        });
        const found = points.map(({ sequence }) => state.find(sequence)?.end);
        return { id, name, first, next, lost, fresh, points, found };
      });
      streams.sort((a, b) => a.id - b.id);
      const { size, declarationsBytes, nextId } = this.table;
      const counts = this.segments.map(({ points, liveBytes }) => ({ points, liveBytes }));
      const inEach = this.segments.map((segment) => this.table.idsIn(segment));
      // Nobody is passed over: what is found by the segment is what all streams together say of it.
      const all = [...this.table.states()].sort((a, b) => a.id - b.id);
      const said = this.segments.map((segment) => all.flatMap((one) => (one.rangeIn(segment) ? [one.id] : [])));
      expect(inEach).toEqual(said);
      return { streams, size, declarationsBytes, nextId, counts, inEach, names: this.table.names() };
    }
  }

  it("is the same as one that does not, whatever happens to it, and wakes as it was", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const [packed, plain] = [new World(), new World()];
        for (const what of steps) {
          if (what.op === "rest") packed.table.rest(what.count, false);
          else for (const world of [packed, plain]) world.do(what);
        }
        packed.table.rest(packed.table.awake, false);
        expect([packed.table.awake, packed.table.resting]).toEqual([0, plain.table.size]);
        expect(packed.seen()).toEqual(plain.seen());
        for (const { id, name } of plain.seen().streams) {
          const woken = id % 2 === 0 ? packed.table.get(id) : packed.table.named(name);
          expect([woken?.id, woken?.name, woken]).toEqual([id, name, packed.table.named(name)]);
        }
        expect(packed.table.resting).toBe(0);
        expect(packed.seen()).toEqual(plain.seen());
      }),
      { numRuns: 150 },
    );
  });

  it("is declared in a checkpoint as it was, which replays to the same streams", () => {
    const world = new World();
    for (let stream = 0; stream < 40; stream++) world.do({ op: "append", stream, count: 1 + (stream % 3) });
    for (let stream = 0; stream < 40; stream++) world.do({ op: "before", stream, part: 1 });
    const { table } = world;
    table.rest(20, false);
    const target = new Uint8Array(table.declarationsBytes);
    expect(table.putDeclarations(target, 0)).toBe(target.length);
    const read = new StreamTable();
    for (let times = 0; times < 2; times++) {
      read.replay(target, 0, target.length, 40, world.segment, 0);
      read.replayed();
      expect([read.size, read.awake, read.declarationsBytes]).toEqual([40, 0, target.length]);
    }
    expect(read.names()).toEqual(table.names());
    const other = new StreamState(7, nameOf(6), 1, 9);
    const wrong = new Uint8Array(target.length);
    const end = putDeclaration(wrong, 0, other);
    expect(() => read.replay(wrong, 0, end, 1, world.segment, 0)).toThrow(/should hold 1 up to 9/);
    putEntryHeader(wrong, 0, EntryType.remove, 7, 0, 0, 0);
    read.replay(wrong, 0, 22, 1, world.segment, 0);
    expect([read.size, read.named(nameOf(6))]).toEqual([39, undefined]);
  });

  it("does not rest while something is under way, somebody watches, or somebody holds it", () => {
    const table = new StreamTable();
    const state = new StreamState(1, "s");
    table.name(state);
    table.add(state);
    const rests = () => {
      table.rest(1, false);
      return table.resting === 1;
    };
    const watcher = { grown: () => undefined, cut: () => undefined };
    const busy: [() => void, () => void][] = [
      [() => state.nextAssigned++, () => state.nextAssigned--],
      [() => state.truncationsCalled++, () => state.truncationsApplied++],
      [() => state.holders++, () => state.holders--],
      [() => table.watch("s", watcher), () => table.unwatch("s", watcher)],
    ];
    for (const [begin, end] of busy) {
      begin();
      expect(rests()).toBe(false);
      end();
    }
    state.used = true;
    table.rest(1);
    expect(table.resting).toBe(0);
    table.rest(1);
    expect([table.resting, state.current]).toEqual([1, false]);
    const woken = table.named("s") as StreamState;
    expect([woken === state, state.awake === woken, woken.awake === woken]).toEqual([false, true, true]);
    table.delete(woken);
    expect(state.awake.removed).toBe(true);
  });

  it("is not asked by whoever looks for what a segment holds, unless it once had something there", () => {
    const world = new World();
    const append = (stream: number) => world.do({ op: "append", stream, count: 1 });
    for (let stream = 1; stream <= 2_000; stream++) append(stream);
    world.do({ op: "segment" });
    for (const stream of [3, 1900, 3, 40]) append(stream);
    world.table.rest(world.table.awake, false);
    let points = 0;
    const { streams } = world.segment;
    const counted: SegmentRef = {
      get number() {
        points++;
        return 2;
      },
      points: 4,
      liveBytes: 120,
      streams,
    };
    expect(world.table.idsIn(counted)).toEqual([3, 40, 1900]);
    // Of each of the three that in the first segment, and its first one here.
    expect(points).toBe(6);
  });

  it("leaves nothing behind when it goes: its block serves the next", () => {
    const table = new StreamTable();
    for (let round = 0; round < 2000; round++) {
      const state = new StreamState(round, `stream ${round % 10}`);
      table.name(state);
      table.add(state);
      table.rest(1, false);
      if (round >= 10) table.delete(table.get(round - 10) as StreamState);
    }
    expect([table.size, table.restingBytes]).toEqual([10, 65_536]);
  });
});

describe("a log whose streams are packed as soon as they are quiet", () => {
  const open = (fileSystem: FaultFileSystem) =>
    Wal.open({ dir: "log", fileSystem, packAfterMs: 0, segmentBytes: 65_536 });

  it("goes on where it was, for whoever still holds the stream and for whoever asks for it anew", async () => {
    const fileSystem = new FaultFileSystem();
    const wal = await open(fileSystem);
    const held = wal.stream("s");
    expect(await held.append([bytes("1"), bytes("2")])).toBe(2);
    expect(wal.stats()).toMatchObject({ streams: 1, streamsPacked: 1 });
    const anew = wal.stream("s");
    expect(await Promise.all([anew.append(bytes("3")), held.append(bytes("4")), anew.append(bytes("5"))])).toEqual([
      3, 4, 5,
    ]);
    await held.truncateAfter(4);
    await anew.truncateBefore(2);
    expect([held.firstSequence, held.lastSequence, anew.lastSequence]).toEqual([2, 4, 4]);
    expect(await held.append(bytes("5"))).toBe(5);
    await anew.remove();
    expect([held.lastSequence, wal.stats().streams, wal.streams()]).toEqual([0, 0, []]);
    expect(await Promise.all([held.append(bytes("again")), anew.append(bytes("and again"))])).toEqual([1, 2]);
    await wal.close();
    await using reopened = await open(fileSystem);
    expect(reopened.stats()).toMatchObject({ streams: 1, streamsPacked: 1 });
    expect(reopened.stream("s").lastSequence).toBe(2);
  });

  it("is read and followed across the packing, also when it is cut meanwhile", async () => {
    await using wal = await open(new FaultFileSystem());
    const stream = wal.stream("s");
    for (let n = 1; n <= 20; n++) await stream.append(bytes(`${n}`));
    const reader = stream.read()[Symbol.asyncIterator]();
    const backwards = stream.read({ backwards: true })[Symbol.asyncIterator]();
    expect([(await reader.next()).value.sequence, (await backwards.next()).value.sequence]).toEqual([1, 20]);
    await wal.stream("other").append(bytes("packs"));
    expect(wal.stats().streamsPacked).toBe(2);
    expect((await reader.next()).value.sequence).toBe(2);
    await stream.truncateAfter(10);
    expect((await reader.next()).value.sequence).toBe(3);
    const rest: number[] = [];
    for (let next = await reader.next(); next.done !== true; next = await reader.next()) rest.push(next.value.sequence);
    expect(rest).toEqual([4, 5, 6, 7, 8, 9, 10]);
    const follower = stream.follow({ from: 10 })[Symbol.asyncIterator]();
    expect((await follower.next()).value.sequence).toBe(10);
    const next = follower.next();
    await wal.stream("other").append(bytes("packs"));
    await wal.stream("s").append(bytes("11"));
    expect((await next).value.sequence).toBe(11);
    await stream.truncateAfter(5);
    await expect(follower.next()).rejects.toMatchObject({ code: "ERR_WAL_TRUNCATED" });
    await wal.stream("other").append(bytes("packs"));
    expect(wal.stats().streamsPacked).toBe(2);
  });
});

it("what was not used for a while is packed by and by, and a log at rest has no timer for it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-wal-packing-"));
  try {
    await using wal = await Wal.open({ dir, packAfterMs: 5 });
    await Promise.all(Array.from({ length: 2500 }, (_, i) => wal.stream(`s${i}`).append(bytes("x"))));
    while (wal.stats().streamsPacked < 2500) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await wal.stream("s7").append(bytes("y"))).toBe(2);
    while (wal.stats().streamsPacked < 2500) await new Promise((resolve) => setTimeout(resolve, 5));
  } finally {
    await rm(dir, { recursive: true });
  }
});

it("where many are not packed nobody waits for as long as few would", async () => {
  await using wal = await Wal.open({ dir: "log", fileSystem: new FaultFileSystem(), packAfterMs: 60_000 });
  await Promise.all(Array.from({ length: 1000 }, (_, i) => wal.stream(`s${i}`).append(bytes("x"))));
  await wal.stream("one more").append(bytes("x"));
  while (wal.stats().streamsPacked === 0) await new Promise((resolve) => setTimeout(resolve, 20));
});

it("streams that are used in turn, each every few seconds, come to have room, and rest when they are left alone", () => {
  vi.useFakeTimers();
  try {
    const count = 3000;
    const table = new StreamTable();
    for (let id = 1; id <= count; id++) {
      const state = new StreamState(id, `s${id}`);
      table.name(state);
      table.add(state);
    }
    const packing = new Packing(table, 30_000);
    /** Each of them once, three seconds in all. Returns how many had to be woken. */
    const turn = () => {
      const before = table.woken;
      for (let id = 1; id <= count; id++) {
        (table.named(`s${id}`) as StreamState).used = true;
        packing.consider();
        if (id % 10 === 0) vi.advanceTimersByTime(10);
      }
      return table.woken - before;
    };
    const woken = Array.from({ length: 20 }, turn);
    expect(woken[0]).toBeGreaterThan(500);
    expect(woken.slice(-5)).toEqual([0, 0, 0, 0, 0]);
    expect(table.awake).toBe(count);
    vi.advanceTimersByTime(100_000);
    expect([table.awake, table.resting]).toEqual([0, count]);
    packing.stop();
  } finally {
    vi.useRealTimers();
  }
});

it("a segment is never filled by the checkpoint that it begins with, however many streams there are", async () => {
  const fileSystem = new FaultFileSystem();
  const options = { dir: "log", fileSystem, packAfterMs: 0, segmentBytes: 65_536 };
  const wal = await Wal.open(options);
  const name = (n: number) => `a stream with a name that takes its place in a checkpoint ${n}`;
  for (let from = 0; from < 4000; from += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, i) => wal.stream(name(from + i)).append(bytes("x"))));
  }
  const before = wal.stats().lastSegment;
  for (let n = 0; n < 100; n++) await wal.stream(name(n)).append(new Uint8Array(4000));
  // Checkpoints of 360 KB each: 400 KB of records fill no more than one segment or two.
  expect(wal.stats().lastSegment - before).toBeLessThan(3);
  await wal.close();
  await using reopened = await Wal.open(options);
  expect(reopened.stats()).toMatchObject({ streams: 4000, streamsPacked: 4000 });
  expect(reopened.stream(name(3)).lastSequence).toBe(2);
});
