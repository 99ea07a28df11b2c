import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, expect, it } from "vitest";
import { PaxosError } from "../src/core/errors.js";
import type { Message } from "../src/core/messages.js";
import { Shipper } from "../src/host/shipper.js";
import { type Entry, type GroupStorage, memoryStorage } from "../src/index.js";

const ballot = { round: 1, node: "a" };
const kib = 1024;

async function shipping({ slots, each }: { slots: number; each: number }) {
  const storage = memoryStorage()("g");
  const all = Array.from({ length: slots }, (_, i): Entry => {
    // Each weighs 32 bytes beside its command.
    return { slot: i + 1, ballot, kind: "command", command: new Uint8Array(each - 32).fill(i) };
  });
  await storage.write({ entries: all, chosenThrough: slots });
  const clock = { nowMs: 0 };
  const sent: { to: string; entries: readonly Entry[] }[] = [];
  const shipper = new Shipper(
    { nodeId: "a", groupId: "g" },
    storage,
    (to, message: Message) => {
      if (message.type === "learn") sent.push({ to, entries: message.entries });
    },
    () => clock.nowMs,
  );
  const ask = (fromSlot: number, to = "b", throughSlot = slots) =>
    shipper.ship({ type: "ship", to, fromSlot, throughSlot, bytesMax: 10 * kib });
  /** Nothing more is sent for now. */
  const quiet = async () => {
    for (let before = -1; before !== sent.length; ) {
      before = sent.length;
      for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const slotsOf = (to = "b") =>
    sent.filter((one) => one.to === to).flatMap(({ entries }) => entries.map((e) => e.slot));
  return { shipper, storage, clock, sent, ask, quiet, slotsOf };
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("the log for who lacks it", () => {
  it("is sent somewhat ahead of what was asked for, in order, each slot once, to each at his own pace", async () => {
    const { shipper, ask, quiet, slotsOf, sent } = await shipping({ slots: 100, each: kib });
    ask(1);
    ask(40, "c");
    await quiet();
    // Four pieces of ten KiB, in parts of five.
    expect(slotsOf()).toEqual(range(1, 40));
    expect(sent.filter(({ to }) => to === "b").map(({ entries }) => entries.length)).toEqual(Array(8).fill(5));
    expect(slotsOf("c")).toEqual(range(40, 79));
    ask(6);
    await quiet();
    expect(slotsOf()).toEqual(range(1, 45));
    for (let from = 11; slotsOf().length < 100; from += 5) {
      ask(from);
      await quiet();
    }
    ask(101);
    await quiet();
    expect(slotsOf()).toEqual(range(1, 100));
    expect(slotsOf("c")).toEqual(range(40, 79));
    expect(shipper.idle).toBe(false);
    await shipper.settled();
    expect(shipper.idle).toBe(true);
  });

  it("is sent again to who asks again after a while, and from elsewhere to who asks from elsewhere", async () => {
    const { shipper, clock, ask, quiet, slotsOf } = await shipping({ slots: 60, each: 5 * kib });
    ask(3);
    await quiet();
    clock.nowMs = 999;
    ask(3);
    await quiet();
    expect(slotsOf()).toEqual(range(3, 10));
    clock.nowMs = 1000;
    ask(3);
    await quiet();
    clock.nowMs = 1999;
    ask(3);
    await quiet();
    expect(slotsOf()).toEqual([...range(3, 10), ...range(3, 10)]);
    ask(40);
    await quiet();
    expect(slotsOf().slice(16)).toEqual(range(40, 47));
    // While it is read from elsewhere.
    ask(20);
    await Promise.resolve();
    await Promise.resolve();
    ask(2);
    ask(2);
    await quiet();
    expect(slotsOf().slice(24)).toEqual(range(2, 9));
    await shipper.settled();
  });

  it("comes one slot at a time where each is larger than what was asked for, and never beyond what was asked for", async () => {
    const { shipper, ask, quiet, slotsOf } = await shipping({ slots: 9, each: 15 * kib });
    ask(1, "b", 4);
    await quiet();
    expect(slotsOf()).toEqual([1, 2, 3]);
    ask(4, "b", 4);
    await quiet();
    expect(slotsOf()).toEqual([1, 2, 3, 4]);
    await shipper.settled();
  });

  it("is as much as was asked for where the commands are empty: neither read as a whole nor sent so", async () => {
    const { shipper, storage, ask, quiet, slotsOf } = await shipping({ slots: 1, each: kib });
    let largest = 0;
    const empty = { ballot, kind: "command", command: new Uint8Array(0) } as const;
    storage.read = async (from, through) => {
      largest = Math.max(largest, through - from + 1);
      return range(from, through).map((slot) => ({ slot, ...empty }));
    };
    ask(1, "b", 200_000);
    await quiet();
    expect(slotsOf()).toEqual(range(1, (4 * 10 * kib) / 32));
    // Four MiB are read ahead.
    expect(largest).toBe((4 * 1024 * kib) / 32 + 1);
    await shipper.settled();
  });

  it("is let go of when it is not read any more: neither what was asked for nor what comes behind it", async () => {
    for (const gated of [1, 41]) {
      const { shipper, storage, ask, quiet, slotsOf } = await shipping({ slots: 60, each: kib });
      const { read } = storage;
      let open = () => {};
      const gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      let reads = 0;
      storage.read = async (from) => {
        if (++reads >= gated) await gate;
        return await read.call(storage, from, from, kib);
      };
      ask(1);
      await quiet();
      expect([reads, slotsOf()]).toEqual([gated, range(1, gated - 1)]);
      let settled = false;
      const settling = shipper.settled().then(() => {
        settled = true;
      });
      await quiet();
      expect(settled).toBe(false);
      open();
      await settling;
      expect(shipper.idle).toBe(true);
    }
  });

  it("begins anew after a reading that failed", async () => {
    const { shipper, storage, ask, quiet, slotsOf } = await shipping({ slots: 40, each: kib });
    const { read } = storage;
    let broken: Error | undefined;
    storage.read = (...range: Parameters<GroupStorage["read"]>) =>
      broken ? Promise.reject(broken) : read.apply(storage, range);
    const told: unknown[] = [];
    const listen = (event: unknown) => told.push(event);
    subscribe("evenkeel:paxos:unreadable", listen);
    // What was let go of is no damage.
    for (broken of [new PaxosError("ERR_PAXOS_TRIMMED", "gone"), new Error("rot")]) {
      ask(1);
      await quiet();
      expect([slotsOf(), shipper.idle]).toEqual([[], true]);
    }
    unsubscribe("evenkeel:paxos:unreadable", listen);
    expect(told).toEqual([{ nodeId: "a", groupId: "g", fromSlot: 1, throughSlot: 40, cause: broken }]);
    broken = undefined;
    ask(1);
    await quiet();
    expect(slotsOf()).toEqual(range(1, 40));
    await shipper.settled();
  });
});
