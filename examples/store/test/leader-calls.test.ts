import { expect, test } from "vitest";
import { LeaderCalls } from "../src/router/leader-calls.js";
import type { Caller } from "../src/rpc/protocol.js";
import { StoreError, type StoreErrorCode } from "../src/storage-node/errors.js";

const members = ["a1", "b1", "c1"];
const error = (code: StoreErrorCode, leader?: string) => new StoreError(code, code, { leader });
const write = { partition: 0, key: new Uint8Array(0), op: { kind: "delete", returnValues: "NONE" } } as never;
const get = { partition: 0, key: new Uint8Array(0), consistent: true };

/** Calls over nodes that answer as told; `asked` says in which order. */
function callsOver(answer: (node: string, method: string) => unknown): { calls: LeaderCalls; asked: string[] } {
  const asked: string[] = [];
  const calls = new LeaderCalls({
    deadlineMs: 2_000,
    callerTo: (node) =>
      ({
        call: async (method: string) => {
          asked.push(node);
          return answer(node, method);
        },
      }) as unknown as Caller,
  });
  return { calls, asked };
}

/** a1 leads and was stopped: it is reached, and says nothing. Later b1 leads. */
function silentLeader(): { calls: LeaderCalls; asked: string[]; elect: () => void } {
  let leader = "a1";
  const over = callsOver((node) => {
    if (node === "a1") throw error("ERR_STORE_UNKNOWN_OUTCOME");
    if (node !== leader) throw error("ERR_STORE_NOT_LEADER", leader);
    return { itemSizeBytes: 1 };
  });
  return {
    ...over,
    elect: () => {
      leader = "b1";
    },
  };
}

test("a write of unknown outcome is not done twice, and the next one begins with another node", async () => {
  const { calls, asked, elect } = silentLeader();
  await expect(calls.call(0, members, "write", write)).rejects.toMatchObject({ code: "ERR_STORE_UNKNOWN_OUTCOME" });
  expect(asked).toEqual(["a1"]);
  elect();
  await calls.call(0, members, "write", write);
  expect(asked).toEqual(["a1", "b1"]);
});

test("a read goes on to the next leader past one that is silent", async () => {
  const { calls, asked, elect } = silentLeader();
  setTimeout(elect, 100);
  await calls.call(0, members, "get", get);
  expect(
    asked.some((node, i) => node === "a1" && asked.slice(i + 1, i + 3).includes("a1")),
    asked.join(),
  ).toBe(false);
  expect(calls.leaderOf(0)).toBe("b1");
});

test("a leader whose connection was lost, and that leads still, is asked again after the others", async () => {
  let answers = 0;
  const { calls } = callsOver((node) => {
    if (node !== "a1") throw error("ERR_STORE_NOT_LEADER", "a1");
    if (++answers < 2) throw error("ERR_STORE_UNKNOWN_OUTCOME");
    return { itemSizeBytes: 1 };
  });
  expect(await calls.call(0, members, "get", get)).toEqual({ itemSizeBytes: 1 });
});

test("a mark whose leader was deposed before it was known to be chosen is made again: a pass of the scrubber goes on", async () => {
  const { calls, elect } = silentLeader();
  setTimeout(elect, 100);
  await calls.call(0, members, "mark", { partition: 0 });
  expect(calls.leaderOf(0)).toBe("b1");
});

test("a leader that took a member's place is followed although the caller's route does not know it", async () => {
  const { calls, asked } = callsOver((node) => {
    if (node === "d1") return { itemSizeBytes: 1 };
    if (node === "a1") throw error("ERR_STORE_UNREACHABLE");
    throw error("ERR_STORE_NOT_LEADER", "d1");
  });
  await calls.call(0, members, "get", get);
  expect(asked).toEqual(["a1", "b1", "c1", "d1"]);
  expect(calls.leaderOf(0)).toBe("d1");
  await calls.call(0, members, "get", get);
  expect(asked.at(-1)).toBe("d1");
});

test("where no member of an old route is there any more, those of a newer one are asked, and a leader that others have found stays known", async () => {
  const { calls, asked } = callsOver((node) => {
    if (node === "d1") return { itemSizeBytes: 1 };
    throw error(node === "e1" ? "ERR_STORE_NOT_LEADER" : "ERR_STORE_UNREACHABLE");
  });
  // The first answer is what was known before, as behind a constant-work cache.
  const looks = [members, ["a1", "e1", "d1"]];
  const membersNow = async () => {
    expect(calls.leaderOf(0)).toBe("d1");
    return looks.shift() ?? expect.unreachable("looked up again while members are heard");
  };
  const stale = calls.call(0, members, "write", write, membersNow);
  await calls.call(0, ["d1"], "write", write);
  await stale;
  expect(looks).toEqual([]);
  expect(asked).toEqual(["a1", "d1", "b1", "c1", "a1", "b1", "c1", "a1", "e1", "d1"]);
});
