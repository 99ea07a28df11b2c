import { type StateMachineUnderTest, stateMachineCases } from "@evenkeel/paxos/testing";
import { describe, expect, test } from "vitest";
import { Applier } from "../src/storage-node/applier.js";
import { encodeCommand, type Write } from "../src/storage-node/command.js";
import { GroupMachine } from "../src/storage-node/group-machine.js";
import { Replica } from "../src/storage-node/replica.js";
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
