import { type Entry, sequenceKey, sha256 as sha256Of, streamingSnapshot } from "@evenkeel/scrubber";
import {
  Archiver,
  memoryObjectStore,
  type ObjectStore,
  restore,
  sha256,
  verifyArchive,
  writeSnapshot,
} from "@evenkeel/wal/archive";
import { describe, expect, test } from "vitest";
import type { Fleet } from "../src/control/fleet.js";
import type { Caller } from "../src/rpc/protocol.js";
import { forgedIn } from "../src/scrub/archive-agreement.js";
import { finishForged, repairForged, tellForged } from "../src/scrub/forged-archive.js";
import type { RepairParts } from "../src/scrub/repairs.js";
import { archiveAgain } from "../src/storage-node/archive-mending.js";
import { StoreError } from "../src/storage-node/errors.js";
import type { NodeStatus } from "../src/storage-node/status.js";

const PARTITION = 1;
const stream = "p1";
const SLOTS = 30;
const FORGED = 15;
const signal = new AbortController().signal;

/** What a log says of each slot. */
type Log = (slot: number) => string;
const truth: Log = (slot) => `command ${slot} `.repeat(9);
const forged: Log = (slot) => (slot === FORGED ? "command which nobody gave" : truth(slot));

async function* entriesOf(log: Log, from: number, through: number) {
  for (let sequence = from; sequence <= through; sequence++)
    yield { sequence, timeMs: sequence, data: Buffer.from(log(sequence)) };
}

/** Three objects of ten entries each. */
async function archived(log: Log, through = SLOTS): Promise<ObjectStore> {
  const store = memoryObjectStore();
  for (let from = 1; from <= through; from += 10) {
    const archiver = await Archiver.open({ store, stream });
    await archiver.archive(entriesOf(log, from, from + 9));
  }
  return store;
}

async function contentOf(store: ObjectStore): Promise<Map<string, string>> {
  const content = new Map<string, string>();
  for await (const key of store.list(`${stream}/`))
    content.set(key, Buffer.from((await store.get(key)) as Uint8Array).toString("base64"));
  return content;
}

/** The same store, which takes only so many objects more. */
const breaking = (store: ObjectStore, putsMax: number): ObjectStore => {
  let puts = 0;
  return {
    get: (key, options) => store.get(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (key, options) => store.delete(key, options),
    put: async (key, bytes, options) => {
      if (puts++ >= putsMax) throw new Error("the power is cut");
      await store.put(key, bytes, options);
    },
  };
};

const order = { stream, first: 11, through: SLOTS, signal, entries: (a: number, b: number) => entriesOf(truth, a, b) };

describe("archiving again", () => {
  test("comes to the very bytes that an archive of the right log has, with everything that is behind", async () => {
    const store = await archived(forged);
    expect((await verifyArchive({ store, stream })).problems, "whole, and wrong").toEqual([]);
    expect(await archiveAgain({ ...order, store })).toEqual({ objects: 2 });
    expect((await verifyArchive({ store, stream })).problems).toEqual([]);
    expect(await contentOf(store)).toEqual(await contentOf(await archived(truth)));
  });

  test("broken off after any of its steps it can be done again, and what comes before is whole meanwhile", async () => {
    const right = await contentOf(await archived(truth));
    for (let puts = 0; puts < 4; puts++) {
      const store = await archived(forged);
      await expect(archiveAgain({ ...order, store: breaking(store, puts) }), `${puts}`).rejects.toThrow("power");
      for await (const { sequence, data } of restore({ store, stream, until: { sequence: 10 } }))
        expect(Buffer.from(data).toString()).toBe(truth(sequence));
      await archiveAgain({ ...order, store });
      expect(await contentOf(store), `after ${puts}`).toEqual(right);
    }
  });

  test("changes nothing where no object begins there, where the archive has gone on, or where the log does not reach", async () => {
    const store = await archived(forged);
    const before = await contentOf(store);
    const refused = (other: Partial<typeof order>) => expect(archiveAgain({ ...order, ...other, store })).rejects;
    await refused({ first: 12 }).toMatchObject({ code: "ERR_STORE_CONFLICT" });
    await refused({ through: 20 }).toMatchObject({ code: "ERR_STORE_CONFLICT" });
    await refused({ entries: (from, through) => entriesOf(truth, from, Math.min(through, 18)) }).toMatchObject({
      code: "ERR_STORE_BEHIND",
    });
    expect(await contentOf(store)).toEqual(before);
  });
});

/** Nodes that have nothing but logs: who says what, from where on. */
function nodes(
  logs: Readonly<
    Record<string, { log: Log; trimmedThrough?: number; appliedThrough?: number; letsGo?: number; lags?: boolean }>
  >,
) {
  let readings = 0;
  let looks = 0;
  const callerTo = (node: string): Caller => {
    const {
      log,
      trimmedThrough = 0,
      appliedThrough = SLOTS,
      letsGo = 0,
      lags = false,
    } = logs[node] as (typeof logs)[string];
    const snapshot = (first: number, through: number) =>
      streamingSnapshot({
        *entries({ from, to }): Iterable<Entry> {
          for (let slot = first; slot <= through; slot++) {
            const key = sequenceKey(slot);
            if (Buffer.compare(key, from) < 0 || (to !== undefined && Buffer.compare(key, to) >= 0)) continue;
            yield { key, value: Buffer.concat([Buffer.of(1), Buffer.from(log(slot))]) };
          }
        },
        createHash: sha256Of,
      });
    const answers = {
      status: () => {
        const isBehind = lags && looks++ === 0;
        const replica = { partition: PARTITION, trimmedThrough, appliedThrough: isBehind ? SLOTS - 1 : appliedThrough };
        return { partitions: [replica] } as unknown as NodeStatus;
      },
      logDigests: async ({ first, through, ranges }: { first: number; through: number; ranges: never }) => {
        if (readings < letsGo) {
          readings++;
          throw new StoreError("ERR_STORE_BEHIND", "what was asked for was let go of meanwhile");
        }
        return { digests: await snapshot(first, through).digests(ranges) };
      },
      logEntries: async ({ first, through, range }: { first: number; through: number; range: never }) => {
        const entries: Entry[] = [];
        for await (const entry of snapshot(first, through).entries(range)) if (entries.length < 4) entries.push(entry);
        return { entries, more: true };
      },
    } as unknown as Record<string, (params: unknown) => unknown>;
    return {
      call: async (method: string, params: unknown) => answers[method]?.(params),
    } as unknown as Caller;
  };
  return { callerTo, nodeIds: () => Object.keys(logs) } as unknown as Fleet;
}

describe("where the archive says something else than the logs", () => {
  const found = async (logs: Parameters<typeof nodes>[0], log = forged) =>
    await forgedIn({ fleet: nodes(logs), archive: await archived(log) }, PARTITION);

  test("is the first entry of which two logs agree, whoever else says what the archive says", async () => {
    const three = { a1: { log: forged }, b1: { log: truth }, c1: { log: truth } };
    expect(await found(three)).toMatchObject({
      slot: FORGED,
      agreement: { nodes: ["b1", "c1"], first: 11, through: SLOTS },
    });
    expect(await found({ b1: { log: truth }, c1: { log: truth } })).toMatchObject({ slot: FORGED });
    // As far back as its object begins, and no further.
    const held = { b1: { log: truth, trimmedThrough: 10 }, c1: { log: truth, trimmedThrough: 10 } };
    expect(await found(held)).toMatchObject({ slot: FORGED, agreement: { first: 11 } });
  });

  test("is found by the log of one that was a moment behind, where that of the leader was let go of", async () => {
    const leader = { log: forged, trimmedThrough: 20 };
    const logs = { a1: leader, b1: { log: truth }, c1: { log: truth, lags: true } };
    expect(await found(logs)).toMatchObject({ slot: FORGED, agreement: { nodes: ["b1", "c1"] } });
  });

  test("is nowhere when it says the same, and one log that differs is not believed", async () => {
    expect(await found({ a1: { log: forged }, b1: { log: truth }, c1: { log: truth } }, truth)).toBeUndefined();
    expect(await found({ b1: { log: truth }, c1: { log: truth } }, truth)).toBeUndefined();
  });

  test("nobody says where no two logs agree, where there are not two, or where they do not go back so far", async () => {
    const other: Log = (slot) => (slot === FORGED ? "command that is a third one" : truth(slot));
    const why = async (logs: Parameters<typeof nodes>[0]) => (await found(logs)) as { why: string };
    const noTwo = { why: expect.stringContaining("no two logs agree") };
    expect(await why({ a1: { log: forged }, b1: { log: truth }, c1: { log: other } })).toEqual(noTwo);
    expect(await why({ a1: { log: forged }, b1: { log: truth } })).toEqual(noTwo);
    const twoAndTwo = { a1: { log: forged }, b1: { log: truth }, c1: { log: truth }, d1: { log: forged } };
    expect(await why(twoAndTwo)).toEqual(noTwo);
    const short = { b1: { log: truth, trimmedThrough: 12 }, c1: { log: truth, trimmedThrough: 12 } };
    expect((await why(short)).why).toContain("nobody else has");
  });
});

describe("the repair of such an archive", () => {
  const three = { a1: { log: forged }, b1: { log: truth }, c1: { log: truth } };
  /** As a leader does what it is asked for. */
  const partsOf = (store: ObjectStore, audited: unknown[], logs: Parameters<typeof nodes>[0] = three): RepairParts => ({
    fleet: nodes(logs),
    archive: store,
    audit: ({ phase, outcome, agreed }) => void audited.push({ phase, outcome, agreed }),
    calls: {
      call: async (_partition: number, _members: unknown, _method: string, { first, through }: never) =>
        await archiveAgain({ ...order, store, first, through }),
    } as unknown as RepairParts["calls"],
  });
  const repairOf = () => {
    let text: string | undefined;
    const begun = {
      load: async () => text,
      save: async (saved: string) => {
        text = saved;
      },
    };
    return { partition: PARTITION, members: ["a1", "b1", "c1"], begun };
  };

  test("is written down, goes on where it was broken off, and has nothing to do afterwards", async () => {
    const right = await contentOf(await archived(truth));
    for (let puts = 0; puts < 4; puts++) {
      const store = await archived(forged);
      const archive = repairOf();
      const audited: unknown[] = [];
      await expect(repairForged(partsOf(breaking(store, puts), audited), archive), `${puts}`).rejects.toThrow("power");
      expect(await finishForged(partsOf(store, audited), archive)).toMatchObject([
        { what: `p1: p1/${"11".padStart(16, "0")}.log`, outcome: "repaired" },
      ]);
      expect(await contentOf(store)).toEqual(right);
      const agreed = ["b1", "c1"];
      expect(audited).toEqual([
        { phase: "intended", outcome: undefined, agreed },
        { phase: "done", outcome: "failed", agreed },
        { phase: "intended", outcome: undefined, agreed },
        { phase: "done", outcome: "repaired", agreed },
      ]);
      expect(await finishForged(partsOf(store, audited), archive)).toEqual([]);
      expect(await repairForged(partsOf(store, audited), archive)).toEqual([]);
    }
  });

  test("is not done where somebody has gone on behind what was there before, and then is done from the same place again", async () => {
    const store = await archived(forged);
    const archive = repairOf();
    const parts = partsOf(store, []);
    const { call } = parts.calls;
    const meanwhile = async (...args: Parameters<typeof call>) => {
      const answer = await call(...args);
      for await (const key of (await archived(forged, 40)).list(`${stream}/${"31".padStart(16, "0")}`)) {
        const bytes = (await (await archived(forged, 40)).get(key)) as Uint8Array;
        await store.put(key, bytes, { sha256: sha256(bytes) });
      }
      return answer;
    };
    const raced = { ...parts, calls: { call: meanwhile } } as unknown as RepairParts;
    await expect(repairForged(raced, archive)).rejects.toThrow("does not follow");
    const longer = { b1: { log: truth, appliedThrough: 40 }, c1: { log: truth, appliedThrough: 41 } };
    expect(await finishForged(partsOf(store, [], longer), archive)).toMatchObject([{ outcome: "repaired" }]);
    expect(await contentOf(store)).toEqual(await contentOf(await archived(truth, 40)));
  });

  test("is refused and changes nothing where no two logs agree, also in the middle of it", async () => {
    const store = await archived(forged);
    const before = await contentOf(store);
    const audited: unknown[] = [];
    const two = { a1: { log: forged }, b1: { log: truth } };
    expect(await repairForged(partsOf(store, audited, two), repairOf())).toMatchObject([{ outcome: "refused" }]);
    const archive = repairOf();
    await archive.begun.save("11");
    expect(await finishForged(partsOf(store, audited, two), archive)).toMatchObject([{ outcome: "absent" }]);
    expect(await contentOf(store)).toEqual(before);
    expect(audited).toEqual([]);
  });

  test("looks again where a log was let go of while it was read, and says so where that goes on", async () => {
    const letting = (letsGo: number) => ({ ...three, c1: { log: truth, letsGo } });
    const store = await archived(forged);
    await expect(repairForged(partsOf(store, [], letting(5)), repairOf())).rejects.toMatchObject({
      code: "ERR_STORE_CONFLICT",
    });
    expect(await repairForged(partsOf(store, [], letting(4)), repairOf())).toMatchObject([{ outcome: "repaired" }]);
    expect(await contentOf(store)).toEqual(await contentOf(await archived(truth)));
  });

  test("is told and not made where one log is odd and no item says so", async () => {
    const store = await archived(forged);
    const before = await contentOf(store);
    expect(await tellForged(partsOf(store, []), PARTITION)).toMatchObject([
      { outcome: "refused", why: expect.stringContaining(`entry ${FORGED} is not what the logs of b1 and c1 say`) },
    ]);
    expect(await contentOf(store)).toEqual(before);
    expect(await tellForged(partsOf(await archived(truth), []), PARTITION)).toEqual([]);
    const two = { a1: { log: forged }, b1: { log: truth } };
    expect(await tellForged(partsOf(store, [], two), PARTITION), "nobody knows").toEqual([]);
  });

  test("leaves snapshots that were made from the other log to be told and written anew", async () => {
    const store = await archived(forged);
    await writeSnapshot({ store, stream, sequence: 20, chunks: [Buffer.from("state")] });
    await repairForged(partsOf(store, []), repairOf());
    expect((await verifyArchive({ store, stream })).problems.map(({ message }) => message)).toEqual([
      expect.stringContaining("was made from another log"),
    ]);
  });
});
