import { PaxosError } from "@evenkeel/paxos";
import type { Digest } from "@evenkeel/scrubber";
import { describe, expect, test } from "vitest";
import { type RepairParts, rebuildNode } from "../src/scrub/repairs.js";
import type { PartitionHost } from "../src/storage-node/partition-host.js";
import { scrubMethods } from "../src/storage-node/scrub-methods.js";

/** A leader's partition, of whose group only the leadership is real, and a log of two entries. */
function leading(repair: () => Promise<boolean>, takes: (node: string) => boolean, trimmedThrough = 0) {
  const asked: string[] = [];
  let leader: string | undefined = "a1";
  const group = {
    leadership: () => ({ leader, leading: leader === "a1" }),
    members: () => ({ storage: ["a1", "b1", "c1"], log: [] }),
    handOver: async (to: string) => {
      asked.push(to);
      if (!takes(to)) throw new PaxosError("ERR_PAXOS_OVERLOADED", "it is not there");
      leader = to;
    },
    resign: () => {
      if (leader === "a1") leader = undefined;
    },
    status: () => ({ appliedThrough: 2, trimmedThrough }),
    entries: async function* () {
      for (const slot of [1, 2]) yield { slot, kind: "command", command: Uint8Array.of(slot) };
    },
  };
  const again: number[][] = [];
  const archiving = {
    mend: async (...range: number[]) => {
      again.push(range);
      return { key: "p1/0000000000000001.log" };
    },
    again: async (...range: number[]) => {
      again.push(range);
      return { objects: 1 };
    },
  };
  const host = { group, archiving, writer: { repair } } as unknown as PartitionHost;
  const methods = scrubMethods(() => host, {} as never);
  const key = Uint8Array.of(1);
  return {
    asked,
    again,
    methods,
    leader: () => leader,
    repair: async () => await methods.repair({ partition: 1, key, asOfSlot: 3 }),
  };
}

const rotten = (code: "ERR_PAXOS_STORAGE" | "ERR_PAXOS_CORRUPT") => async () => {
  throw new PaxosError(code, "the log of group p1 failed");
};

describe("a leader that is asked for a repair and cannot read its own log", () => {
  test.each(["ERR_PAXOS_STORAGE", "ERR_PAXOS_CORRUPT"] as const)(
    "hands its place over, and says who has it: %s",
    async (code) => {
      const { asked, leader, repair } = leading(rotten(code), () => true);
      await expect(repair()).rejects.toMatchObject({ code: "ERR_STORE_NOT_LEADER", leader: "b1" });
      expect([asked, leader()]).toEqual([["b1"], "b1"]);
    },
  );

  test("asks the next one where the first is not there, and gives it up where nobody is", async () => {
    const second = leading(rotten("ERR_PAXOS_STORAGE"), (node) => node === "c1");
    await expect(second.repair()).rejects.toMatchObject({ code: "ERR_STORE_NOT_LEADER", leader: "c1" });
    expect(second.asked).toEqual(["b1", "c1"]);
    const nobody = leading(rotten("ERR_PAXOS_STORAGE"), () => false);
    await expect(nobody.repair()).rejects.toMatchObject({ code: "ERR_STORE_NOT_LEADER", leader: undefined });
    expect([nobody.asked, nobody.leader()]).toEqual([["b1", "c1"], undefined]);
  });

  test("stays where it is for any other failure", async () => {
    const other = new Error("no room");
    const { asked, leader, repair } = leading(
      () => Promise.reject(other),
      () => true,
    );
    await expect(repair()).rejects.toBe(other);
    expect([asked, leader()]).toEqual([[], "a1"]);
  });
});

describe("a leader that is asked to archive again what others agree on", () => {
  const window = { partition: 1, first: 1, through: 2, nodes: ["a1", "b1"] };
  const all = [{ from: new Uint8Array(0), to: undefined }];

  test("does so where its own log says the same", async () => {
    const { asked, again, methods } = leading(rotten("ERR_PAXOS_STORAGE"), () => true);
    const { digests } = await methods.logDigests({ ...window, ranges: all });
    expect(await methods.archiveAgain({ ...window, digest: digests[0] as Digest })).toEqual({ objects: 1 });
    expect([asked, again]).toEqual([[], [[1, 2]]]);
  });

  test("hands its place over where its own log says something else, and archives nothing", async () => {
    const { asked, again, leader, methods } = leading(rotten("ERR_PAXOS_STORAGE"), () => true);
    const { digests } = await methods.logDigests({ ...window, through: 1, ranges: all });
    const digest = { ...(digests[0] as Digest), keys: 3 };
    const told = { code: "ERR_STORE_NOT_LEADER", leader: "b1" };
    await expect(methods.archiveAgain({ ...window, digest })).rejects.toMatchObject(told);
    await expect(methods.archiveAgain({ ...window, digest }), "it leads no more").rejects.toMatchObject(told);
    expect([asked, again, leader()]).toEqual([["b1"], [], "b1"]);
  });

  test("hands its place over to one of those whose logs go back so far, where its own does not", async () => {
    const told = { code: "ERR_STORE_NOT_LEADER", leader: "c1" };
    const nodes = ["b1", "c1"];
    const other = leading(rotten("ERR_PAXOS_STORAGE"), (node) => node === "c1", 1);
    const digest = {} as Digest;
    await expect(other.methods.archiveAgain({ ...window, nodes, digest })).rejects.toMatchObject(told);
    expect([other.asked, other.again]).toEqual([["b1", "c1"], []]);
    const mending = leading(rotten("ERR_PAXOS_STORAGE"), () => true, 1);
    await expect(mending.methods.mendArchive({ ...window, nodes: ["c1"] })).rejects.toMatchObject(told);
    expect([mending.asked, mending.again]).toEqual([["c1"], []]);
  });
});

test("where all nodes are in one process none can begin anew: that is refused, with the way out", async () => {
  const audit: unknown[] = [];
  const parts = { fleet: { nodeIds: () => ["a1"] }, audit: (record: unknown) => void audit.push(record) };
  expect(await rebuildNode(parts as unknown as RepairParts, "a1")).toEqual({
    what: "a1: its log",
    outcome: "refused",
    why: expect.stringMatching(/one process.*a process for each node/),
  });
  expect(audit).toEqual([]);
});
