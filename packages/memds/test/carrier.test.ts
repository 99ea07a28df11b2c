import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { answerFloors } from "../src/core/floor-answers.js";
import { encodeFrame, frameType } from "../src/core/frame.js";
import { answerQueries, encodeAnswers, encodeQueries } from "../src/core/messages.js";
import {
  crc32,
  type MemdsCarrier,
  MemdsClient,
  type MemdsMember,
  MemdsServer,
  type Query,
  RangeTree,
  sha256,
} from "../src/index.js";
import { bytes, entry, show } from "./helpers.js";

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function member(name: string): Promise<MemdsServer> {
  const server = await MemdsServer.listen();
  open.push(server);
  server.load({ version: 1, entries: [entry("a", name)] });
  return server;
}

function clientOf(servers: readonly MemdsMember[]): MemdsClient {
  const client = new MemdsClient({ servers, timeoutMs: 60_000, hedgeAfterMs: 30_000, retryAfterMs: 60_000 });
  open.push(client);
  return client;
}

const to = (server: MemdsServer, more: Partial<MemdsCarrier> = {}): MemdsCarrier => ({
  name: "over there",
  carry: (frame) => Promise.resolve(server.answer(frame)),
  ...more,
});

const query: Query = { kind: "floor", key: bytes("b") };
const ask = async (client: MemdsClient) => show((await client.lookup([query]))[0]?.entries[0]);

describe("a member that the app brings look-ups to", () => {
  it("answers every kind of question, and takes turns with the others", async () => {
    const client = clientOf([to(await member("carried")), await member("in process")]);
    expect([await ask(client), await ask(client), await ask(client)]).toEqual([
      "a=carried",
      "a=in process",
      "a=carried",
    ]);
    const all = await client.lookup([
      { kind: "range", from: bytes(""), limitMax: 9 },
      { kind: "exact", key: bytes("a") },
    ]);
    expect(all.map(({ entries }) => entries.map(show))).toEqual([["a=in process"], ["a=in process"]]);
  });

  it("is asked first while something goes there anyway", async () => {
    let isDue = true;
    const busy = to(await member("busy"));
    const client = clientOf([await member("idle"), Object.defineProperty(busy, "isDue", { get: () => isDue })]);
    for (let i = 0; i < 5; i++) expect(await ask(client)).toBe("a=busy");
    isDue = false;
    expect(new Set([await ask(client), await ask(client)])).toEqual(new Set(["a=idle", "a=busy"]));
  });

  it("is passed over where its carrier throws, or brings back what is no frame", async () => {
    const carriers: readonly (() => unknown)[] = [
      () => {
        throw new Error("no way there");
      },
      () => 5,
      async () => undefined,
      async () => new Uint8Array(40),
    ];
    for (const carry of carriers) {
      const client = clientOf([to(await member("gone"), { isDue: true, carry: carry as never }), await member("well")]);
      expect([await ask(client), await ask(client)]).toEqual(["a=well", "a=well"]);
      expect(client.stats()).toMatchObject({ failed: 0, passedOver: { unavailable: 1 } });
    }
  });

  it("is passed over where it cannot be reached or is not ready, however much goes there, and says why where nobody else is", async () => {
    const gone = to(await member("gone"), { isDue: true, carry: () => Promise.reject(new Error("no way there")) });
    const empty = await MemdsServer.listen();
    open.push(empty);
    const client = clientOf([gone, to(empty, { isDue: true }), await member("well")]);
    for (let i = 0; i < 4; i++) expect(await ask(client)).toBe("a=well");
    expect(client.stats()).toMatchObject({ failed: 0, passedOver: { unavailable: 1, notReady: 1 } });
    await expect(ask(clientOf([gone, to(empty)]))).rejects.toMatchObject({
      code: "ERR_MEMDS_UNAVAILABLE",
      message: expect.stringMatching(/no way there.*no snapshot|no snapshot.*no way there/s),
    });
  });

  it("is not believed where what comes back is damaged, cut off or something else", async () => {
    const server = await member("here");
    const flipped = (frame: Uint8Array) => frame.map((byte, i) => (i === 20 ? byte ^ 1 : byte));
    const other = encodeFrame({ type: frameType.root, request: 1, payload: bytes("?") }, crc32);
    const ways: readonly ((answer: Uint8Array) => Uint8Array)[] = [
      flipped,
      (answer) => answer.subarray(0, answer.length - 1),
      (answer) => Uint8Array.of(...answer, ...answer),
      () => other,
      () => new Uint8Array(0),
    ];
    for (const way of ways) {
      const client = clientOf([to(server, { carry: (frame) => Promise.resolve(way(server.answer(frame))) })]);
      await expect(ask(client)).rejects.toMatchObject({ code: "ERR_MEMDS_UNAVAILABLE" });
    }
    for (const frame of [new Uint8Array(3), flipped(other), other, bytes("GET / HTTP/1.1\r\n\r\n and so on")])
      expect(() => server.answer(frame)).toThrow(expect.objectContaining({ name: "MemdsError" }));
  });

  it("has so many requests under way and no more", async () => {
    const server = await member("slow");
    const waiting: (() => void)[] = [];
    const slow = to(server, {
      carry: (frame) => new Promise((resolve) => waiting.push(() => resolve(server.answer(frame)))),
    });
    const client = new MemdsClient({ servers: [slow], outstandingMax: 2, timeoutMs: 60_000 });
    open.push(client);
    const first = [ask(client), ask(client)];
    await expect(ask(client)).rejects.toMatchObject({ code: "ERR_MEMDS_OVERLOADED" });
    for (const answer of waiting) answer();
    expect(await Promise.all(first)).toEqual(["a=slow", "a=slow"]);
  });
});

describe("floors, from the request's bytes to the answer's", () => {
  const key = fc.uint8Array({ maxLength: 6 });
  const value = fc.oneof(fc.uint8Array({ maxLength: 4 }), fc.constant(new Uint8Array(70_000 >> 1).fill(7)));

  it("are what the general way answers, byte for byte, or refused alike", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.record({ key, value }), { selector: (each) => each.key.join(), maxLength: 30 }),
        fc.array(key, { maxLength: 40 }),
        fc.integer({ min: 12, max: 3_000 }),
        (entries, keys, answerBytesMax) => {
          const tree = RangeTree.from(entries, sha256);
          const queries = keys.map((each): Query => ({ kind: "floor", key: each }));
          const result = (way: () => Uint8Array | undefined) => {
            try {
              return Buffer.from(way() ?? []).toString("hex");
            } catch (error) {
              return (error as Error).message;
            }
          };
          const version = 2 ** 40 + 7;
          expect(result(() => answerFloors(tree, version, encodeQueries(queries), answerBytesMax)?.bytes)).toBe(
            result(() => encodeAnswers(version, answerQueries(tree, version, queries, answerBytesMax))),
          );
        },
      ),
    );
  });

  it("leave to the general way what is anything else, or not whole", () => {
    const tree = RangeTree.from([entry("a", "1")], sha256);
    const whole = encodeQueries([query, query]);
    for (let end = 0; end < whole.length; end++)
      expect(answerFloors(tree, 1, whole.subarray(0, end), 1_000)).toBeUndefined();
    expect(answerFloors(tree, 1, Uint8Array.of(...whole, 0), 1_000)).toBeUndefined();
    expect(answerFloors(tree, 1, encodeQueries([query, { kind: "exact", key: bytes("a") }]), 1_000)).toBeUndefined();
    const tooLong = encodeQueries([{ kind: "floor", key: new Uint8Array(4_097) }]);
    expect(answerFloors(tree, 1, tooLong, 10_000)).toBeUndefined();
  });
});
