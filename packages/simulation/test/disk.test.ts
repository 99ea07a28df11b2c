import { describe, expect, it } from "vitest";
import { eventLoopTurn, forEachSeed, PromiseDisk, type SimDisk, World } from "../src/index.js";

const PAGE = 4096;
const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

function disk(seed: number): { readonly world: World; readonly disk: SimDisk } {
  const world = new World({ seed });
  return { world, disk: world.disk("d") };
}

/** Writes and syncs, and lets the world run until both are done. */
function written(world: World, target: SimDisk, file: string, offset: number, data: Uint8Array): void {
  let done = false;
  target.write(file, offset, data, () => {
    target.sync(file, () =>
      target.syncDirectory(() => {
        done = true;
      }),
    );
  });
  world.run({ until: () => done });
}

describe("a file through crashes", () => {
  it("keeps what was synced, always", () => {
    forEachSeed({ count: 200 }, (seed) => {
      const { world, disk: d } = disk(seed);
      written(world, d, "f", 100, bytes(3 * PAGE, 7));
      d.write("f", 0, bytes(5 * PAGE, 9), () => {});
      d.crash();
      const after = d.peek("f") as Uint8Array;
      expect(after.length).toBeGreaterThanOrEqual(3 * PAGE + 100);
      const wrong = after.findIndex((byte, i) => byte !== 9 && byte !== (i >= 100 && i < 3 * PAGE + 100 ? 7 : 0));
      expect(wrong).toBe(-1);
    });
  });

  it("loses any subset of the pages that were not synced", () => {
    const outcomes = new Set<string>();
    forEachSeed({ count: 300 }, (seed) => {
      const { world, disk: d } = disk(seed);
      written(world, d, "f", 0, bytes(3 * PAGE, 1));
      d.write("f", 0, bytes(3 * PAGE, 2), () => {});
      world.run();
      d.crash();
      const after = d.peek("f") as Uint8Array;
      outcomes.add([0, 1, 2].map((page) => after[page * PAGE]).join(""));
    });
    expect([...outcomes].sort()).toEqual(["111", "112", "121", "122", "211", "212", "221", "222"]);
  });

  it("does not cover with a sync a write that had not completed when it began", () => {
    let lost = 0;
    forEachSeed({ count: 100 }, (seed) => {
      const { world, disk: d } = disk(seed);
      written(world, d, "f", 0, bytes(10, 1));
      let synced = false;
      d.setFaults({ writeMs: [5, 5], syncMs: [1, 1] });
      d.write("f", 0, bytes(10, 2), () => {});
      d.sync("f", () => {
        synced = true;
      });
      world.run({ until: () => synced });
      d.crash();
      if (d.peek("f")?.[0] === 1) lost++;
    });
    expect(lost).toBeGreaterThan(20);
  });

  it("never completes what was under way", () => {
    const { world, disk: d } = disk(1);
    let completions = 0;
    d.write("f", 0, bytes(1, 1), () => completions++);
    d.sync("f", () => completions++);
    d.crash();
    world.run();
    expect(completions).toBe(0);
  });

  it("loses a new file whose directory was not synced, and keeps one whose directory was", () => {
    const seen = new Set<string>();
    forEachSeed({ count: 60 }, (seed) => {
      const { world, disk: d } = disk(seed);
      written(world, d, "kept", 0, bytes(1, 1));
      d.write("new", 0, bytes(1, 2), () => d.sync("new", () => d.rename("kept", "renamed", () => {})));
      world.run();
      d.crash();
      seen.add(d.list().join("+"));
    });
    expect([...seen].sort()).toEqual(["kept", "kept+new", "new+renamed"]);
  });

  it("may bring back what was truncated or removed without a sync", () => {
    const sizes = new Set<number | undefined>();
    forEachSeed({ count: 60 }, (seed) => {
      const { world, disk: d } = disk(seed);
      written(world, d, "f", 0, bytes(2 * PAGE, 1));
      d.truncate("f", 10, () => {});
      world.run();
      expect(d.peek("f")).toEqual(bytes(10, 1));
      d.crash();
      sizes.add(d.sizeBytes("f"));
    });
    expect([...sizes].sort()).toEqual([10, 2 * PAGE]);
  });
});

describe("faults", () => {
  it("a failed sync reports it, and a second one that succeeds does not bring the data back", () => {
    let lost = 0;
    forEachSeed({ count: 100 }, (seed) => {
      const { world, disk: d } = disk(seed);
      written(world, d, "f", 0, bytes(10, 1));
      d.failSyncs(1);
      const codes: (string | undefined)[] = [];
      d.write("f", 0, bytes(10, 2), () =>
        d.sync("f", (first) => {
          codes.push(first?.code);
          d.sync("f", (second) => codes.push(second?.code));
        }),
      );
      world.run();
      expect(codes).toEqual(["ERR_SIMULATION_DISK_IO", undefined]);
      expect(d.peek("f")?.[0]).toBe(2);
      d.crash();
      if (d.peek("f")?.[0] === 1) lost++;
    });
    expect(lost).toBeGreaterThan(20);
  });

  it("a full disk refuses the write whole and goes on when there is room", () => {
    const { world, disk: d } = disk(1);
    const codes: (string | undefined)[] = [];
    d.setFaults({ capacityBytes: 100 });
    d.write("f", 0, bytes(80, 1), (error) => codes.push(error?.code));
    d.write("f", 80, bytes(21, 1), (error) => codes.push(error?.code));
    d.write("f", 10, bytes(90, 1), (error) => codes.push(error?.code));
    world.run();
    expect(codes.sort()).toEqual(["ERR_SIMULATION_DISK_FULL", undefined, undefined]);
    expect(d.sizeBytes("f")).toBe(100);
  });

  it("rot changes a byte in place, for good", () => {
    const { world, disk: d } = disk(1);
    written(world, d, "f", 0, bytes(PAGE + 10, 1));
    d.corrupt("f", PAGE + 3, 0x80);
    expect(d.peek("f")?.[PAGE + 3]).toBe(0x81);
    d.crash();
    expect(d.peek("f")?.[PAGE + 3]).toBe(0x81);
  });

  it("a misdirected write is reported as done and lands elsewhere", () => {
    const { world, disk: d } = disk(1);
    written(world, d, "f", 0, bytes(4 * PAGE, 1));
    d.setFaults({ misdirectChance: 1 });
    let failed: unknown;
    d.write("f", 0, bytes(PAGE, 2), (error) => {
      failed = error;
    });
    world.run();
    expect(failed).toBeUndefined();
    expect(d.peek("f")?.[0]).toBe(1);
    expect(d.peek("f")).toContain(2);
  });

  it("reads of a missing file and failing reads say so", () => {
    const { world, disk: d } = disk(1);
    const codes: (string | undefined)[] = [];
    d.read("none", 0, 10, (error) => codes.push(error?.code));
    written(world, d, "f", 0, bytes(10, 3));
    d.read("f", 5, 10, (error, data) => codes.push(error?.code ?? String(data)));
    world.run();
    d.setFaults({ readFailChance: 1 });
    d.read("f", 5, 10, (error) => codes.push(error?.code));
    world.run();
    expect(codes).toEqual(["ERR_SIMULATION_NO_FILE", "3,3,3,3,3", "ERR_SIMULATION_DISK_IO"]);
  });
});

describe("a journal", () => {
  it("keeps every acknowledged record and any prefix of the rest, in order", () => {
    const kept = new Set<number>();
    forEachSeed({ count: 200 }, (seed) => {
      const { world, disk: d } = disk(seed);
      const journal = d.journal<number>("log");
      let acknowledged = 0;
      for (let i = 0; i < 20; i++) {
        world.timer(i / 2, () =>
          journal.append(i, () => {
            expect(i).toBe(acknowledged);
            acknowledged++;
          }),
        );
      }
      world.run({ untilMs: 5 });
      const appended = journal.records().length;
      d.crash();
      const after = journal.records();
      expect(after).toEqual(Array.from({ length: after.length }, (_, i) => i));
      expect(after.length).toBeGreaterThanOrEqual(acknowledged);
      expect(after.length).toBeLessThanOrEqual(appended);
      kept.add(after.length - acknowledged);
    });
    expect(kept.size).toBeGreaterThan(2);
  });

  it("loses records whose sync failed, and what came after them", () => {
    let lost = 0;
    forEachSeed({ count: 100 }, (seed) => {
      const { world, disk: d } = disk(seed);
      const journal = d.journal<string>("log");
      const codes: (string | undefined)[] = [];
      journal.append("a", (error) => codes.push(error?.code));
      world.run();
      d.failSyncs(1);
      journal.append("b", (error) => codes.push(error?.code));
      world.run();
      journal.append("c", (error) => codes.push(error?.code));
      world.run();
      expect(codes).toEqual([undefined, "ERR_SIMULATION_DISK_IO", undefined]);
      d.crash();
      expect(["a", "a,b", "a,b,c"]).toContain(journal.records().join());
      if (journal.records().length < 3) lost++;
    });
    expect(lost).toBeGreaterThan(20);
  });

  it("is replaced as one, with what was appended meanwhile behind it", () => {
    forEachSeed({ count: 100 }, (seed) => {
      const { world, disk: d } = disk(seed);
      const journal = d.journal<string>("log");
      let replaced = false;
      journal.append("a", () => {});
      journal.append("b", () => {});
      journal.replace(["snapshot"], () => {
        replaced = true;
      });
      journal.append("c", () => {});
      world.run({ untilMs: world.random.between(0, 4) });
      d.crash();
      const after = journal.records().join();
      if (replaced) expect(["snapshot", "snapshot,c"]).toContain(after);
      else expect(["", "a", "a,b", "a,b,c"]).toContain(after);
    });
  });

  it("counts toward a full disk", () => {
    const { world, disk: d } = disk(1);
    d.setFaults({ capacityBytes: 10 });
    const journal = d.journal<string>("log");
    const codes: (string | undefined)[] = [];
    journal.append("a", (error) => codes.push(error?.code), { sizeBytes: 8 });
    journal.append("b", (error) => codes.push(error?.code), { sizeBytes: 8 });
    world.run();
    expect(codes.sort()).toEqual(["ERR_SIMULATION_DISK_FULL", undefined]);
    expect(journal.records()).toEqual(["a"]);
  });

  it("loses a misdirected record and the one that it lands on, and says so to who reads them", () => {
    forEachSeed({ count: 50 }, (seed) => {
      const { world, disk: d } = disk(seed);
      const journal = d.journal<number>("log");
      const told: unknown[] = [];
      for (let i = 0; i < 5; i++) {
        // The first has nothing to land on.
        d.setFaults({ misdirectChance: i === 0 || i === 3 ? 1 : 0 });
        journal.append(i, (error) => told.push(error));
      }
      world.run();
      expect(told).toEqual(new Array(5).fill(undefined));
      expect(journal.durableCount).toBe(5);
      const damaged = journal.damaged();
      expect([damaged.length, damaged[1], d.counters.misdirected]).toEqual([2, 3, 1]);
      d.crash();
      expect(journal.damaged()).toEqual(damaged);
      expect(journal.records()).toEqual([0, 1, 2, 3, 4]);
      expect(() => journal.recover()).toThrow(expect.objectContaining({ code: "ERR_SIMULATION_DISK_DAMAGED" }));
      const read: unknown[] = [];
      for (let i = 0; i < 5; i++) journal.read(i, i + 1, (error, records) => read.push(error?.code ?? records[0]));
      world.run();
      expect(read.sort()).toEqual(
        [0, 1, 2, 3, 4].map((i) => (damaged.includes(i) ? "ERR_SIMULATION_DISK_DAMAGED" : i)).sort(),
      );
    });
  });

  it("rots where it is told to", () => {
    const { world, disk: d } = disk(1);
    const journal = d.journal<string>("log");
    for (const record of ["a", "b", "c"]) journal.append(record, () => {});
    world.run();
    journal.corrupt(1);
    expect([journal.damaged(), d.counters.corrupted]).toEqual([[1], 1]);
    expect(() => journal.corrupt(3)).toThrow(expect.objectContaining({ code: "ERR_SIMULATION_ARGUMENT" }));
  });

  it("may fail to be read, and be read the next time", () => {
    const { world, disk: d } = disk(1);
    const journal = d.journal<string>("log");
    journal.append("a", () => {});
    world.run();
    d.setFaults({ readFailChance: 1, readMs: [2, 2] });
    const read: unknown[] = [];
    journal.read(0, 1, (error, records) => read.push([error?.code, records, world.now]));
    expect(() => journal.recover()).toThrow(expect.objectContaining({ code: "ERR_SIMULATION_DISK_IO" }));
    const began = world.now;
    world.run();
    d.calm();
    expect(read).toEqual([["ERR_SIMULATION_DISK_IO", [], began + 2]]);
    expect([journal.recover(), d.counters.readFailures, d.counters.reads]).toEqual([["a"], 2, 3]);
  });
});

it("can be awaited", async () => {
  const { world, disk: d } = disk(1);
  const files = new PromiseDisk(d);
  const program = (async () => {
    await files.write("f", 0, bytes(10, 1));
    await files.sync("f");
    await files.rename("f", "g");
    await files.syncDirectory();
    await files.truncate("g", 4);
    const head = await files.read("g", 0, 100);
    await files.remove("g");
    return head;
  })();
  await world.runAsync({ turn: eventLoopTurn });
  expect(await program).toEqual(bytes(4, 1));
  expect(d.list()).toEqual([]);
  const missing = expect(files.read("g", 0, 1)).rejects.toMatchObject({ code: "ERR_SIMULATION_NO_FILE" });
  await world.runAsync({ turn: eventLoopTurn });
  await missing;
});
