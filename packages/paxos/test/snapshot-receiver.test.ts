import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HostMessage } from "../src/host/host-messages.js";
import { SnapshotReceiver } from "../src/host/snapshot-receiver.js";
import type { IncomingSnapshot } from "../src/index.js";
import { until } from "./support/cluster.js";
import { positionAt, settled, toldFailures } from "./support/snapshot-ends.js";

const failures = toldFailures();

/** Who receives, alone. The state machine keeps what it was given. */
function receiving(install?: (snapshot: IncomingSnapshot) => Promise<void>, spoolFile?: string) {
  const said: [string, HostMessage][] = [];
  const failed: unknown[] = [];
  const done: (number | undefined)[] = [];
  const kept: string[] = [];
  const tables: string[] = [];
  const table = {
    nowMs: 0,
    applied: 0,
    prepare: (): Promise<void> => Promise.resolve(),
    ...{ said, failed, done, kept, tables },
  };
  const taking = async ({ chunks }: IncomingSnapshot) => {
    const all: Uint8Array[] = [];
    for await (const chunk of chunks) all.push(chunk);
    kept.push(Buffer.concat(all).toString("utf8"));
  };
  const receiver = new SnapshotReceiver({
    ids: { nodeId: "b", groupId: "g" },
    machine: { appliedThrough: 0, apply: () => {}, install: install ?? taking },
    now: () => table.nowMs,
    wants: (slot) => slot > table.applied,
    post: (to, message) => said.push([to, message]),
    prepare: () => table.prepare(),
    done: (position, clientTable) => {
      done.push(position?.slot);
      if (clientTable !== undefined) tables.push(Buffer.from(clientTable).toString("utf8"));
    },
    checkTable: (bytes) => {
      if (bytes[0] === 0) throw new Error("no table");
    },
    spoolFile,
    fail: (error) => failed.push(error),
  });
  const offer = (sizeBytes: number, { from = "a", slot = 7, id = "x", tableBytes = 0 } = {}) => {
    const offered = { id, position: positionAt(slot), sizeBytes };
    if (tableBytes === 0) receiver.offer(from, { type: "offer", ...offered });
    else receiver.offer(from, { type: "offerWithClients", ...offered, tableBytes });
    return settled();
  };
  const piece = (
    offset: number,
    text: string,
    { from = "a", id = "x", of }: { from?: string; id?: string; of?: string } = {},
  ) => {
    const digest = of === undefined ? new Uint8Array(0) : createHash("sha256").update(of).digest();
    receiver.piece(from, { type: "piece", id, offset, bytes: Buffer.from(text), digest });
    return settled();
  };
  const asked = () => said.map(([to, message]) => `${to} ${message.type === "fetch" ? message.offset : message.type}`);
  return Object.assign(table, { receiver, offer, piece, asked });
}

describe("who receives a snapshot", () => {
  it("takes it over when all of it is right and its log has been told", async () => {
    const one = receiving();
    let tell = () => {};
    one.prepare = () =>
      new Promise((resolve) => {
        tell = resolve;
      });
    await one.offer(6);
    await one.piece(0, "abc");
    await one.piece(3, "def", { of: "abcdef" });
    expect([one.kept, one.done, one.receiver.active]).toEqual([[], [], true]);
    tell();
    await one.receiver.settled();
    expect([one.kept, one.done, one.receiver.active]).toEqual([["abcdef"], [7], false]);
    expect(one.asked()).toEqual(["a 0", "a 3"]);
    expect([one.failed, failures]).toEqual([[], []]);
  });

  it.each<[string, (one: ReturnType<typeof receiving>) => Promise<unknown>]>([
    ["has a wrong checksum", (one) => one.piece(3, "deF", { of: "abcdef" })],
    ["is longer than was said", (one) => one.piece(3, "defg", { of: "abcdefg" })],
    ["ends early", (one) => one.piece(3, "", { of: "abc" })],
    [
      "is of a slot that was applied meanwhile",
      (one) => {
        one.applied = 7;
        return one.piece(3, "def", { of: "abcdef" });
      },
    ],
    ["its sender has no more", async (one) => one.receiver.gone("a", "x")],
  ])("leaves one alone that %s", async (_, wrong) => {
    const one = receiving();
    await one.offer(6);
    await one.piece(0, "abc");
    await wrong(one);
    await one.receiver.settled();
    expect([one.kept, one.done, one.failed, one.receiver.active]).toEqual([[], [], [], false]);
    expect(failures.length).toBe(1);
  });

  it("takes pieces only that it has asked for, of whom it has asked, and none of what it has no use for", async () => {
    const one = receiving();
    await one.offer(6, { slot: 0 });
    expect(one.said).toEqual([]);
    await one.offer(6);
    await one.piece(0, "xyz", { from: "c" });
    await one.piece(0, "xyz", { id: "y" });
    await one.piece(3, "xyz");
    one.receiver.gone("c", "x");
    one.receiver.gone("a", "y");
    expect(one.asked()).toEqual(["a 0"]);
    await one.piece(0, "abc");
    await one.piece(0, "abc");
    await one.piece(3, "def", { of: "abcdef" });
    await one.receiver.settled();
    expect(one.kept).toEqual(["abcdef"]);
  });

  it("asks again twice a second, and gives up in the end, or as soon as another has one", async () => {
    const one = receiving();
    await one.offer(6);
    one.receiver.tick(499);
    expect(one.said.length).toBe(1);
    for (let half = 1; half <= 20; half++) {
      one.nowMs = 500 * half;
      one.receiver.tick(one.nowMs);
      one.receiver.tick(one.nowMs + 499);
      expect(one.said.length).toBe(half + 1);
    }
    expect(one.asked()).toEqual(Array.from({ length: 21 }, () => "a 0"));
    one.receiver.tick(10_500);
    await one.receiver.settled();
    expect([one.said.length, one.done, failures.length]).toEqual([21, [], 1]);
    await one.offer(6, { id: "second" });
    one.receiver.tick(500);
    await one.offer(6, { from: "c" });
    expect(one.receiver.active).toBe(true);
    for (const nowMs of [20_000, 20_500, 21_000]) {
      one.nowMs = nowMs;
      one.receiver.tick(nowMs);
    }
    // The same one once more is no reason to begin anew.
    await one.offer(6, { id: "third" });
    expect([one.receiver.active, failures.length]).toEqual([true, 1]);
    await one.offer(6, { from: "c" });
    await one.receiver.settled();
    await one.offer(6, { from: "c" });
    expect(one.asked().at(-1)).toBe("c 0");
  });

  it("ends its group when the log fails, or when the state machine has not waited for the end", async () => {
    const log = receiving();
    const full = new Error("ENOSPC");
    log.prepare = () => Promise.reject(full);
    await log.offer(3);
    await log.piece(0, "abc", { of: "abc" });
    await log.receiver.settled();
    expect([log.failed, log.done]).toEqual([[full], []]);
    const early = receiving(async () => {});
    await early.offer(3);
    await early.receiver.settled();
    expect(early.failed).toMatchObject([{ code: "ERR_PAXOS_APPLY" }]);
    expect(early.done).toEqual([]);
  });

  it("has its group go on with the old state when the switch has failed", async () => {
    const one = receiving(async ({ chunks }) => {
      for await (const _ of chunks);
      throw new Error("no space for the new one");
    });
    await one.offer(3);
    await one.piece(0, "abc", { of: "abc" });
    await one.receiver.settled();
    expect([one.done, one.failed, failures.length]).toEqual([[undefined], [], 1]);
  });

  it("wants nothing more when it is closed, and leaves nobody waiting", async () => {
    const one = receiving();
    await one.offer(3);
    one.receiver.close();
    await one.receiver.settled();
    await one.offer(3);
    expect([one.asked(), one.receiver.active, one.done, failures.length]).toEqual([["a 0"], false, [], 1]);
  });

  it("hands the table of clients over apart from the state, which does not count it", async () => {
    const seen: [number, string][] = [];
    const one = receiving(async ({ sizeBytes, clientTable, chunks }) => {
      seen.push([sizeBytes, Buffer.from(clientTable as Uint8Array).toString("utf8")]);
      // Its own to do with as it likes.
      clientTable?.fill(0);
      for await (const chunk of chunks) seen.push([chunk.length, Buffer.from(chunk).toString("utf8")]);
    });
    await one.offer(6, { tableBytes: 2 });
    await one.piece(0, "abcdef", { of: "abcdef" });
    await one.receiver.settled();
    expect(seen).toEqual([
      [4, "ab"],
      [4, "cdef"],
    ]);
    expect([one.done, one.tables]).toEqual([[7], ["ab"]]);
  });

  it("makes no room for a table of clients that is larger than any", async () => {
    const one = receiving();
    await one.offer(2 ** 28 + 1, { tableBytes: 2 ** 28 });
    await one.receiver.settled();
    expect([one.asked(), one.done, failures.length]).toEqual([[], [], 1]);
  });

  it("gives nothing to a state machine that asks on after it has given up, and asks nobody for it", async () => {
    let chunks: AsyncIterator<Uint8Array> | undefined;
    const one = receiving(async (snapshot) => {
      chunks = snapshot.chunks[Symbol.asyncIterator]();
      await chunks.next();
      throw new Error("no space");
    });
    await one.offer(6);
    await one.piece(0, "abc");
    await one.receiver.settled();
    await expect(chunks?.next()).rejects.toMatchObject({ code: "ERR_PAXOS_CLOSED" });
    expect([one.asked(), one.done, failures.length]).toEqual([["a 0"], [], 1]);
  });

  it("asks no more for what a state machine has asked for that has given up since", async () => {
    const one = receiving(async ({ chunks }) => {
      void chunks[Symbol.asyncIterator]()
        .next()
        .catch(() => {});
      await settled();
      throw new Error("no space");
    });
    await one.offer(6);
    await one.receiver.settled();
    one.receiver.tick(10_000);
    expect(one.asked()).toEqual(["a 0"]);
  });
});

describe("what is kept of a snapshot for the receiver's next life", () => {
  let dir = "";
  let file = "";
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-receiver-"));
    file = join(dir, "x.snapshot");
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  type Receiving = ReturnType<typeof receiving>;
  const askedFor = (one: Receiving, offset: number) => until(() => one.asked().at(-1) === `a ${offset}`);

  it("keeps for its next life what came, not what the state machine has made of it", async () => {
    const before = receiving(async ({ chunks }) => {
      for await (const chunk of chunks) chunk.fill(0);
    }, file);
    await before.offer(9);
    for (const [offset, text] of [
      [0, "abc"],
      [3, "def"],
    ] as const) {
      await until(() => before.asked().at(-1) === `a ${offset}`);
      await before.piece(offset, text);
    }
    await until(() => before.asked().at(-1) === "a 6");
    before.receiver.close();
    await before.receiver.settled();
    const after = receiving(undefined, file);
    await after.offer(9);
    await until(() => after.said.length > 0);
    expect(after.asked()).toEqual(["a 6"]);
    await after.piece(6, "ghi", { of: "abcdefghi" });
    await after.receiver.settled();
    expect([after.kept, after.done, failures.length]).toEqual([["abcdefghi"], [7], 1]);
    expect(existsSync(file)).toBe(false);
  });

  it("is nothing of one that came wrong, or with a table that is none: it begins anew", async () => {
    for (const wrong of ["checksum", "table"]) {
      const before = receiving(undefined, file);
      const text = wrong === "table" ? "\0\0cdef" : "abcdef";
      const options = wrong === "table" ? { tableBytes: 2 } : {};
      await before.offer(6, options);
      await askedFor(before, 0);
      await before.piece(0, text.slice(0, 4));
      if (wrong === "checksum") {
        await askedFor(before, 4);
        await before.piece(4, "ef", { of: "abcdeF" });
      }
      await before.receiver.settled();
      expect(failures.length).toBe(1);
      const after = receiving(undefined, file);
      await after.offer(6, options);
      await until(() => after.said.length > 0);
      expect(after.asked(), wrong).toEqual(["a 0"]);
      after.receiver.close();
      await after.receiver.settled();
      await rm(file, { force: true });
      failures.length = 0;
    }
  });

  it("is what came before the state machine failed, behind a table that was right", async () => {
    const before = receiving(async ({ chunks }) => {
      await chunks[Symbol.asyncIterator]().next();
      throw new Error("no space");
    }, file);
    await before.offer(6, { tableBytes: 2 });
    await askedFor(before, 0);
    await before.piece(0, "abcd");
    await before.receiver.settled();
    const after = receiving(undefined, file);
    await after.offer(6, { tableBytes: 2 });
    await until(() => after.said.length > 0);
    expect(after.asked()).toEqual(["a 4"]);
    await after.piece(4, "ef", { of: "abcdef" });
    await after.receiver.settled();
    expect([after.kept, after.tables]).toEqual([["cdef"], ["ab"]]);
  });

  it("goes after a minute in which nobody has offered it again, and not while it is gone on with", async () => {
    await writeFile(file, "of an earlier life");
    const one = receiving(undefined, file);
    one.nowMs = 59_999;
    one.receiver.tick(one.nowMs);
    await one.offer(6);
    await askedFor(one, 0);
    await one.piece(0, "abc");
    await askedFor(one, 3);
    one.nowMs = 60_000;
    one.receiver.tick(one.nowMs);
    await one.piece(3, "d");
    await askedFor(one, 4);
    expect(existsSync(file)).toBe(true);
    one.receiver.gone("a", "x");
    await one.receiver.settled();
    one.receiver.tick(119_999);
    await settled();
    expect(existsSync(file)).toBe(true);
    one.receiver.tick(120_000);
    await until(() => !existsSync(file));
  });
});
