import type { Group } from "@evenkeel/paxos";
import { beforeEach, expect, test } from "vitest";
import type { Item } from "../src/api/model.js";
import { itemBytes } from "../src/api/size.js";
import { decodeCommand, encodeCommand } from "../src/storage-node/command.js";
import type { NodeWriteOp } from "../src/storage-node/node-write-op.js";
import type { Replica } from "../src/storage-node/replica.js";
import { Writer } from "../src/storage-node/writer.js";
import { freshReplicas } from "./support/fresh-replicas.js";
import { gathered, SteeredGroup } from "./support/steered-group.js";

const newReplica = freshReplicas();
let group: SteeredGroup;
let replica: Replica;
let writer: Writer;

beforeEach(() => {
  replica = newReplica();
  group = new SteeredGroup(replica);
  writer = new Writer(group as unknown as Group<number>, replica);
});

const KEY = Buffer.from("key");
const item = (n: number): Item => ({ pk: { S: "key" }, n: { N: String(n) } });
const put = (n: number, extra: object = {}): NodeWriteOp => ({
  kind: "put",
  json: Buffer.from(JSON.stringify(item(n))),
  itemSizeBytes: itemBytes(item(n)),
  returnValues: "NONE",
  ...extra,
});
const ifAbsent = { condition: { kind: "not-exists", path: ["pk"] } } as const;
const raise: NodeWriteOp = {
  kind: "update",
  keyAttributes: { pk: { S: "key" } },
  actions: [
    {
      kind: "set",
      path: ["n"],
      value: {
        kind: "plus",
        left: { kind: "if-not-exists", path: ["n"], otherwise: { kind: "value", value: { N: "0" } } },
        right: { kind: "value", value: { N: "1" } },
      },
    },
  ],
  returnValues: "UPDATED_NEW",
};

/** What a promise has come to so far. */
async function sofar(promise: Promise<unknown>): Promise<string> {
  const settled = promise.then(
    () => "resolved",
    (error: { type?: string; code?: string }) => `rejected: ${error.type ?? error.code}`,
  );
  // Everything that could settle it without the group has had its turn.
  await new Promise((resolve) => setImmediate(resolve));
  return await Promise.race([settled, Promise.resolve("pending")]);
}

const stored = (): Item | undefined => {
  const value = replica.get(KEY);
  return value === undefined ? undefined : (JSON.parse(Buffer.from(value.json).toString()) as Item);
};

test("writes to one item are decided one upon the other, without waiting for each other's slots", async () => {
  const results = Array.from({ length: 20 }, () => writer.write(KEY, raise));
  await gathered();
  expect(group.submitted.map(({ command }) => decodeCommand(command))).toMatchObject([{ writes: { length: 20 } }]);
  expect(stored()).toBeUndefined();
  await group.choose();
  const answers = (await Promise.all(results)).map(({ attributes }) => attributes?.n);
  expect(answers).toEqual(Array.from({ length: 20 }, (_, i) => ({ N: String(i + 1) })));
  expect(stored()?.n).toEqual({ N: "20" });
});

test("a refusal waits until the write that it rests on is chosen, and the leadership is confirmed", async () => {
  const first = writer.write(KEY, put(1, ifAbsent));
  const second = writer.write(KEY, put(2, ifAbsent));
  await gathered();
  expect(group.submitted).toHaveLength(1);
  expect(await sofar(second)).toBe("pending");
  expect(group.reads).toBe(0);
  await group.choose();
  expect(await Promise.all([sofar(first), sofar(second)])).toEqual([
    "resolved",
    "rejected: ConditionalCheckFailedException",
  ]);
  expect(group.reads).toBe(1);
  expect(stored()).toEqual(item(1));
});

test("a refusal that rests on a write that was lost with the leadership is no refusal", async () => {
  const first = writer.write(KEY, put(1, ifAbsent));
  const second = writer.write(KEY, put(2, ifAbsent));
  await group.loseLeadership();
  const unknown = "rejected: ERR_STORE_UNKNOWN_OUTCOME";
  expect(await Promise.all([sofar(first), sofar(second)])).toEqual([unknown, unknown]);
  // In the next round the lost write is not there, and nothing is decided upon it.
  const third = writer.write(KEY, put(3, ifAbsent));
  await group.choose();
  expect(await sofar(third)).toBe("resolved");
  expect(stored()).toEqual(item(3));
});

test("a refusal by one that no longer leads is no refusal", async () => {
  const first = writer.write(KEY, put(1));
  await group.choose();
  await first;
  group.leaseHolds = false;
  expect(await sofar(writer.write(KEY, put(2, ifAbsent)))).toBe("rejected: ERR_STORE_NOT_LEADER");
  // Deleting what is not there writes nothing, and says so only as the leader.
  expect(await sofar(writer.write(Buffer.from("other"), { kind: "delete", returnValues: "NONE" }))).toBe(
    "rejected: ERR_STORE_NOT_LEADER",
  );
});

test("deleting what is not there writes nothing", async () => {
  const result = await writer.write(KEY, { kind: "delete", returnValues: "ALL_OLD" });
  expect(result).toEqual({ beforeBytes: 0, afterBytes: 0 });
  expect(group.submitted).toEqual([]);
  expect(group.reads).toBe(1);
});

test("a delete that is not chosen yet is seen by the writes after it", async () => {
  const first = writer.write(KEY, put(1));
  await group.choose();
  await first;
  const deletion = writer.write(KEY, { kind: "delete", returnValues: "ALL_OLD" });
  const again = writer.write(KEY, put(2, ifAbsent));
  await gathered();
  expect(group.submitted.map(({ command }) => decodeCommand(command))).toMatchObject([{ writes: { length: 2 } }]);
  await group.choose();
  expect((await deletion).attributes).toEqual(item(1));
  expect(await again).toMatchObject({ beforeBytes: 0 });
  expect(stored()).toEqual(item(2));
});

test("a repair puts back what a key held, unless it was written meanwhile", async () => {
  const first = writer.write(KEY, put(1));
  await group.choose();
  await first;
  const expected = { json: Buffer.from(JSON.stringify(item(1))), itemSizeBytes: 9 };

  const repaired = writer.repair(KEY, 1, expected);
  await new Promise((resolve) => setImmediate(resolve));
  await group.choose();
  expect(await repaired).toBe(true);

  // Slot 2 was the repair itself: seen from slot 1, the key has been written since.
  expect(await writer.repair(KEY, 1, expected)).toBe(false);
  // A write under way counts as well, chosen or not.
  const underWay = writer.write(KEY, put(7));
  expect(await writer.repair(KEY, 2, expected)).toBe(false);
  // And one that comes while the repair is still looking.
  await group.choose();
  await underWay;
  const racing = writer.repair(KEY, 3, expected);
  const write = writer.write(KEY, put(8));
  expect(await racing).toBe(false);
  await group.choose();
  await write;
  expect(stored()).toEqual(item(8));
});

test("a repair that was begun in an earlier leadership writes nothing: another leader's writes did not pass by here", async () => {
  const first = writer.write(KEY, put(1));
  await group.choose();
  await first;
  const repairing = writer.repair(KEY, 1, { json: Buffer.from(JSON.stringify(item(1))), itemSizeBytes: 9 });
  group.loseLeadershipAtOnce();
  replica.apply({
    slot: 2,
    command: encodeCommand({
      kind: "writes",
      timeMs: Date.now(),
      writes: [{ op: "put", key: KEY, bytes: Buffer.from(JSON.stringify(item(2))), itemSizeBytes: 9 }],
    }),
  });
  await expect(repairing).rejects.toMatchObject({ code: "ERR_STORE_NOT_LEADER" });
  expect(group.submitted).toEqual([]);
  expect(stored()).toEqual(item(2));
});

test("of two repairs of one key at once, the one that still looks sees what the other wrote", async () => {
  for (let i = 1; i <= 50; i++) {
    const written = writer.write(i === 1 ? KEY : Buffer.from(`other-${i}`), put(i));
    await group.choose();
    await written;
  }
  const expected = { json: Buffer.from(JSON.stringify(item(1))), itemSizeBytes: 9 };
  const slow = writer.repair(KEY, 1, expected);
  const fast = writer.repair(KEY, 50, expected);
  await new Promise((resolve) => setImmediate(resolve));
  await group.choose();
  expect(await Promise.all([slow, fast])).toEqual([false, true]);
});

/** As many as are worth an entry of their own beside one that is under way. */
const enough = (name: string) =>
  Array.from({ length: 16 }, (_, n) => writer.write(Buffer.from(`${name}-${n}`), put(n)));

test("what comes while two entries are under way gathers into one, in its order", async () => {
  const writes = [writer.write(KEY, put(1))];
  await gathered();
  writes.push(...enough("second"), writer.write(KEY, put(2)));
  await gathered();
  for (let n = 3; n <= 29; n++) {
    writes.push(writer.write(KEY, put(n)), writer.write(Buffer.from(`other-${n}`), put(n)));
    await gathered();
  }
  expect(group.submitted).toHaveLength(2);
  await group.choose();
  await gathered();
  expect(group.submitted.map(({ command }) => decodeCommand(command))).toMatchObject([{ writes: { length: 54 } }]);
  await group.choose();
  await Promise.all(writes);
  expect(stored()).toEqual(item(29));
});

test("few writes wait for the entry that is under way, many or heavy ones go beside it", async () => {
  const sizes = () =>
    group.submitted.map((entry) => {
      const command = decodeCommand(entry.command);
      return command.kind === "writes" ? command.writes.length : 0;
    });
  const writes = [writer.write(KEY, put(1))];
  await gathered();
  writes.push(writer.write(KEY, put(2)));
  await gathered();
  expect(sizes()).toEqual([1]);
  // All that arrives in the turn in which they are enough goes with them.
  writes.push(...enough("many"), writer.write(KEY, put(3)));
  await gathered();
  expect(sizes()).toEqual([1, 18]);
  await group.choose();
  await Promise.all(writes);
  const last = [writer.write(KEY, put(4))];
  await gathered();
  last.push(writer.write(KEY, { ...put(5), json: Buffer.alloc(70_000, " "), itemSizeBytes: 70_000 } as NodeWriteOp));
  await gathered();
  expect(sizes()).toEqual([1, 1]);
  await group.choose();
  await Promise.all(last);
});

test("an entry does not grow without bound", async () => {
  const large: NodeWriteOp = { ...put(1), json: Buffer.alloc(100_000, " "), itemSizeBytes: 100_000 } as NodeWriteOp;
  const writes = Array.from({ length: 7 }, (_, i) => writer.write(Buffer.from(`large-${i}`), large));
  await gathered();
  expect(group.submitted.length).toBeGreaterThanOrEqual(3);
  expect(Math.max(...group.submitted.map(({ command }) => command.length))).toBeLessThan(300_000);
  await group.choose();
  await gathered();
  await group.choose();
  await Promise.all(writes);
});

test("upon an entry that the group did not take nothing is decided, and what was there before is seen again", async () => {
  const outcomes: Promise<string>[] = [];
  const outcome = async (write: Promise<unknown>) =>
    await write.then(
      () => "written",
      (error: { type?: string; code?: string }) => error.type ?? String(error.code),
    );
  const first = writer.write(KEY, put(1));
  await gathered();
  group.full = true;
  // Decided upon one another, in an entry that the group refuses: none of them is done.
  outcomes.push(outcome(writer.write(KEY, put(2))), outcome(writer.write(KEY, raise)));
  outcomes.push(...enough("refused").map(outcome));
  await gathered();
  group.full = false;
  expect(new Set(await Promise.all(outcomes.splice(0)))).toEqual(new Set(["ERR_STORE_OVERLOADED"]));
  // The first is under way still, and is what there is: until it is chosen nobody may take it for absent.
  expect(await outcome(writer.write(KEY, put(3, ifAbsent)))).toBe("ERR_STORE_OVERLOADED");
  await group.choose();
  await first;
  expect(await outcome(writer.write(KEY, put(3, ifAbsent)))).toBe("ConditionalCheckFailedException");
  const last = writer.write(KEY, raise);
  await group.choose();
  expect((await last).attributes).toEqual({ n: { N: "2" } });
});

test("what was decided in one leadership and not submitted is not done in the next", async () => {
  const first = writer.write(KEY, put(1));
  await gathered();
  const second = Promise.all(enough("second"));
  await gathered();
  const third = writer.write(KEY, raise);
  await group.loseLeadership();
  const outcomes = await Promise.all([sofar(first), sofar(second), sofar(third)]);
  expect(outcomes).toEqual([
    "rejected: ERR_STORE_UNKNOWN_OUTCOME",
    "rejected: ERR_STORE_UNKNOWN_OUTCOME",
    "rejected: ERR_STORE_NOT_LEADER",
  ]);
  const again = writer.write(KEY, raise);
  await group.choose();
  expect((await again).attributes).toEqual({ n: { N: "1" } });
});

test("times never go back along the log, whatever the clock does", async () => {
  replica.apply({ slot: 1, command: Buffer.from([1, 2, ...timeBytes(Date.now() + 3_600_000), 0, 0, 0, 0]) });
  const writes = [writer.write(KEY, put(1)), writer.write(KEY, put(2))];
  const times = group.submitted.map(({ command }) => decodeCommand(command).timeMs);
  expect(times.every((time) => time >= replica.lastTimeMs)).toBe(true);
  expect(replica.lastTimeMs).toBeGreaterThan(Date.now() + 3_000_000);
  await group.loseLeadership();
  await Promise.allSettled(writes);
});

function timeBytes(timeMs: number): number[] {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(timeMs);
  return [...bytes];
}
