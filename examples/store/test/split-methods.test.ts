import type { Group } from "@evenkeel/paxos";
import { beforeEach, expect, test } from "vitest";
import type { Controller } from "../src/control/controller.js";
import type { Params, Result } from "../src/rpc/protocol.js";
import type { Write } from "../src/storage-node/command.js";
import { DESCRIPTION_KEY, decodeDescription } from "../src/storage-node/description.js";
import { maintainedKey } from "../src/storage-node/global-index-keys.js";
import { decodeMaintained, encodeMaintained, type MaintainedIndex } from "../src/storage-node/maintained-index.js";
import { Participant } from "../src/storage-node/participant.js";
import type { PartitionHost } from "../src/storage-node/partition-host.js";
import { splitMethods } from "../src/storage-node/split-methods.js";
import { decodeProgress, SPLIT_KEY, type SplitProgress } from "../src/storage-node/split-progress.js";
import { Writer } from "../src/storage-node/writer.js";
import { freshReplicas } from "./support/fresh-replicas.js";
import { gathered, SteeredGroup } from "./support/steered-group.js";

const newReplica = freshReplicas();
type Methods = "fillPart" | "sealPartition" | "openPart";

/** A partition at its leader, as far as splits have to do with it. */
function hostOf() {
  const replica = newReplica();
  const group = new SteeredGroup(replica);
  const writer = new Writer(group as unknown as Group<number>, replica);
  const participant = new Participant(writer, replica);
  const host = { replica, writer, participant, group, propagator: { wake: () => undefined, allTold: true } };
  const methods = splitMethods(
    () => host as unknown as PartitionHost,
    () => ({}) as Controller,
    { call: () => Promise.reject(new Error("nobody is called")) },
  );
  const { partition } = replica;
  return {
    ...host,
    host,
    async chosen<T>(asked: Promise<T>): Promise<T> {
      asked.catch(() => undefined);
      await group.choose();
      return await asked;
    },
    ask<M extends Methods>(method: M, params: Omit<Params<M>, "partition">): Promise<Result<M>> {
      return methods[method]({ partition, ...params } as never) as Promise<Result<M>>;
    },
    progress: () => decodeProgress(replica.get(SPLIT_KEY)?.json),
    description: () => decodeDescription(replica.get(DESCRIPTION_KEY)?.json),
  };
}

let whole: ReturnType<typeof hostOf>;
let part: ReturnType<typeof hostOf>;
beforeEach(() => {
  whole = hostOf();
  part = hostOf();
});

const item = (n: number): Write => {
  return { op: "put", key: Uint8Array.of(1, 0, 0, 0, 0, 1, n), bytes: Buffer.from("{}"), itemSizeBytes: 0 };
};
const at = (slot: number, more: object = {}): SplitProgress => ({ of: 7, slot, ...more });
const COPIED = at(5, { copied: true });
const fill = (from: SplitProgress | null, to: SplitProgress, ...writes: Write[]) =>
  part.ask("fillPart", { step: { from, to, writes } });

test("a step is taken where the one before it ended, and nowhere else: once", async () => {
  expect(await part.chosen(fill(null, at(5), item(1)))).toMatchObject({ progress: at(5) });
  for (const late of [
    () => fill(null, at(5), item(2)),
    () => fill(at(4), at(9), item(2)),
    () => fill({ ...at(5), of: 8 }, at(9), item(2)),
    () => fill(at(5, { after: "00" }), at(9), item(2)),
  ])
    expect(await late()).toMatchObject({ progress: at(5) });
  expect(part.replica.get(item(2).key)).toBeUndefined();
  // What is not chosen yet may be lost: nobody is told of it.
  const taken = fill(at(5), COPIED);
  const asked = part.ask("fillPart", {});
  await gathered();
  part.group.loseLeadershipAtOnce();
  for (const one of [taken, asked]) await expect(one).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
  expect(await part.ask("fillPart", {})).toMatchObject({ progress: at(5) });
});

test("a partition is sealed once nothing is prepared there, and says what its parts begin with", async () => {
  const filling = { number: 1, backfill: { after: "00" } } as unknown as MaintainedIndex;
  const filled = { number: 2, backfill: { throughSeq: 9 } } as unknown as MaintainedIndex;
  const kept = [filling, filled].map((index): Write => {
    return { op: "put", key: maintainedKey(index.number), bytes: encodeMaintained(index), itemSizeBytes: 0 };
  });
  await whole.chosen(whole.writer.submit(kept));
  await whole.chosen(whole.writer.describe({ recordsChanges: true, stream: "on", asOf: 3 }));
  const ledger = { partition: 9, key: Buffer.from("record") };
  const op = { kind: "delete", returnValues: "NONE" } as const;
  await whole.chosen(whole.participant.prepare({ transaction: "t", ledger, actions: [{ key: item(1).key, op }] }));
  expect(await whole.ask("sealPartition", {})).toEqual({});
  await whole.chosen(whole.participant.resolve({ transaction: "t" }));
  whole.host.propagator.allTold = false;
  const { sealed } = await whole.chosen(whole.ask("sealPartition", {}));
  expect(sealed).toMatchObject({ told: false, slot: whole.replica.appliedThrough });
  expect(sealed?.timeMs).toBe(whole.replica.lastTimeMs);
  whole.host.propagator.allTold = true;
  const again = await whole.ask("sealPartition", {});
  expect(again).toEqual({ sealed: { ...sealed, told: true } });
  const [description, ...indexes] = (sealed?.inherited ?? []).map((write) =>
    write.op === "put" ? write.bytes : undefined,
  );
  expect(decodeDescription(description)).toEqual({ recordsChanges: true, stream: "on", asOf: 3 });
  expect(indexes.map((bytes) => decodeMaintained(bytes as Uint8Array).backfill)).toEqual([
    { after: "00" },
    { throughSeq: 0 },
  ]);
  await expect(whole.writer.submit([item(1)])).rejects.toMatchObject({ code: "ERR_STORE_SPLIT" });
  await expect(whole.writer.describe({ recordsChanges: false, asOf: 4 })).rejects.toMatchObject({
    code: "ERR_STORE_SPLIT",
  });
});

test("a part is opened when it is filled, from a moment that is behind all it says, and again from a later one only", async () => {
  const inherited: Write[] = [
    { op: "put", key: DESCRIPTION_KEY, bytes: Buffer.from('{"recordsChanges":true,"asOf":3}'), itemSizeBytes: 0 },
  ];
  const open = (sinceMs: number) => part.ask("openPart", { sinceMs, inherited });
  await part.chosen(fill(null, at(5), item(1)));
  const sinceMs = Date.now() + 3_600_000;
  await expect(open(sinceMs)).rejects.toMatchObject({ code: "ERR_STORE_CONFLICT" });
  await part.chosen(fill(at(5), COPIED));
  const { slot } = await part.chosen(open(sinceMs));
  expect([slot, part.progress()]).toEqual([part.replica.appliedThrough, { ...COPIED, sinceMs }]);
  expect(part.replica.lastTimeMs).toBeGreaterThanOrEqual(sinceMs);
  expect(part.description()).toEqual({ recordsChanges: true, asOf: 3 });
  // Nothing is filled in any more.
  expect(await fill(COPIED, at(9, { copied: true }), item(2))).toMatchObject({ progress: { sinceMs } });
  for (const earlier of [sinceMs, sinceMs - 1]) expect(await open(earlier)).toEqual({ slot });
  await part.chosen(part.writer.describe({ recordsChanges: false, asOf: 4 }));
  const later = await part.chosen(open(sinceMs + 1));
  expect(later.slot).toBeGreaterThan(slot);
  expect(part.progress()?.sinceMs).toBe(sinceMs + 1);
  expect(part.description(), "what it was told since then").toEqual({ recordsChanges: false, asOf: 4 });
});
