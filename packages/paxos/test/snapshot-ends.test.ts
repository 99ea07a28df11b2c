import { createHash } from "node:crypto";
import { describe, expect, it, vi } from "vitest";
import type { HostMessage } from "../src/host/host-messages.js";
import { Pace } from "../src/host/pace.js";
import { SnapshotSender } from "../src/host/snapshot-sender.js";
import { type SnapshotParts, Snapshots } from "../src/host/snapshots.js";
import { type IncomingSnapshot, type Position, type Snapshot, snapshotOf } from "../src/index.js";
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
    // Another in the place of one is none more.
    one.sender.needed("c", 9);
    await one.ready(9);
    expect([one.taken, one.closed]).toEqual([3, 1]);
    // The log behind the older one must stay.
    expect(one.sender.pinnedSlot).toBe(7);
    one.sender.close();
    await settled();
    expect([one.closed, one.sender.pinnedSlot]).toEqual([3, Number.POSITIVE_INFINITY]);
    one.sender.needed("b", 5);
    expect(one.taken).toBe(3);
    const late = sending();
    late.sender.needed("b", 5);
    late.sender.close();
    await late.ready(7);
    expect([late.said, late.closed, late.sender.active]).toEqual([[], 1, false]);
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
    one.sender.close();
    await one.sender.settled();
    expect(one.closed).toBe(2);
  });

  it("hands out no piece in which something is missing behind the clients", async () => {
    const one = sending({ lie: 1 });
    one.clients = { slot: 7, bytes: new Uint8Array(3) };
    one.sender.needed("b", 5);
    await one.ready(7);
    const [offer] = one.heard("b") as { id: string }[];
    one.sender.fetch("b", offer?.id ?? "", 0);
    await settled();
    expect([one.heard("b").at(-1)?.type, failures.length]).toEqual(["gone", 1]);
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

describe("a replica with snapshots to give and to take", () => {
  /** One that has applied six slots. */
  function replica({ behind = false, trimmedThrough = 0 } = {}) {
    const table = {
      ...{ behind, held: false, lagging: false, appliedThrough: 6, full: false },
      executor: { clients: undefined as { used: boolean } | undefined, clientTable: () => new Uint8Array(3) },
      said: [] as string[],
      did: [] as string[],
      /** That its log knows what is about to be. */
      mark: () => {},
      jumpTo: (slot: number) => {
        table.appliedThrough = slot;
        table.did.push(`stands at ${slot}`);
      },
    };
    const snapshots = new Snapshots({
      ...{ ids, applier: table },
      home: { settings: { now: () => 0, random: () => 0, snapshotPieceBytes: 40 } },
      core: { positionFrom: positionAt, configuration: positionAt(0).configuration },
      storage: { trimmedThrough },
      machine: {
        snapshot: () => ({
          ...snapshotOf(7, new Uint8Array(1)),
          close: () => settled().then(() => table.did.push("closes")),
        }),
        install: async ({ chunks }: IncomingSnapshot) => {
          for await (const _ of chunks) table.did.push("reads");
          if (table.full) throw new Error("ENOSPC");
          table.did.push("switches");
        },
      },
      post: (to: string, { type }: HostMessage) => table.said.push(`${type} to ${to}`),
      step: ({ type }: { type: string }) => table.did.push(type),
      arrears: () => ({ begin: () => table.did.push("begins"), resume: () => table.did.push("resumes") }),
      markInstall: () =>
        new Promise<void>((resolve) => {
          table.mark = resolve;
        }),
    } as unknown as SnapshotParts<unknown>);
    const offer = (slot: number) =>
      snapshots.receive("b", { type: "offer", id: "x", position: positionAt(slot), sizeBytes: 1 });
    return Object.assign(table, { snapshots, offer });
  }

  it("switches when its log knows, durably, that it is about to, and applies nothing meanwhile", async () => {
    const one = replica({ trimmedThrough: 9 });
    for (const slot of [6, 8]) one.offer(slot);
    await settled();
    expect([one.said, one.snapshots.active]).toEqual([[], false]);
    const bytes = Uint8Array.of(1);
    const digest = createHash("sha256").update(bytes).digest();
    // The state of before goes on where it was.
    for (const full of [true, false]) {
      one.full = full;
      one.offer(9);
      await settled();
      expect([one.said.splice(0), one.snapshots.active, one.held]).toEqual([["fetch to b"], true, false]);
      one.snapshots.receive("b", { type: "piece", id: "x", offset: 0, bytes, digest });
      await settled();
      expect([one.did.splice(0), one.held]).toEqual([["reads"], true]);
      one.mark();
      await one.snapshots.settled();
      expect(one.did.splice(0)).toEqual(full ? ["resumes"] : ["switches", "stands at 9", "installed", "begins"]);
      expect([one.held, one.snapshots.active]).toEqual([false, false]);
    }
    const applied = replica();
    applied.offer(6);
    await settled();
    expect(applied.said).toEqual([]);
  });

  it("asks for one, while it needs it and none is on its way, twice a second: whoever leads, or all", () => {
    const one = replica({ behind: true });
    expect(one.snapshots.active).toBe(true);
    for (const nowMs of [0, 499, 500]) one.snapshots.tick(nowMs, "c");
    expect(one.said.splice(0)).toEqual(["ask to c", "ask to c"]);
    one.lagging = true;
    one.snapshots.tick(1000, "c");
    one.lagging = false;
    one.snapshots.tick(1001, undefined);
    expect(one.said.splice(0)).toEqual(["ask to b", "ask to c"]);
    one.offer(7);
    one.snapshots.tick(1501, "c");
    // Nor has it one for others.
    one.snapshots.receive("c", { type: "ask", fromSlot: 1 });
    expect([one.said.splice(0), one.snapshots.sender.starting]).toEqual([[], false]);
    const other = replica();
    other.snapshots.tick(0, "c");
    expect(other.said).toEqual([]);
  });

  it("hands out none of a slot that is not applied here: it is being taken over, and its clients are not known yet", async () => {
    const one = replica();
    for (const slot of [6, 7]) {
      one.appliedThrough = slot;
      one.snapshots.receive("b", { type: "ask", fromSlot: 5 });
      await settled();
      await settled();
      expect([one.said, one.did]).toEqual([slot < 7 ? [] : ["offer to b"], ["closes"]]);
    }
    expect(one.snapshots.active).toBe(true);
    // Before anybody has registered, members that know nothing of clients may be among them.
    one.executor.clients = { used: false };
    one.snapshots.receive("c", { type: "ask", fromSlot: 5 });
    await settled();
    expect(one.said).toEqual(["offer to b", "offer to c"]);
    one.offer(9);
    await settled();
    one.snapshots.close();
    await one.snapshots.settled();
    expect(one.did).toEqual(["closes", "closes", "closes"]);
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
