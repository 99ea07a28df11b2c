import { expect, test } from "vitest";
import { pressMark } from "../src/core/mark-press.js";
import { Packer, Unpacker, Words } from "../src/core/press.js";
import { BirthMarks } from "../src/host/birth-marks.js";
import { Births } from "../src/host/births.js";
import type { HostMessage } from "../src/host/host-messages.js";
import { GroupHost, inProcessNetwork, memoryStorage } from "../src/index.js";

/** An empty log of node c, among a and b, that has asked both of them once. Its own mark is on disk, others' are when `written` is called. */
function unborn() {
  const knocks: { to: string; birth: string }[] = [];
  const answers: { to: string; birth: string; blank: boolean }[] = [];
  const writing: ((error?: unknown) => void)[] = [];
  const failures: unknown[] = [];
  const notes: string[] = [];
  const births = new Births({
    ids: { nodeId: "c", groupId: "g" },
    births: new Map(),
    mute: true,
    founders: ["a", "b", "c"],
    markOf: () => undefined,
    marked: () => false,
    stranger: () => undefined,
    remembered: () => {},
    born: () => {},
    blank: () => true,
    remember: (nodeId, mark, done) => {
      if (nodeId === "") notes.push(mark);
      if (nodeId === "c" || nodeId === "") done();
      else writing.push(done);
    },
    members: () => ["a", "b", "c"],
    mark: () => "own mark",
    post: (to, message: HostMessage) => {
      if (message.type === "knock") knocks.push({ to, birth: message.birth });
      if (message.type === "known") answers.push({ to, birth: message.birth, blank: message.blank });
    },
    voice: () => {},
    fail: (error) => failures.push(error),
  });
  births.tick(0);
  const own = knocks[0]?.birth ?? "none";
  expect(knocks.splice(0)).toEqual([
    { to: "a", birth: own },
    { to: "b", birth: own },
  ]);
  const written = (error?: unknown) => writing.shift()?.(error);
  return { births, knocks, answers, written, failures, own, notes };
}

test("who knocks is there now: it is asked at once, not at the next turn", () => {
  const { births, knocks, own } = unborn();
  births.onKnock("a", "mark of a");
  expect(knocks.splice(0)).toEqual([{ to: "a", birth: own }]);
  births.onKnown("a", { birth: own, blank: false });
  expect(births.voting).toBe(false);
  births.onKnock("a", "mark of a");
  expect(knocks).toEqual([]);
  births.onKnown("b", { birth: own, blank: false });
  expect(births.voting).toBe(true);
});

test("an acceptor that votes asks nobody because of a knock", () => {
  const { births, knocks, own } = unborn();
  births.onKnown("a", { birth: own, blank: true });
  expect(births.voting).toBe(true);
  births.onKnock("b", "mark of b");
  expect(knocks).toEqual([]);
});

test("what is written before there is a voice is noted as such, once; the note goes with the voice, and is not kept in memory", () => {
  const { births, notes, own } = unborn();
  births.writes();
  births.writes();
  expect(notes).toEqual(["mute"]);
  births.onKnown("a", { birth: own, blank: false });
  births.onKnown("b", { birth: own, blank: false });
  expect(notes).toEqual(["mute", "voice"]);
  births.writes();
  expect(notes).toEqual(["mute", "voice"]);
  births.tick(10_000);
  expect([...(births.memory ?? [])]).toEqual([["c", own]]);
});

test("who founds a group alone opens it again after a crash that left its mark and no promise", async () => {
  const disk = memoryStorage()("g");
  await disk.load();
  await disk.remember("a", "mark of a");
  const transport = inProcessNetwork().transport("a");
  await using host = await GroupHost.open({ transport, storage: () => disk, electionJitterMs: 1 });
  const group = await host.join("g", { members: ["a"], stateMachine: { appliedThrough: 0, apply: () => "done" } });
  const leads = new Promise<void>((resolve) => group.onLeadership(({ ready }) => ready && resolve()));
  await leads;
  expect(await group.propose(new Uint8Array(1))).toBe("done");
});

test("a mark that another remembers differently ends the replica", () => {
  const { births, failures, own } = unborn();
  births.onKnown("a", { birth: `${own}x`, blank: false });
  expect(failures).toEqual([expect.objectContaining({ code: "ERR_PAXOS_AMNESIA" })]);
  births.onKnown("b", { birth: own, blank: false });
  births.onKnown("a", { birth: own, blank: false });
  expect(births.voting).toBe(false);
});

test("who knocks again is not told that he is remembered before that is on disk", () => {
  const { births, answers, written, failures } = unborn();
  births.onKnock("a", "mark of a");
  births.onKnock("a", "mark of a");
  births.onKnock("b", "mark of b");
  expect(answers).toEqual([]);
  written();
  expect(answers.splice(0)).toEqual([{ to: "a", birth: "mark of a", blank: true }]);
  births.onKnock("a", "another mark");
  births.onKnock("b", "mark of b");
  expect(answers.splice(0)).toEqual([{ to: "a", birth: "mark of a", blank: true }]);
  written("the disk is gone");
  expect(failures).toEqual(["the disk is gone"]);
  expect(answers).toEqual([]);
});

test("no two logs are born under one mark, and a mark is packed and unpacked whoever made it", () => {
  const random = () => 0.25;
  const marks = new BirthMarks(random);
  const all = Array.from({ length: 100 }, () => marks.next());
  expect(new Set(all).size).toBe(100);
  expect(all[37]?.length).toBe(23);
  for (const mark of [
    ...all.slice(0, 40),
    "2kf93jmarkedearlier",
    "",
    "ö",
    `${"0".repeat(20)}.00`,
    `${"z".repeat(20)}.zzzzzzzzz`,
  ]) {
    const words = new Words();
    const bytes = new Packer(words).take((p) => pressMark(p, mark)) as Uint8Array;
    expect(pressMark(new Unpacker(words, bytes), "")).toBe(mark);
    if (all.includes(mark)) expect(bytes.length).toBeLessThan(5);
  }
});
