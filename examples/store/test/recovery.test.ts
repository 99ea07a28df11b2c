import type { Group } from "@evenkeel/paxos";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TOKEN_VALID_MS } from "../src/api/transactions.js";
import { untimely } from "../src/control/rounds.js";
import { itemOf } from "../src/item-of.js";
import type { MetadataView } from "../src/metadata/view.js";
import type { Caller } from "../src/rpc/protocol.js";
import { StoreError } from "../src/storage-node/errors.js";
import { FIRST_ITEM_KEY } from "../src/storage-node/own-keys.js";
import type { PartitionHost } from "../src/storage-node/partition-host.js";
import type { Replica } from "../src/storage-node/replica.js";
import { Writer } from "../src/storage-node/writer.js";
import { begin, commit, forget, type WriteLedger } from "../src/transactions/ledger.js";
import { LEDGER_TABLE, type LedgerRecord, ledgerKey, ledgerRecord } from "../src/transactions/ledger-record.js";
import { Recovery } from "../src/transactions/recovery.js";
import { freshReplicas } from "./support/fresh-replicas.js";
import { SteeredGroup } from "./support/steered-group.js";
import { eventually } from "./support/store.js";

const newReplica = freshReplicas();
const planned = untimely.due;
const NOW_MS = 1_800_000_000_000;
const OLD_MS = NOW_MS - TOKEN_VALID_MS - 1;
const YOUNG_MS = OLD_MS + 1;
/** Of the ledger. */
const LEDGER = 9;

let replica: Replica;
let group: SteeredGroup;
let writer: Writer;
let recovery: Recovery | undefined;
/** What was asked of other partitions, and which of them refuse. */
let resolved: { readonly partition: number; readonly transaction: string; readonly committedAtMs?: number }[];
let refusing: Set<number>;

beforeEach(() => {
  untimely.due = () => 0;
  replica = newReplica();
  group = new SteeredGroup(replica);
  writer = new Writer(group as unknown as Group<number>, replica);
  resolved = [];
  refusing = new Set();
});
afterEach(async () => {
  await recovery?.close();
  untimely.due = planned;
});

const writeTo = (key: Uint8Array): WriteLedger => {
  return async (op) => {
    const written = writer.write(key, op);
    written.catch(() => undefined);
    await group.choose();
    return await written;
  };
};

const caller: Caller = {
  call: (async (method: string, params: (typeof resolved)[number] & { key: Uint8Array; op: never }) => {
    if (refusing.has(params.partition)) throw new StoreError("ERR_STORE_OVERLOADED", "no room");
    if (method === "write") return await writeTo(params.key)(params.op);
    resolved.push(params);
    return { resolved: 1 };
  }) as Caller["call"],
  close: async () => undefined,
};

function recover(hosts: readonly object[]): void {
  const place = { partition: LEDGER, tableId: "l", members: ["a1"] };
  recovery = new Recovery({
    partitions: () => hosts as PartitionHost[],
    view: {
      tables: new Map([[LEDGER_TABLE, { tableId: "l" }]]),
      partitions: new Map([[LEDGER, place]]),
      partitionAt: (_: string, hash: number) => (hash === 0 ? undefined : place),
      // 3 was split; 5 is gone.
      heirsOf: (one: number) =>
        one === 5 ? [] : (one === 3 ? [31, 32] : [one]).map((partition) => ({ ...place, partition })),
    } as unknown as MetadataView,
    callerTo: () => caller,
    afterMs: 0,
    nowMs: () => NOW_MS,
  });
}

const host = (more: object) => ({
  serves: true,
  group: { leadership: () => ({ ready: true }) },
  writer: { assertLeading: () => undefined },
  participant: { locks: { heldFor: () => [], size: 0 } },
  atOnce: { forgetOld: async () => false },
  ...more,
});

async function note(id: string, state: LedgerRecord["state"], atMs: number): Promise<void> {
  const record: LedgerRecord = {
    id,
    transaction: `${id}'s`,
    state: state === "committed" ? "preparing" : state,
    fingerprint: "",
    atMs,
    partitions: [3, 4, 5],
    committedAtMs: 7,
    sizes: [],
  };
  const write = writeTo(ledgerKey(id).bytes);
  await begin(write, record);
  if (state === "committed") await commit(write, record);
}
const left = () =>
  [...replica.range({ from: FIRST_ITEM_KEY })].map(({ value }) => ledgerRecord(itemOf(value.json)).id).sort();

test("a transaction whose part of the ledger cannot be asked does not keep others from being finished", async () => {
  await note("committed", "committed", NOW_MS);
  const held = ["elsewhere", "cancelled", "committed"].map((id) => {
    const { bytes } = ledgerKey(id);
    return { transaction: `${id}'s`, ledger: { partition: LEDGER, key: id === "elsewhere" ? Buffer.alloc(7) : bytes } };
  });
  // Of an attempt that was cancelled, whose token stands for another one by now.
  held.push({ transaction: "before it", ledger: { partition: LEDGER, key: ledgerKey("committed").bytes } });
  held.unshift({ transaction: "rotten", ledger: { partition: LEDGER, key: Buffer.alloc(0) } });
  const finished: unknown[] = [];
  const participant = {
    locks: { heldFor: () => held, size: held.length },
    resolve: async (request: unknown) => void finished.push(request),
  };
  recover([host({ partition: 7, participant })]);
  await eventually("the others are finished", () => finished.length >= 3);
  expect(finished.slice(0, 3)).toEqual([
    { transaction: "cancelled's" },
    { transaction: "committed's", committedAtMs: 7 },
    { transaction: "before it" },
  ]);
});

test("an attempt lets go of its own record and of no other", async () => {
  await note("a", "committed", NOW_MS);
  await forget(writeTo(ledgerKey("a").bytes), "another's");
  expect(left()).toEqual(["a"]);
  await forget(writeTo(ledgerKey("a").bytes), "a's");
  expect(left()).toEqual([]);
});

test("records whose time is up are let go of, those of what is committed when every partition has made it so", async () => {
  await note("young", "committed", YOUNG_MS);
  await note("old", "committed", OLD_MS);
  await note("at once", "at-once", OLD_MS);
  await note("never decided", "preparing", OLD_MS);
  refusing.add(4);
  recover([host({ partition: LEDGER, replica })]);
  await eventually("the first of two partitions is asked twice", () => resolved.length >= 4);
  expect(left()).toEqual(expect.arrayContaining(["old", "young"]));
  refusing.clear();
  await eventually("the old ones are gone", () => left().length === 1);
  expect(left()).toEqual(["young"]);
  const of = (partition: number) => ({ partition, transaction: "old's", committedAtMs: 7 });
  expect(resolved.slice(-3)).toEqual([31, 32, 4].map(of));
});

test("a ledger that is looked at in pieces is looked at to its end, and from its beginning again", async () => {
  const ids = Array.from({ length: 1_001 }, (_, i) => `${i}`);
  ids.sort((a, b) => Buffer.compare(ledgerKey(a).bytes, ledgerKey(b).bytes));
  const [first, last] = [ids[0] as string, ids.at(-1) as string];
  await Promise.all(ids.map((id) => note(id, "at-once", id === last ? OLD_MS : NOW_MS)));
  recover([host({ partition: LEDGER, replica })]);
  await eventually("the last one is gone", () => !left().includes(last));
  expect(left()).toHaveLength(1_000);
  await writeTo(ledgerKey(first).bytes)({ kind: "delete", returnValues: "NONE" });
  await note(first, "at-once", OLD_MS);
  await eventually("the first one is gone", () => !left().includes(first));
});

test("who does not lead, or has nothing that it may speak of, finishes nothing", async () => {
  await note("old", "at-once", OLD_MS);
  let rounds = 0;
  const asked = { atOnce: { forgetOld: async () => ++rounds < 0 } };
  recover([
    host({ partition: LEDGER, replica, serves: false }),
    host({ partition: LEDGER, replica, group: { leadership: () => ({ ready: false }) } }),
    host({ partition: 7, ...asked }),
  ]);
  await eventually("there was a round, and another one", () => rounds > 1);
  expect(left()).toEqual(["old"]);
});
