import { keySequence, type PassReport } from "@evenkeel/scrubber";
import { beforeEach, expect, test } from "vitest";
import { localCaller } from "../src/rpc/local.js";
import type { Caller, Handlers } from "../src/rpc/protocol.js";
import { chosenLogsUnit } from "../src/scrub/chosen-logs.js";
import { findingsOf } from "../src/scrub/findings.js";
import { StoreError } from "../src/storage-node/errors.js";
import type { PartitionHost } from "../src/storage-node/partition-host.js";
import { scrubMethods } from "../src/storage-node/scrub-methods.js";

type Kind = "command" | "noop" | "config" | "once";

/** One node's log of a partition: chosen entries, some of them applied, the first of them gone. */
class LogOf {
  entries = new Map<number, { kind: Kind; command: Uint8Array }>();
  appliedThrough = 0;
  trimmedThrough = 0;
  unreadable: number | undefined;
  /** Called before each entry that is read. */
  onRead: (slot: number) => void = () => undefined;

  readonly group = {
    status: () => ({ appliedThrough: this.appliedThrough, trimmedThrough: this.trimmedThrough }),
    entries: ({ from, through }: { from: number; through: number }) => this.#read(from, through),
  };

  async *#read(from: number, through: number) {
    for (let slot = from; slot <= through; slot++) {
      this.onRead(slot);
      if (slot <= this.trimmedThrough) throw Object.assign(new Error("gone"), { code: "ERR_PAXOS_TRIMMED" });
      if (slot === this.unreadable) throw Object.assign(new Error("rotten"), { code: "ERR_PAXOS_STORAGE" });
      // Each node accepted it under a ballot of its own.
      yield { slot, ballot: { round: this.appliedThrough, node: "x" }, ...(this.entries.get(slot) as { kind: Kind }) };
    }
  }
}

const NODES = ["a1", "b1", "c1"];
const SLOTS = 1_000;
let logs: Map<string, LogOf>;
const logOf = (node: string) => logs.get(node) as LogOf;

beforeEach(() => {
  logs = new Map(NODES.map((node) => [node, new LogOf()]));
  for (let slot = 1; slot <= SLOTS; slot++) {
    const kind: Kind = slot % 50 === 0 ? "noop" : slot % 333 === 0 ? "config" : "command";
    for (const log of logs.values())
      log.entries.set(slot, {
        kind,
        command: Buffer.from(kind === "noop" ? "" : `command ${slot} `.repeat(slot % 40)),
      });
  }
  for (const log of logs.values()) log.appliedThrough = SLOTS;
});

function callerTo(node: string): Caller {
  const log = logOf(node);
  const handlers = {
    ...scrubMethods(() => ({ group: log.group }) as unknown as PartitionHost, {} as never),
    status: () => ({
      nodeId: node,
      zone: "zone",
      logReplicas: [],
      partitions: [{ partition: 7, ...log.group.status() }],
    }),
  } as unknown as Handlers;
  return localCaller(handlers);
}

const unit = () => chosenLogsUnit({ name: "p7/log", partition: 7, members: () => NODES, callerTo });
const flipBit = (bytes: Uint8Array) => bytes.set([(bytes[3] as number) ^ 4], 3);
const named = ({ divergences }: PassReport) =>
  divergences.map(({ replica, key, kind, against, where }) => [where, replica, keySequence(key), kind, against]);

test("logs that say the same agree, wherever each of them begins and ends, and whatever ballots they were accepted under", async () => {
  logOf("a1").trimmedThrough = 10;
  logOf("b1").trimmedThrough = 200;
  logOf("c1").appliedThrough = 900;
  const report = await unit().pass({});
  expect(report).toMatchObject({ complete: true, absent: [], divergences: [], unstable: [], keys: 700 });
});

test("nothing that all of them have is nothing to compare, and no finding", async () => {
  for (const [index, log] of [...logs.values()].entries()) log.trimmedThrough = SLOTS - index;
  expect(await unit().pass({})).toMatchObject({ complete: true, absent: [], divergences: [], keys: 0 });
});

test.each<[string, (log: LogOf) => void, number, string]>([
  ["other bytes", (log) => log.entries.set(617, { kind: "command", command: Buffer.from("else") }), 617, "different"],
  ["one bit", (log) => flipBit(log.entries.get(31)?.command as Buffer), 31, "different"],
  ["another kind", (log) => log.entries.set(150, { kind: "command", command: new Uint8Array(0) }), 150, "different"],
])(
  "a record that says something else on one node, with all its checksums right, is named by its slot: %s",
  async (_, damage, slot, kind) => {
    damage(logOf("b1"));
    const report = await unit().pass({});
    expect(named(report)).toEqual([["log", "b1", slot, kind, "majority"]]);
    expect(findingsOf(report)).toEqual([`the log of b1 differs from the majority (${kind}) at slot ${slot}`]);
  },
);

test("in all three something else: told of each, and nobody is convicted", async () => {
  for (const [node, log] of logs) log.entries.set(400, { kind: "command", command: Buffer.from(node) });
  const report = await unit().pass({});
  expect(named(report)).toEqual(NODES.map((node) => ["log", node, 400, "different", "none"]));
});

test("a node that is far behind, one that lets go while it is read, and one that cannot be reached take no part: no finding", async () => {
  logOf("c1").appliedThrough = 100;
  for (const node of ["a1", "b1"]) logOf(node).trimmedThrough = 300;
  expect(await unit().pass({})).toMatchObject({
    divergences: [],
    absent: [{ replica: "c1", why: "behind" }],
    compared: ["a1", "b1"],
    keys: 700,
  });

  logOf("c1").appliedThrough = SLOTS;
  // Once, and it is looked at anew from where it begins then; all the time, and it is left out.
  logOf("b1").onRead = (slot) => {
    if (slot === 700) logOf("b1").trimmedThrough = 650;
  };
  expect(await unit().pass({})).toMatchObject({ divergences: [], absent: [], keys: 350 });
  logOf("b1").onRead = (slot) => {
    logOf("b1").trimmedThrough = slot;
  };
  expect(await unit().pass({})).toMatchObject({
    divergences: [],
    unreadable: [],
    absent: [{ replica: "b1", why: "behind" }],
    compared: ["a1", "c1"],
  });

  const gone = chosenLogsUnit({
    name: "p7/log",
    partition: 7,
    members: () => NODES,
    callerTo: (node) => {
      if (node === "a1") throw new StoreError("ERR_STORE_UNREACHABLE", "nobody is there");
      return callerTo(node);
    },
  });
  logOf("b1").onRead = () => undefined;
  expect(await gone.pass({})).toMatchObject({ divergences: [], absent: [{ replica: "a1", why: "behind" }] });
});

test("what cannot be read is the node's own pass's to tell; everything else is compared all the same", async () => {
  logOf("a1").unreadable = 500;
  logOf("c1").entries.set(20, { kind: "command", command: Buffer.from("else") });
  logOf("c1").entries.set(990, { kind: "command", command: Buffer.from("else") });
  const report = await unit().pass({});
  expect(report.unreadable).toEqual([]);
  expect(named(report).map(([, replica, slot]) => [replica, slot])).toEqual([
    ["c1", 20],
    ["c1", 990],
  ]);
});
