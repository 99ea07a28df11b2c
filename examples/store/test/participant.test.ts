import type { Group } from "@evenkeel/paxos";
import { beforeEach, expect, test, vi } from "vitest";
import type { Item } from "../src/api/model.js";
import { itemBytes } from "../src/api/size.js";
import { decodeCommand } from "../src/storage-node/command.js";
import type { NodeTransactOp } from "../src/storage-node/decide-action.js";
import { StoreError } from "../src/storage-node/errors.js";
import { lockKey, readCommitMark } from "../src/storage-node/lock.js";
import type { NodeWriteOp } from "../src/storage-node/node-write-op.js";
import { Participant } from "../src/storage-node/participant.js";
import type { Replica } from "../src/storage-node/replica.js";
import { Writer } from "../src/storage-node/writer.js";
import { freshReplicas } from "./support/fresh-replicas.js";
import { gathered, SteeredGroup } from "./support/steered-group.js";

const newReplica = freshReplicas();
let group: SteeredGroup;
let replica: Replica;
let writer: Writer;
let participant: Participant;

beforeEach(() => {
  replica = newReplica();
  group = new SteeredGroup(replica);
  lead();
});

/** As a leader that knows nothing but what is applied. */
function lead(): void {
  writer = new Writer(group as unknown as Group<number>, replica);
  participant = new Participant(writer, replica);
}

/** No item of the table, but long enough to be a key. */
const key = (name: string): Buffer => Buffer.from(`key of ${name}`);
const item = (name: string, n: number): Item => ({ pk: { S: name }, n: { N: String(n) } });
const put = (name: string, n: number): NodeWriteOp => ({
  kind: "put",
  json: Buffer.from(JSON.stringify(item(name, n))),
  itemSizeBytes: itemBytes(item(name, n)),
  returnValues: "NONE",
});
const isThere: NodeTransactOp = { kind: "check", condition: { kind: "exists", path: ["pk"] } };
const ledger = { partition: 9, key: Buffer.from("record") };
const prepare = (transaction: string, ...actions: [string, NodeTransactOp][]) =>
  participant.prepare({ transaction, ledger, actions: actions.map(([name, op]) => ({ key: key(name), op })) });

async function chosen<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await group.choose();
  return await promise;
}

const numberAt = (name: string): string | undefined => {
  const value = replica.get(key(name));
  return value && (JSON.parse(Buffer.from(value.json).toString()) as { n: { N: string } }).n.N;
};
const conflict = { type: "TransactionConflictException" };
const sizes = (before: number, after: number) => ({ beforeBytes: before, afterBytes: after });
const weight = itemBytes(item("a", 1));

test("what is prepared is not to be seen, and nobody's to write, until it is committed", async () => {
  await chosen(writer.write(key("a"), put("a", 1)));
  const prepared = await chosen(prepare("t", ["a", put("a", 2)], ["b", put("b", 2)]));
  expect(prepared).toMatchObject({ sizes: [sizes(weight, weight), sizes(0, weight)] });
  expect([numberAt("a"), numberAt("b")]).toEqual(["1", undefined]);
  await expect(writer.write(key("a"), put("a", 3))).rejects.toMatchObject(conflict);
  await expect(writer.write(key("b"), { kind: "delete", returnValues: "NONE" })).rejects.toMatchObject(conflict);
  await chosen(participant.resolve({ transaction: "t", committedAtMs: 1 }));
  expect([numberAt("a"), numberAt("b")]).toEqual(["2", "2"]);
  await chosen(writer.write(key("a"), put("a", 3)));
  expect(numberAt("a")).toBe("3");
});

test("what is cancelled was never there", async () => {
  await chosen(writer.write(key("a"), put("a", 1)));
  await chosen(prepare("t", ["a", { kind: "delete", returnValues: "NONE" }], ["b", put("b", 2)]));
  await chosen(participant.resolve({ transaction: "t" }));
  expect([numberAt("a"), numberAt("b")]).toEqual(["1", undefined]);
  expect(replica.get(lockKey(key("a")))).toBeUndefined();
  await chosen(writer.write(key("b"), put("b", 3)));
});

test("a commit is one entry: its mark, what it writes, and what was prepared taken away", async () => {
  await chosen(writer.write(key("a"), put("a", 1)));
  await chosen(writer.write(key("c"), put("c", 1)));
  await chosen(prepare("t", ["a", put("a", 2)], ["b", { kind: "delete", returnValues: "NONE" }], ["c", isThere]));
  const done = participant.resolve({ transaction: "t", committedAtMs: 5 });
  await gathered();
  expect(group.submitted).toHaveLength(1);
  const command = decodeCommand(group.submitted[0]?.command as Uint8Array);
  const writes = command.kind === "writes" ? command.writes : [];
  expect(writes.map(({ op, key }) => [op, Buffer.from(key).toString("latin1")])).toEqual([
    ["put", expect.stringContaining("committed")],
    ["put", "key of a"],
    ["delete", lockKey(key("a")).toString("latin1")],
    ["delete", lockKey(key("b")).toString("latin1")],
    ["delete", lockKey(key("c")).toString("latin1")],
  ]);
  expect(writes[0] && readCommitMark(writes[0])).toEqual({ transaction: "t", timeMs: 5 });
  await chosen(done);
});

test("another leader, and a restart, find what was prepared", async () => {
  await chosen(prepare("t", ["a", put("a", 2)], ["b", put("b", 2)]));
  group.loseLeadershipAtOnce();
  for (const again of [lead, () => undefined]) {
    again();
    await expect(writer.write(key("a"), put("a", 3))).rejects.toMatchObject(conflict);
    expect(participant.preparedItems()).toBe(2);
    expect(participant.locks.heldFor(0)).toMatchObject([{ transaction: "t", ledger: { partition: 9 } }]);
    group.loseLeadershipAtOnce();
  }
  expect(await chosen(participant.resolve({ transaction: "t", committedAtMs: 1 }))).toBe(2);
  expect([numberAt("a"), numberAt("b")]).toEqual(["2", "2"]);
});

test("what was not chosen when the leadership was lost is not prepared", async () => {
  const lost = prepare("t", ["a", put("a", 2)]);
  await expect(writer.write(key("a"), put("a", 3))).rejects.toMatchObject(conflict);
  await group.loseLeadership();
  await expect(lost).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
  await chosen(writer.write(key("a"), put("a", 3)));
  expect(numberAt("a")).toBe("3");
});

test("what the group has no room for is not prepared", async () => {
  group.full = true;
  const refused = prepare("t", ["a", put("a", 2)]);
  await expect(refused).rejects.toMatchObject({ code: "ERR_STORE_OVERLOADED" });
  group.full = false;
  expect(participant.preparedItems()).toBe(0);
  await chosen(writer.write(key("a"), put("a", 3)));
});

test("a commit that the group has no room for is tried again, and so is one that was lost", async () => {
  await chosen(prepare("t", ["a", put("a", 2)]));
  group.full = true;
  await expect(participant.resolve({ transaction: "t", committedAtMs: 1 })).rejects.toMatchObject({
    code: "ERR_STORE_OVERLOADED",
  });
  group.full = false;
  await expect(writer.write(key("a"), put("a", 3))).rejects.toMatchObject(conflict);
  const lost = participant.resolve({ transaction: "t", committedAtMs: 1 });
  await group.loseLeadership();
  await expect(lost).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
  await expect(writer.write(key("a"), put("a", 3))).rejects.toMatchObject(conflict);
  await chosen(participant.resolve({ transaction: "t", committedAtMs: 1 }));
  expect(numberAt("a")).toBe("2");
});

test("preparing again, and resolving again, change nothing", async () => {
  const first = await chosen(prepare("t", ["a", put("a", 2)], ["b", put("b", 2)]));
  const entries = group.submitted.length;
  expect(await chosen(prepare("t", ["a", put("a", 2)], ["b", put("b", 2)]))).toEqual(first);
  expect(group.submitted.length).toBe(entries);
  const both = [1, 2].map(() => participant.resolve({ transaction: "t", committedAtMs: 1 }));
  await group.choose();
  expect(await Promise.all(both)).toEqual([2, 0]);
  expect(await participant.resolve({ transaction: "t", committedAtMs: 1 })).toBe(0);
  expect(numberAt("a")).toBe("2");
});

test("preparing again says no sooner than the first that it is so", async () => {
  const both = [prepare("t", ["a", put("a", 2)]), prepare("t", ["a", put("a", 2)])];
  await group.loseLeadership();
  for (const lost of both) await expect(lost).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
  await chosen(prepare("t", ["a", put("a", 2)]));
  group.leaseHolds = false;
  await expect(prepare("t", ["a", put("a", 2)])).rejects.toMatchObject({ code: "ERR_STORE_NOT_LEADER" });
});

test("who waits for nothing to be prepared keeps out what has not begun here, and nothing else", async () => {
  expect(participant.isQuiet()).toBe(true);
  await expect(prepare("t", ["a", put("a", 2)])).rejects.toMatchObject({ code: "ERR_STORE_SPLIT" });
  lead();
  await chosen(prepare("t", ["a", put("a", 2)]));
  expect(participant.isQuiet()).toBe(false);
  await expect(prepare("u", ["b", put("b", 2)])).rejects.toMatchObject({ code: "ERR_STORE_SPLIT" });
  await chosen(prepare("t", ["a", put("a", 2)], ["b", put("b", 2)]));
  await chosen(participant.resolve({ transaction: "t", committedAtMs: 1 }));
  expect(participant.isQuiet()).toBe(true);
  await chosen(writer.seal());
  // What it has elsewhere by now is there.
  await expect(participant.resolve({ transaction: "t", committedAtMs: 1 })).rejects.toMatchObject({
    code: "ERR_STORE_SPLIT",
  });
});

test("more than a leader holds in memory is not prepared", async () => {
  const one = put("a", 1);
  const many = Array.from({ length: 20_001 }, (_, i): [string, NodeTransactOp] => [`${i}`, one]);
  await expect(prepare("t", ...many)).rejects.toMatchObject({ code: "ERR_STORE_OVERLOADED" });
  expect(participant.preparedItems()).toBe(0);
});

test("that there is nothing to resolve is only said by who leads", async () => {
  group.leaseHolds = false;
  await expect(participant.resolve({ transaction: "t" })).rejects.toMatchObject({ code: "ERR_STORE_NOT_LEADER" });
});

test("a second resolution waits for the first to be chosen", async () => {
  await chosen(prepare("t", ["a", put("a", 2)]));
  const first = participant.resolve({ transaction: "t", committedAtMs: 1 });
  const second = participant.resolve({ transaction: "t", committedAtMs: 1 });
  await group.loseLeadership();
  await expect(first).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
  await expect(second).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
});

test("where one action is refused nothing is prepared, and the refusal rests on what is chosen", async () => {
  const single = writer.write(key("a"), put("a", 1));
  const notThere: NodeTransactOp = { kind: "check", condition: { kind: "not-exists", path: ["pk"] } };
  let answered = false;
  const refused = prepare("t", ["a", notThere], ["b", put("b", 2)]).finally(() => {
    answered = true;
  });
  await gathered();
  expect(answered).toBe(false);
  await group.choose();
  await single;
  expect(await refused).toMatchObject({ refusals: [{ type: "ConditionalCheckFailedException" }, null] });
  expect(participant.preparedItems()).toBe(0);
});

test("a second transaction is refused where the first has prepared, and only there", async () => {
  await chosen(prepare("t", ["a", put("a", 2)]));
  const refused = prepare("u", ["b", put("b", 2)], ["a", put("a", 3)]);
  expect(await refused).toMatchObject({ refusals: [null, conflict] });
  await chosen(prepare("u", ["b", put("b", 2)]));
  await chosen(participant.resolve({ transaction: "t" }));
  await chosen(participant.resolve({ transaction: "u", committedAtMs: 1 }));
  expect([numberAt("a"), numberAt("b")]).toEqual([undefined, "2"]);
});

test("times stand in the log's order: prepared, committed, whatever is written after it", async () => {
  const prepared = await chosen(prepare("t", ["a", put("a", 2)]));
  const preparedAtMs = "preparedAtMs" in prepared ? prepared.preparedAtMs : Number.NaN;
  expect(preparedAtMs).toBe(replica.lastTimeMs);
  // Another partition's clock is an hour ahead.
  const committedAtMs = preparedAtMs + 3_600_000;
  await chosen(participant.resolve({ transaction: "t", committedAtMs }));
  expect(replica.lastTimeMs).toBeGreaterThanOrEqual(committedAtMs);
  await chosen(writer.write(key("a"), put("a", 3)));
  const next = await chosen(prepare("u", ["a", put("a", 4)]));
  expect(next).toMatchObject({ preparedAtMs: expect.toSatisfy((ms: number) => ms >= committedAtMs) });
});

test("what is read with its version tells writes, deletes, and what is prepared", async () => {
  const keys = [key("a"), key("b")];
  const first = participant.versioned(keys);
  expect(first.slot).toBe(replica.appliedThrough);
  expect(first.items).toMatchObject([
    { slot: 0, prepared: false },
    { slot: 0, prepared: false },
  ]);
  await chosen(writer.write(key("a"), put("a", 1)));
  const slot = replica.appliedThrough;
  expect(participant.versioned(keys).items).toMatchObject([{ slot, prepared: false }, { slot: 0 }]);
  await chosen(prepare("t", ["a", isThere]));
  expect(participant.versioned(keys)).toMatchObject({
    lastDeleteSlot: first.lastDeleteSlot,
    items: [{ slot, prepared: true }, { prepared: false }],
  });
  await chosen(participant.resolve({ transaction: "t", committedAtMs: 1 }));
  expect(participant.versioned(keys)).toMatchObject({ lastDeleteSlot: first.lastDeleteSlot, items: [{ slot }, {}] });
  await chosen(writer.write(key("a"), { kind: "delete", returnValues: "NONE" }));
  expect(participant.versioned(keys).lastDeleteSlot).toBe(replica.appliedThrough);
});

const rot = () => new StoreError("ERR_STORE_CORRUPT", "it has rotted");

test("a leader that cannot read all that is prepared takes none of it for free, until it is repaired", async () => {
  await chosen(prepare("t", ["a", put("a", 2)], ["b", put("b", 2)]));
  lead();
  const range = replica.range.bind(replica);
  const rotten = vi.spyOn(replica, "range").mockImplementation(function* (asked) {
    for (const found of range(asked)) {
      if (Buffer.compare(found.key, lockKey(key("b"))) === 0) throw rot();
      yield found;
    }
  });
  for (let i = 0; i < 2; i++)
    await expect(chosen(writer.write(key("b"), put("b", 3)))).rejects.toMatchObject({ code: "ERR_STORE_CORRUPT" });
  rotten.mockRestore();
  await expect(writer.write(key("b"), put("b", 3))).rejects.toMatchObject(conflict);
  expect(await chosen(participant.resolve({ transaction: "t", committedAtMs: 1 }))).toBe(2);
  expect([numberAt("a"), numberAt("b")]).toEqual(["2", "2"]);
});

test("a commit in several entries that cannot read one of its items has made so none of them, and is tried again", async () => {
  const heavy = (name: string): [string, NodeWriteOp] => {
    const json = JSON.stringify({ ...item(name, 2), text: { S: "x".repeat(300_000) } });
    return [name, { kind: "put", json: Buffer.from(json), itemSizeBytes: json.length, returnValues: "NONE" }];
  };
  await chosen(prepare("t", heavy("a"), heavy("b")));
  const get = replica.get.bind(replica);
  const rotten = vi.spyOn(replica, "get").mockImplementation((asked) => {
    if (Buffer.compare(asked, lockKey(key("b"))) === 0) throw rot();
    return get(asked);
  });
  const commit = () => chosen(participant.resolve({ transaction: "t", committedAtMs: 1 }));
  await expect(commit()).rejects.toMatchObject({ code: "ERR_STORE_CORRUPT" });
  rotten.mockRestore();
  expect([numberAt("a"), numberAt("b")]).toEqual([undefined, undefined]);
  const before = replica.appliedThrough;
  expect(await commit()).toBe(2);
  expect(replica.appliedThrough - before).toBe(2);
  expect([numberAt("a"), numberAt("b")]).toEqual(["2", "2"]);
});
