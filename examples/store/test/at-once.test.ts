import type { Group } from "@evenkeel/paxos";
import { beforeEach, expect, test } from "vitest";
import type { Item } from "../src/api/model.js";
import { itemBytes } from "../src/api/size.js";
import { AtOnce } from "../src/storage-node/at-once.js";
import { decodeCommand } from "../src/storage-node/command.js";
import type { NodeTransactOp } from "../src/storage-node/decide-action.js";
import { DESCRIPTION_KEY, encodeDescription } from "../src/storage-node/description.js";
import { endedKey, nameAt } from "../src/storage-node/ended-transaction.js";
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
let atOnce: AtOnce;
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
  atOnce = new AtOnce(writer, replica);
}

const key = (name: string): Buffer => Buffer.from(`key of ${name}`);
const item = (name: string, n: number): Item => ({ pk: { S: name }, n: { N: String(n) } });
const put = (name: string, n: number): NodeWriteOp => ({
  kind: "put",
  json: Buffer.from(JSON.stringify(item(name, n))),
  itemSizeBytes: itemBytes(item(name, n)),
  returnValues: "NONE",
});
const isThere: NodeTransactOp = { kind: "check", condition: { kind: "exists", path: ["pk"] } };
const remove: NodeWriteOp = { kind: "delete", returnValues: "NONE" };
const weight = itemBytes(item("a", 1));

let names = 0;
const newName = (beganAtMs = Date.now()) => nameAt(beganAtMs, `n${++names}`);
type Asked = [string, NodeTransactOp][];
const request = (transaction: string, actions: Asked) => ({
  transaction,
  actions: actions.map(([name, op]) => ({ key: key(name), op })),
});
const transact = (transaction: string, ...actions: Asked) => atOnce.transact(request(transaction, actions), false);
const transactAgain = (transaction: string, ...actions: Asked) => atOnce.transact(request(transaction, actions), true);

async function chosen<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  await group.choose();
  return await promise;
}

const numberAt = (name: string): string | undefined => {
  const value = replica.get(key(name));
  return value && (JSON.parse(Buffer.from(value.json).toString()) as { n: { N: string } }).n.N;
};

test("all of it is one entry, with its name behind it", async () => {
  await chosen(writer.write(key("b"), put("b", 1)));
  await chosen(writer.write(key("c"), put("c", 1)));
  const name = newName();
  const done = transact(name, ["a", put("a", 2)], ["b", remove], ["c", isThere], ["d", remove]);
  await gathered();
  expect(group.submitted).toHaveLength(1);
  const command = decodeCommand(group.submitted[0]?.command as Uint8Array);
  const writes = command.kind === "writes" ? command.writes : [];
  expect(writes.map(({ op, key }) => [op, Buffer.from(key).toString("latin1")])).toEqual([
    ["put", "key of a"],
    ["delete", "key of b"],
    ["put", endedKey(name).toString("latin1")],
  ]);
  expect([numberAt("a"), numberAt("b")]).toEqual([undefined, "1"]);
  const sizes = [
    { beforeBytes: 0, afterBytes: weight },
    { beforeBytes: weight, afterBytes: 0 },
    { beforeBytes: weight, afterBytes: weight },
    { beforeBytes: 0, afterBytes: 0 },
  ];
  expect(await chosen(done)).toEqual({ earlier: false, sizes });
  expect([numberAt("a"), numberAt("b")]).toEqual(["2", undefined]);
  expect(participant.preparedItems()).toBe(0);
});

test("where changes are recorded, each of its writes is one", async () => {
  const description = encodeDescription({ recordsChanges: true, asOf: 1 });
  await chosen(writer.submit([{ op: "put", key: DESCRIPTION_KEY, bytes: description, itemSizeBytes: 0 }]));
  await chosen(writer.write(key("a"), put("a", 1)));
  const done = transact(newName(), ["a", put("a", 2)], ["b", put("b", 2)]);
  await gathered();
  const command = decodeCommand(group.submitted[0]?.command as Uint8Array);
  const writes = command.kind === "writes" ? command.writes : [];
  expect(writes.map(({ change }) => change && (change.before ? "changed" : "new"))).toEqual([
    "changed",
    "new",
    undefined,
  ]);
  await chosen(done);
});

test("it is decided upon writes that are under way, and others are decided upon it", async () => {
  const before = writer.write(key("a"), put("a", 1));
  const done = transact(newName(), ["a", isThere], ["b", put("b", 1)]);
  const after = transact(newName(), ["b", isThere], ["a", remove]);
  await group.choose();
  await Promise.all([before, done, after]);
  expect([numberAt("a"), numberAt("b")]).toEqual([undefined, "1"]);
});

test("where one action is refused nothing is done, and the refusal rests on what is chosen", async () => {
  const single = writer.write(key("a"), put("a", 1));
  const notThere: NodeTransactOp = { kind: "check", condition: { kind: "not-exists", path: ["pk"] } };
  let answered = false;
  const refused = transact(newName(), ["a", notThere], ["b", put("b", 2)]).finally(() => {
    answered = true;
  });
  await gathered();
  expect(answered).toBe(false);
  await group.choose();
  await single;
  expect(await refused).toMatchObject({ refusals: [{ type: "ConditionalCheckFailedException" }, null] });
  expect(numberAt("b")).toBeUndefined();
});

test("what another transaction has prepared it neither writes nor checks", async () => {
  const ledger = { partition: 9, key: Buffer.from("record") };
  await chosen(participant.prepare({ transaction: "t", ledger, actions: [{ key: key("a"), op: put("a", 1) }] }));
  const conflict = { type: "TransactionConflictException" };
  expect(await transact(newName(), ["b", put("b", 2)], ["a", put("a", 2)])).toMatchObject({
    refusals: [null, conflict],
  });
  expect(await transact(newName(), ["a", isThere])).toMatchObject({ refusals: [conflict] });
});

test("asked for again it is done once, also by another leader, and says what items weighed", async () => {
  const name = newName();
  const once: Asked = [
    ["a", put("a", 2)],
    ["b", put("b", 2)],
  ];
  const first = transact(name, ...once);
  const second = transactAgain(name, ...once);
  await group.choose();
  await first;
  const earlier = {
    earlier: true,
    sizes: [
      { beforeBytes: weight, afterBytes: weight },
      { beforeBytes: weight, afterBytes: weight },
    ],
  };
  expect(await second).toEqual(earlier);
  group.loseLeadershipAtOnce();
  lead();
  await chosen(writer.write(key("a"), put("a", 3)));
  expect(await transactAgain(name, ...once)).toEqual(earlier);
  expect(await atOnce.abandon(name)).toEqual(earlier);
  expect(numberAt("a")).toBe("3");
});

test("what was lost with the leadership is done when it is asked for again", async () => {
  const name = newName();
  const lost = transact(name, ["a", put("a", 2)]);
  const second = transactAgain(name, ["a", put("a", 2)]);
  await group.loseLeadership();
  await expect(lost).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
  // Told of a name that was not chosen yet, it must not say that it was done.
  await expect(second).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
  expect(await chosen(transactAgain(name, ["a", put("a", 2)]))).toMatchObject({ earlier: false });
  expect(numberAt("a")).toBe("2");
});

test("what was refused when it was asked for again is not done by what was asked before and comes late", async () => {
  const name = newName();
  const both: Asked = [
    ["a", isThere],
    ["b", put("b", 1)],
  ];
  expect(await chosen(transactAgain(name, ...both))).toMatchObject({
    refusals: [{ type: "ConditionalCheckFailedException" }, null],
  });
  await chosen(writer.write(key("a"), put("a", 1)));
  expect(await transact(name, ...both)).toEqual({ ended: true, earlier: true });
  expect(numberAt("b")).toBeUndefined();
});

test("what was abandoned is never done", async () => {
  const name = newName();
  expect(await chosen(atOnce.abandon(name))).toEqual({ ended: true });
  expect(await transact(name, ["a", put("a", 1)])).toEqual({ ended: true, earlier: true });
  expect(numberAt("a")).toBeUndefined();
});

test("what has been under way for minutes is not done any more", async () => {
  expect(await transact(newName(Date.now() - 360_000), ["a", put("a", 1)])).toEqual({ ended: true });
  // By the later one of the log's clock and the node's.
  replica.noteTime(Date.now() + 3_600_000);
  expect(await transact(newName(), ["a", put("a", 1)])).toEqual({ ended: true });
  group.leaseHolds = false;
  await expect(transact(newName(Date.now() - 360_000), ["a", put("a", 1)])).rejects.toMatchObject({
    code: "ERR_STORE_NOT_LEADER",
  });
});

test("what is too much for an entry is left to two phases, for good", async () => {
  const name = newName();
  const long = { pk: { S: "x" }, text: { S: "x".repeat(350_000) } };
  const heavy = (id: string): [string, NodeWriteOp] => [
    id,
    { kind: "put", json: Buffer.from(JSON.stringify(long)), itemSizeBytes: itemBytes(long), returnValues: "NONE" },
  ];
  expect(await chosen(transact(name, ...["a", "b", "c", "d", "e", "f", "g"].map(heavy)))).toEqual({ ended: true });
  expect(await transactAgain(name, ["a", put("a", 1)])).toEqual({ ended: true, earlier: true });
  expect(replica.get(key("a"))).toBeUndefined();
  // What it replaces is counted: where changes are recorded it stands beside it.
  const names = ["h", "i", "j", "k", "l", "m", "n"];
  await Promise.all(names.map(async (id) => await chosen(writer.write(key(id), heavy(id)[1]))));
  const removals = names.map((id): [string, NodeWriteOp] => [id, remove]);
  expect(await chosen(transact(newName(), ...removals))).toEqual({ ended: true });
});

test("names are let go of when no token stands for them any more", async () => {
  const old = newName(Date.now() - 700_000);
  const young = newName(Date.now() - 650_000);
  await chosen(atOnce.abandon(old));
  await chosen(atOnce.abandon(young));
  expect(await chosen(atOnce.forgetOld(Date.now()))).toBe(false);
  expect(replica.get(endedKey(old))).toBeUndefined();
  expect(replica.get(endedKey(young))).toBeDefined();
});
