import type { IncomingSnapshot } from "@evenkeel/paxos";
import { type StateMachineUnderTest, stateMachineCases } from "@evenkeel/paxos/testing";
import { describe, expect, test } from "vitest";
import { Applier } from "../src/storage-node/applier.js";
import { encodeCommand, type Write } from "../src/storage-node/command.js";
import { GroupMachine } from "../src/storage-node/group-machine.js";
import { encodeState, type StateEntry } from "../src/storage-node/partition-state.js";
import { Replica } from "../src/storage-node/replica.js";
import { encodeStored } from "../src/storage-node/stored-value.js";
import { Tree } from "../src/storage-node/tree.js";
import { temporaryDir } from "./support/store.js";

/** Few keys, so that most writes meet one before them; every ninth entry says nothing. */
function command(slot: number): Uint8Array {
  const key = Buffer.from(`key ${(slot * 7) % 31}`);
  const put: Write = { op: "put", key, bytes: Buffer.from(`"${"x".repeat(slot % 90)}"`), itemSizeBytes: slot % 90 };
  const writes: Write[] = slot % 9 === 0 ? [] : [slot % 4 === 0 ? { op: "delete", key } : put];
  return encodeCommand({ kind: "writes", timeMs: 1_000 + slot, writes });
}

async function partition(): Promise<StateMachineUnderTest> {
  const { dir, remove } = await temporaryDir();
  let failure: unknown;
  let end: () => Promise<void>;
  const opened = (): StateMachineUnderTest => {
    const tree = Tree.open(dir);
    const applier = new Applier(tree, (error) => {
      failure = error;
    });
    const replica = new Replica(7, tree, applier);
    const machine = new GroupMachine(replica, tree, applier);
    machine.vouchedThrough = () => Number.POSITIVE_INFINITY;
    end = async () => {
      await applier.close();
      await machine.close();
      await tree.close();
    };
    return {
      stateMachine: machine,
      state: () =>
        [...replica.range({})].map(({ key, value }) => [
          Buffer.from(key).toString(),
          Buffer.from(value.json).toString(),
          value.slot,
        ]),
      settled: () => applier.drain(),
      reopen: async () => {
        await end();
        return opened();
      },
      close: async () => {
        await end();
        await remove();
        expect(failure).toBeUndefined();
      },
    };
  };
  return opened();
}

describe("a partition as its group sees it", () => {
  for (const { name, run } of stateMachineCases(partition, { command })) test(name, run);
});

describe("a state that is taken over", () => {
  const entry = (n: number, text: string) => {
    const key = Uint8Array.of(1, n >> 8, n & 255);
    return { key, bytes: encodeStored(key, 1, 1, Buffer.from(text)) };
  };
  /** As another replica sends it. */
  const stateOf = (slot: number, entries: readonly StateEntry[]) => [...encodeState({ slot, timeMs: 1 }, [entries])];
  async function* brokenOff(chunks: readonly Buffer[]) {
    yield* chunks.slice(0, -1);
    throw new Error("the connection was lost");
  }
  async function* whole(chunks: readonly Buffer[]) {
    yield* chunks;
  }

  test("has nothing of one that was broken off before, in this life or the last", async () => {
    const { dir, remove } = await temporaryDir();
    const tree = Tree.open(dir);
    const applier = new Applier(tree, () => undefined);
    const replica = new Replica(7, tree, applier);
    const leftBehind = Array.from({ length: 1_000 }, (_, n) => entry(n, "left behind"));
    await tree.stage(7, leftBehind.slice(0, 500));
    const machine = new GroupMachine(replica, tree, applier);
    const install = (slot: number, chunks: AsyncIterable<Uint8Array>) =>
      machine.install({ slot, chunks } as IncomingSnapshot);
    const seen = () =>
      [...replica.range({})].map(({ key, value }) => [
        (key[1] as number) * 256 + (key[2] as number),
        `${Buffer.from(value.json)}`,
      ]);
    await install(5, whole(stateOf(5, [entry(3, "five")])));
    expect(seen()).toEqual([[3, "five"]]);
    await expect(install(8, brokenOff(stateOf(8, leftBehind)))).rejects.toThrow("the connection was lost");
    // At once, while what was left behind is being removed.
    await install(9, whole(stateOf(9, [entry(4, "nine"), entry(900, "nine")])));
    expect(seen()).toEqual([
      [4, "nine"],
      [900, "nine"],
    ]);
    await expect(install(12, whole(stateOf(11, [])))).rejects.toThrow("a state of slot 11 came for slot 12");
    expect(machine.durableThrough, "the archive vouches for nothing").toBe(0);
    machine.vouchedThrough = () => 6;
    expect(machine.durableThrough).toBe(6);
    await applier.close();
    await machine.close();
    await tree.close();
    await remove();
  });
});
