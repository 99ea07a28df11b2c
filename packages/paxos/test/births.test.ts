import { expect, test } from "vitest";
import { Packer, Unpacker, Words } from "../src/core/press.js";
import { BirthMarks, pressMark } from "../src/host/birth-marks.js";
import { Births } from "../src/host/births.js";
import type { HostMessage } from "../src/host/host-messages.js";

/** An empty log of node c, among a and b, that has asked both of them once. */
async function unborn() {
  const knocks: { to: string; birth: string }[] = [];
  const failures: unknown[] = [];
  const births = new Births({
    ids: { nodeId: "c", groupId: "g" },
    births: new Map(),
    blank: () => true,
    remember: () => Promise.resolve(),
    members: () => ["a", "b", "c"],
    mark: () => "own mark",
    post: (to, message: HostMessage) => {
      if (message.type === "knock") knocks.push({ to, birth: message.birth });
    },
    voice: () => {},
    fail: (error) => failures.push(error),
  });
  await Promise.resolve();
  births.tick(0);
  const own = knocks[0]?.birth ?? "none";
  expect(knocks.splice(0)).toEqual([
    { to: "a", birth: own },
    { to: "b", birth: own },
  ]);
  return { births, knocks, failures, own };
}

test("who knocks is there now: it is asked at once, not at the next turn", async () => {
  const { births, knocks, own } = await unborn();
  births.onKnock("a", "mark of a");
  expect(knocks.splice(0)).toEqual([{ to: "a", birth: own }]);
  births.onKnown("a", own, false);
  expect(births.voting).toBe(false);
  births.onKnock("a", "mark of a");
  expect(knocks).toEqual([]);
  births.onKnown("b", own, false);
  expect(births.voting).toBe(true);
});

test("an acceptor that votes asks nobody because of a knock", async () => {
  const { births, knocks, own } = await unborn();
  births.onKnown("a", own, true);
  expect(births.voting).toBe(true);
  births.onKnock("b", "mark of b");
  expect(knocks).toEqual([]);
});

test("a mark that another remembers differently ends the replica", async () => {
  const { births, failures, own } = await unborn();
  births.onKnown("a", `${own}x`, false);
  expect(failures).toEqual([expect.objectContaining({ code: "ERR_PAXOS_AMNESIA" })]);
  births.onKnown("b", own, false);
  births.onKnown("a", own, false);
  expect(births.voting).toBe(false);
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
