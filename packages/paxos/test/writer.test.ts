import { describe, expect, test } from "vitest";
import { Writer } from "../src/host/writer.js";
import { memoryStorage } from "../src/storage/memory.js";

const ballot = { round: 1, node: "a" };
const entry = (slot: number) => ({ slot, ballot, kind: "command", command: new Uint8Array([slot]) }) as const;

/** A writer of one group, whose core would wait for others or not; with what it was told. */
function writing(waitsForOthers: boolean) {
  const told: number[] = [];
  const writer = new Writer(memoryStorage()("g"), {
    soon: (tell) => queueMicrotask(tell),
    patient: () => waitsForOthers,
    onDurable: (token) => void told.push(token),
    onFailed: (cause) => {
      throw cause;
    },
  });
  const write = (slot: number) => writer.write({ type: "persist", token: slot, write: { entries: [entry(slot)] } });
  const durable = async () => {
    await writer.settled();
    // Behind the microtask that tells.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { told, writer, write, durable };
}

describe("what is durable", () => {
  test("is told once for all writes that became durable together", async () => {
    const { told, writer, write, durable } = writing(false);
    for (const slot of [1, 2, 3]) write(slot);
    await durable();
    expect(told.at(-1)).toBe(3);
    expect(writer.take()).toBeUndefined();
    expect(writer.idle).toBe(true);
  });

  test("waits for whatever the group hears of next, where alone it decides nothing", async () => {
    const { told, writer, write, durable } = writing(true);
    write(1);
    await durable();
    expect(told).toEqual([]);
    expect(writer.idle).toBe(false);
    expect(writer.take()).toBe(1);
    expect(writer.take()).toBeUndefined();
    expect(writer.idle).toBe(true);
  });

  test("is told without patience when somebody has answered before it was", async () => {
    const { told, writer, write, durable } = writing(true);
    write(1);
    writer.answered();
    write(2);
    await durable();
    expect(told.at(-1)).toBe(2);
  });

  test("waits again once all that somebody had answered meanwhile was durable", async () => {
    const { told, writer, write, durable } = writing(true);
    write(1);
    writer.answered();
    await durable();
    write(2);
    await durable();
    expect(told).toEqual([1]);
    expect(writer.take()).toBe(2);
  });

  test("that was taken before it could be told is not told twice", async () => {
    const { told, writer, write, durable } = writing(false);
    write(1);
    await writer.settled();
    const taken = writer.take();
    await durable();
    expect([taken, ...told].filter((token) => token !== undefined)).toEqual([1]);
  });
});
