import { describe, expect, it, vi } from "vitest";
import type { HostMessage } from "../src/host/host-messages.js";
import { Pace } from "../src/host/pace.js";
import { SnapshotSender } from "../src/host/snapshot-sender.js";
import { type SnapshotParts, Snapshots } from "../src/host/snapshots.js";
import { type Position, type Snapshot, snapshotOf } from "../src/index.js";
import { positionAt, settled, toldFailures } from "./support/snapshot-ends.js";

const ids = { nodeId: "a", groupId: "g" };
const failures = toldFailures();

/** Who sends, alone, with a clock and a wire of our own. */
function sending({ sizeBytes = 100, known = true, lie = 0 } = {}) {
  const said: [string, HostMessage][] = [];
  const waiting: ((slot: number) => void)[] = [];
  const sent: (() => void)[] = [];
  const table = {
    ...{ nowMs: 0, taken: 0, closed: 0, said, sent, known, paced: false },
    clients: undefined as { slot: number; bytes: Uint8Array } | undefined,
    /** A read waits for this, and fails with it. */
    reading: Promise.resolve(),
  };
  const sender = new SnapshotSender({
    ids,
    machine: {
      appliedThrough: 0,
      apply: () => {},
      snapshot: () => {
        table.taken++;
        return new Promise<Snapshot>((resolve) => {
          const read = (_: number, length: number) => table.reading.then(() => new Uint8Array(length - lie));
          waiting.push((slot) => resolve({ slot, sizeBytes, read, close: () => void table.closed++ }));
        });
      },
    },
    table: () => table.clients,
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

  it("closes each once, when it is not read any more, and tells when that is done; what fails of one that was given up ends no other", async () => {
    const one = sending();
    let fail: (cause: Error) => void = () => {};
    one.reading = new Promise((_, reject) => {
      fail = reject;
    });
    one.sender.needed("b", 5);
    await one.ready(7);
    one.sender.fetch("b", one.offered("b")[0]?.id ?? "", 0);
    one.sender.needed("b", 8);
    await one.ready(9);
    let ended = false;
    const settling = one.sender.settled().then(() => {
      ended = true;
    });
    await settled();
    expect([one.closed, ended]).toEqual([0, false]);
    fail(new Error("EIO"));
    await settling;
    expect([one.closed, one.sender.active, failures]).toEqual([1, true, []]);
    one.reading = Promise.resolve();
    one.sender.fetch("b", one.offered("b")[1]?.id ?? "", 0);
    await settled();
    expect(one.heard("b").map(({ type }) => type)).toEqual(["offer", "offer", "piece"]);
    one.sender.close();
    await one.sender.settled();
    expect(one.closed).toBe(2);
  });

  it("hands out none without its clients, though the first of them registered while it was taken", async () => {
    const one = sending();
    const bytes = new Uint8Array(3);
    one.sender.needed("b", 5);
    one.clients = { slot: 9, bytes };
    await one.ready(7);
    expect([one.said, one.closed]).toEqual([[], 1]);
    expect(failures).toMatchObject([{ cause: { code: "ERR_PAXOS_SNAPSHOT" } }]);
    one.clients = undefined;
    one.sender.needed("b", 5);
    one.clients = { slot: 9, bytes };
    await one.ready(9);
    expect(one.heard("b")).toMatchObject([{ type: "offerWithClients", sizeBytes: 103, tableBytes: 3 }]);
  });

  it("hands out none of a slot that is not applied here: it is being taken over, and its clients are not known yet", async () => {
    const said: string[] = [];
    const applier = { appliedThrough: 6, executor: {} };
    const snapshots = new Snapshots({
      ids,
      home: { settings: { now: () => 0, random: () => 0, snapshotPieceBytes: 40 } },
      core: { positionFrom: positionAt },
      machine: { snapshot: () => snapshotOf(7, new Uint8Array(1)) },
      applier,
      post: (_: string, message: HostMessage) => said.push(message.type),
    } as unknown as SnapshotParts<unknown>);
    for (const slot of [6, 7]) {
      applier.appliedThrough = slot;
      snapshots.sender.needed("b", 5);
      await settled();
      expect(said).toEqual(slot < 7 ? [] : ["offer"]);
    }
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
