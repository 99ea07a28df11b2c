import { createHash } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { HostMessage } from "../src/host/host-messages.js";
import { Pace } from "../src/host/pace.js";
import { SnapshotReceiver } from "../src/host/snapshot-receiver.js";
import { SnapshotSender } from "../src/host/snapshot-sender.js";
import { collect, type IncomingSnapshot, type Position, type Snapshot } from "../src/index.js";
import { until } from "./support/cluster.js";

const ids = { nodeId: "a", groupId: "g" };
const configuration = { slot: 0, storage: ["a", "b", "c"], log: [], departed: [] };
const positionAt = (slot: number): Position => ({ slot, ballot: { round: 1, node: "a" }, configuration });
/** Until everything that needs no clock has happened. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

const failures: unknown[] = [];
const onFailure = (event: unknown) => failures.push(event);
beforeAll(() => subscribe("evenkeel:paxos:snapshot-failed", onFailure));
afterAll(() => void unsubscribe("evenkeel:paxos:snapshot-failed", onFailure));
afterEach(() => {
  failures.length = 0;
});

/** Who sends, alone, with a clock and a wire of our own. */
function sending({ sizeBytes = 100, known = true, lie = 0 } = {}) {
  const said: [string, HostMessage][] = [];
  const waiting: ((slot: number) => void)[] = [];
  const sent: (() => void)[] = [];
  const table = { nowMs: 0, taken: 0, closed: 0, said, sent, known, paced: false };
  const sender = new SnapshotSender({
    ids,
    machine: {
      appliedThrough: 0,
      apply: () => {},
      snapshot: () => {
        table.taken++;
        return new Promise<Snapshot>((resolve) => {
          const read = (_: number, length: number) => new Uint8Array(length - lie);
          waiting.push((slot) => resolve({ slot, sizeBytes, read, close: () => void table.closed++ }));
        });
      },
    },
    table: () => undefined,
    pieceBytes: 40,
    pace: { pass: (_: number, send: () => void) => (table.paced ? void sent.push(send) : send()) } as unknown as Pace,
    now: () => table.nowMs,
    random: () => 0,
    positionOf: (slot) => (table.known ? positionAt(slot) : undefined),
    post: (to, message) => said.push([to, message]),
  });
  /** The state machine has its oldest snapshot ready. */
  const ready = async (slot: number) => {
    waiting.shift()?.(slot);
    await settled();
  };
  const heard = (to: string) => said.filter(([node]) => node === to).map(([, message]) => message);
  const offered = (to: string) =>
    heard(to).filter(({ type }) => type === "offer") as { id: string; position: Position }[];
  return Object.assign(table, { sender, ready, heard, offered });
}

describe("who sends a snapshot", () => {
  it("takes two at a time at most, one for each, those counted that are only about to begin", async () => {
    const one = sending();
    for (const to of ["b", "b", "c", "d"]) one.sender.needed(to, 5);
    expect(one.taken).toBe(2);
    await one.ready(7);
    await one.ready(8);
    one.sender.needed("d", 5);
    expect(one.taken).toBe(2);
    expect([one.offered("b").length, one.offered("c").length, one.offered("d").length]).toEqual([1, 1, 0]);
    // The log behind the older one must stay.
    expect(one.sender.pinnedSlot).toBe(7);
    one.sender.close();
    await settled();
    expect([one.closed, one.sender.pinnedSlot]).toEqual([2, Number.POSITIVE_INFINITY]);
    one.sender.needed("b", 5);
    expect(one.taken).toBe(2);
  });

  it("offers the same one again as long as it brings who asks far enough, and then another in its place", async () => {
    const one = sending();
    one.sender.needed("b", 5);
    await one.ready(7);
    one.sender.needed("b", 7);
    expect(one.offered("b").map(({ position }) => position.slot)).toEqual([7, 7]);
    one.sender.needed("b", 8);
    await one.ready(9);
    expect(one.offered("b").map(({ position }) => position.slot)).toEqual([7, 7, 9]);
    expect([one.taken, one.closed]).toEqual([2, 1]);
    one.sender.fetch("b", one.offered("b")[0]?.id ?? "", 0);
    expect(one.heard("b").at(-1)).toMatchObject({ type: "gone" });
  });

  it("gives up one of which nobody asks for anything any more, and only that", async () => {
    const one = sending();
    one.sender.needed("b", 5);
    await one.ready(7);
    one.nowMs = 20_000;
    one.sender.fetch("b", one.offered("b")[0]?.id ?? "", 0);
    await settled();
    one.sender.tick(50_000);
    expect([one.sender.active, one.heard("b").at(-1)?.type]).toEqual([true, "piece"]);
    one.sender.tick(50_001);
    await settled();
    expect([one.sender.active, one.closed]).toEqual([false, 1]);
  });

  it("does not hand out one whose place in the log nobody knows, nor one that is read wrongly", async () => {
    const unknown = sending({ known: false });
    unknown.sender.needed("b", 5);
    await unknown.ready(7);
    expect([unknown.said, unknown.closed, unknown.sender.active]).toEqual([[], 1, false]);
    const wrong = sending({ lie: 1 });
    wrong.sender.needed("b", 5);
    await wrong.ready(7);
    wrong.sender.fetch("b", wrong.offered("b")[0]?.id ?? "", 0);
    await settled();
    expect(wrong.heard("b").map(({ type }) => type)).toEqual(["offer", "gone"]);
    expect([wrong.closed, wrong.sender.active, failures.length]).toEqual([1, false, 1]);
  });

  it("sends each piece when it may, also one that it sends again", async () => {
    const one = sending();
    one.sender.needed("b", 5);
    await one.ready(7);
    one.paced = true;
    const id = one.offered("b")[0]?.id ?? "";
    for (let time = 0; time < 2; time++) {
      one.sender.fetch("b", id, 0);
      await settled();
    }
    expect(one.heard("b").map(({ type }) => type)).toEqual(["offer"]);
    for (const send of one.sent) send();
    expect(one.heard("b").map(({ type }) => type)).toEqual(["offer", "piece", "piece"]);
  });
});

describe("the pace of snapshots", () => {
  it("is that of all bytes together, and saves nothing up", () => {
    vi.useFakeTimers();
    try {
      const nowMs = () => Date.now();
      const begunMs = nowMs();
      const pace = new Pace(1000, nowMs);
      const went: number[] = [];
      const pass = (bytes: number) => pace.pass(bytes, () => went.push(nowMs() - begunMs));
      for (const bytes of [500, 1000, 250, 0]) pass(bytes);
      vi.advanceTimersByTime(10_000);
      for (const bytes of [100, 100]) pass(bytes);
      vi.advanceTimersByTime(1000);
      expect(went).toEqual([0, 500, 1500, 1750, 10_000, 10_100]);
      pass(10_000);
      pass(1);
      pace.close();
      vi.advanceTimersByTime(100_000);
      expect(went.length).toBe(7);
    } finally {
      vi.useRealTimers();
    }
  });
});

/** Who receives, alone. The state machine keeps what it was given. */
function receiving(install?: (snapshot: IncomingSnapshot) => Promise<void>, spoolFile?: string) {
  const said: [string, HostMessage][] = [];
  const failed: unknown[] = [];
  const done: (number | undefined)[] = [];
  const kept: string[] = [];
  const table = {
    nowMs: 0,
    applied: 0,
    prepare: (): Promise<void> => Promise.resolve(),
    ...{ said, failed, done, kept },
  };
  const taking = async (snapshot: IncomingSnapshot) => {
    kept.push(Buffer.from(await collect(snapshot)).toString("utf8"));
  };
  const receiver = new SnapshotReceiver({
    ids: { nodeId: "b", groupId: "g" },
    machine: { appliedThrough: 0, apply: () => {}, install: install ?? taking },
    now: () => table.nowMs,
    wants: (slot) => slot > table.applied,
    post: (to, message) => said.push([to, message]),
    prepare: () => table.prepare(),
    done: (position) => done.push(position?.slot),
    checkTable: () => {},
    spoolFile,
    fail: (error) => failed.push(error),
  });
  const offer = (sizeBytes: number, { from = "a", slot = 7, id = "x" } = {}) => {
    receiver.offer(from, { type: "offer", id, position: positionAt(slot), sizeBytes });
    return settled();
  };
  const piece = (
    offset: number,
    text: string,
    { from = "a", id = "x", of }: { from?: string; id?: string; of?: string } = {},
  ) => {
    const digest = of === undefined ? new Uint8Array(0) : createHash("sha256").update(of).digest();
    receiver.piece(from, { type: "piece", id, offset, bytes: Buffer.from(text), digest });
    return settled();
  };
  const asked = () => said.map(([to, message]) => `${to} ${message.type === "fetch" ? message.offset : message.type}`);
  return Object.assign(table, { receiver, offer, piece, asked });
}

describe("who receives a snapshot", () => {
  it("takes it over when all of it is right and its log has been told", async () => {
    const one = receiving();
    let tell = () => {};
    one.prepare = () =>
      new Promise((resolve) => {
        tell = resolve;
      });
    await one.offer(6);
    await one.piece(0, "abc");
    await one.piece(3, "def", { of: "abcdef" });
    expect([one.kept, one.done, one.receiver.active]).toEqual([[], [], true]);
    tell();
    await one.receiver.settled();
    expect([one.kept, one.done, one.receiver.active]).toEqual([["abcdef"], [7], false]);
    expect(one.asked()).toEqual(["a 0", "a 3"]);
    expect([one.failed, failures]).toEqual([[], []]);
  });

  it.each<[string, (one: ReturnType<typeof receiving>) => Promise<unknown>]>([
    ["has a wrong checksum", (one) => one.piece(3, "deF", { of: "abcdef" })],
    ["is longer than was said", (one) => one.piece(3, "defg", { of: "abcdefg" })],
    ["ends early", (one) => one.piece(3, "", { of: "abc" })],
    [
      "is of a slot that was applied meanwhile",
      (one) => {
        one.applied = 7;
        return one.piece(3, "def", { of: "abcdef" });
      },
    ],
    ["its sender has no more", async (one) => one.receiver.gone("a", "x")],
  ])("leaves one alone that %s", async (_, wrong) => {
    const one = receiving();
    await one.offer(6);
    await one.piece(0, "abc");
    await wrong(one);
    await one.receiver.settled();
    expect([one.kept, one.done, one.failed, one.receiver.active]).toEqual([[], [], [], false]);
    expect(failures.length).toBe(1);
  });

  it("takes pieces only that it has asked for, of whom it has asked, and none of what it has no use for", async () => {
    const one = receiving();
    await one.offer(6, { slot: 0 });
    expect(one.said).toEqual([]);
    await one.offer(6);
    await one.piece(0, "xyz", { from: "c" });
    await one.piece(0, "xyz", { id: "y" });
    await one.piece(3, "xyz");
    one.receiver.gone("c", "x");
    one.receiver.gone("a", "y");
    expect(one.asked()).toEqual(["a 0"]);
    await one.piece(0, "abc");
    await one.piece(0, "abc");
    await one.piece(3, "def", { of: "abcdef" });
    await one.receiver.settled();
    expect(one.kept).toEqual(["abcdef"]);
  });

  it("asks again twice a second, and gives up in the end, or as soon as another has one", async () => {
    const one = receiving();
    await one.offer(6);
    one.receiver.tick(499);
    expect(one.said.length).toBe(1);
    for (let half = 1; half <= 20; half++) {
      one.nowMs = 500 * half;
      one.receiver.tick(one.nowMs);
    }
    expect(one.asked()).toEqual(Array.from({ length: 21 }, () => "a 0"));
    one.receiver.tick(10_500);
    await one.receiver.settled();
    expect([one.said.length, one.done, failures.length]).toEqual([21, [], 1]);
    await one.offer(6, { id: "second" });
    one.receiver.tick(500);
    await one.offer(6, { from: "c" });
    expect(one.receiver.active).toBe(true);
    for (const nowMs of [20_000, 20_500, 21_000]) {
      one.nowMs = nowMs;
      one.receiver.tick(nowMs);
    }
    await one.offer(6, { from: "c" });
    await one.receiver.settled();
    await one.offer(6, { from: "c" });
    expect(one.asked().at(-1)).toBe("c 0");
  });

  it("ends its group when the log fails, or when the state machine has not waited for the end", async () => {
    const log = receiving();
    const full = new Error("ENOSPC");
    log.prepare = () => Promise.reject(full);
    await log.offer(3);
    await log.piece(0, "abc", { of: "abc" });
    await log.receiver.settled();
    expect([log.failed, log.done]).toEqual([[full], []]);
    const early = receiving(async () => {});
    await early.offer(3);
    await early.receiver.settled();
    expect(early.failed).toMatchObject([{ code: "ERR_PAXOS_APPLY" }]);
    expect(early.done).toEqual([]);
  });

  it("has its group go on with the old state when the switch has failed", async () => {
    const one = receiving(async ({ chunks }) => {
      for await (const _ of chunks);
      throw new Error("no space for the new one");
    });
    await one.offer(3);
    await one.piece(0, "abc", { of: "abc" });
    await one.receiver.settled();
    expect([one.done, one.failed, failures.length]).toEqual([[undefined], [], 1]);
  });

  it("keeps for its next life what came, not what the state machine has made of it", async () => {
    const dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-ends-"));
    try {
      const file = join(dir, "x.snapshot");
      const before = receiving(async ({ chunks }) => {
        for await (const chunk of chunks) chunk.fill(0);
      }, file);
      await before.offer(9);
      for (const [offset, text] of [
        [0, "abc"],
        [3, "def"],
      ] as const) {
        await until(() => before.asked().at(-1) === `a ${offset}`);
        await before.piece(offset, text);
      }
      await until(() => before.asked().at(-1) === "a 6");
      before.receiver.close();
      await before.receiver.settled();
      const after = receiving(undefined, file);
      await after.offer(9);
      await until(() => after.said.length > 0);
      expect(after.asked()).toEqual(["a 6"]);
      await after.piece(6, "ghi", { of: "abcdefghi" });
      await after.receiver.settled();
      expect([after.kept, after.done, failures.length]).toEqual([["abcdefghi"], [7], 1]);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });

  it("wants nothing more when it is closed, and leaves nobody waiting", async () => {
    const one = receiving();
    await one.offer(3);
    one.receiver.close();
    await one.receiver.settled();
    await one.offer(3);
    expect([one.asked(), one.receiver.active, one.done]).toEqual([["a 0"], false, []]);
  });
});
