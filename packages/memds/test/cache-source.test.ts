import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { encodeAnswers } from "../src/core/messages.js";
import { Floors, Found } from "../src/core/questions.js";
import { type Entry, type FoundPlace, MemdsClient, MemdsServer } from "../src/index.js";
import { bytes, entry, put, show, text } from "./helpers.js";

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function start(frameBytesMax = 1 << 23): Promise<MemdsServer> {
  const server = await MemdsServer.listen({ frameBytesMax });
  open.push(server);
  return server;
}

function ask(server: MemdsServer, way: string, frameBytesMax = 1 << 23): MemdsClient {
  const carrier = { name: "carried", carry: (frame: Uint8Array) => Promise.resolve(server.answer(frame)) };
  const members = { "in process": server, carried: carrier, "over TCP": { host: server.host, port: server.port } };
  const member = members[way as keyof typeof members];
  const client = new MemdsClient({ servers: [member], timeoutMs: 10_000, frameBytesMax });
  open.push(client);
  return client;
}

/** What a cache asks of its source, as that package has it. */
interface Source<V> {
  fetchMany(keys: readonly string[], context: { readonly signal: AbortSignal }): Promise<readonly V[]>;
}

const hex = (found: Entry | undefined) =>
  found && `${Buffer.from(found.key).toString("hex")}=${Buffer.from(found.value).toString("hex")}`;
const { signal } = new AbortController();
const route = ({ version, isFound, bytes: at, valueStart, valueEnd }: FoundPlace) =>
  isFound ? `${version} ${text(at.slice(valueStart, valueEnd))}` : `${version} nowhere`;

describe.each(["over TCP", "in process", "carried"])("a client as a cache's source, %s", (way) => {
  it("answers each key in its place with the range it falls into, and the version at which that was read", async () => {
    const server = await start();
    server.load({ version: 7, entries: [entry("b/", "p0"), entry("b/m", "p1"), entry("ü", "p2")] });
    const source: Source<Found> = ask(server, way);
    const found = await source.fetchMany(["b/x", "a", "b/", "b/x", "ü", "z", ""], { signal });
    expect(found.map((each) => show(each.entry))).toEqual([
      "b/m=p1",
      undefined,
      "b/=p0",
      "b/m=p1",
      "ü=p2",
      "b/m=p1",
      undefined,
    ]);
    expect(found.map(({ value }) => text(value))).toEqual(["p1", undefined, "p0", "p1", "p2", "p1", undefined]);
    expect(found.every(({ version }) => version === 7)).toBe(true);
    expect(await source.fetchMany([], { signal })).toEqual([]);
    server.apply({ version: 8, changes: [put("b/m", "moved")] });
    expect((await source.fetchMany(["b/x"], { signal }))[0]).toMatchObject({ version: 8 });
  });

  it("keeps what the caller makes of an answer, and nothing else", async () => {
    const server = await start();
    server.load({ version: 3, entries: [entry("b", "p0"), entry("c", "")] });
    const source: Source<string> = ask(server, way).sourceOf((found, key) => `${key}: ${route(found)}`);
    expect(await source.fetchMany(["b", "a", "c"], { signal })).toEqual(["b: 3 p0", "a: 3 nowhere", "c: 3 "]);
  });

  it("finds as much for any text as for its bytes", async () => {
    const server = await start();
    const names = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("\ud800", "x\udfff\ud800y", "z".repeat(5000)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(names, { maxLength: 40 }),
        fc.array(names, { maxLength: 20 }),
        async (of, keys) => {
          const held = new Map(of.map((name) => [name, bytes(name)] as const).filter(([, key]) => key.length <= 4096));
          const unique = new Map([...held.values()].map((key) => [key.join(), { key, value: key.subarray(0, 100) }]));
          server.load({ version: (server.version ?? 0) + 1, entries: unique.values() });
          const client = ask(server, way);
          const found = await client.fetchMany([...keys, ...of]);
          const wanted = await client.lookup(
            [...keys, ...of].map((key) => ({ kind: "floor", key: bytes(key).slice(0, 4096) })),
          );
          expect(found.map((each) => hex(each.entry))).toEqual(wanted.map(({ entries }) => hex(entries[0])));
          await client.close();
        },
      ),
      { numRuns: 30 },
    );
  });

  it("fails where what is to be made of an answer throws, and goes on", async () => {
    const server = await start();
    server.load({ version: 1, entries: [entry("a", "1")] });
    const client = ask(server, way);
    const odd = client.sourceOf(() => {
      throw new RangeError("an odd route");
    });
    const [bad, good] = await Promise.allSettled([odd.fetchMany(["a"]), client.fetchMany(["a"])]);
    expect(bad).toMatchObject({ status: "rejected", reason: new RangeError("an odd route") });
    expect(good.status).toBe("fulfilled");
    expect(client.stats().passedOver).toEqual({ unavailable: 0, timedOut: 0, notReady: 0, stale: 0 });
  });

  it("refuses what are no keys", async () => {
    const client = ask(await start(), way);
    for (const wrong of ["abc", [1], [undefined], new Array(65_536).fill("a")]) {
      await expect(client.fetchMany(wrong as never)).rejects.toMatchObject({ code: "ERR_MEMDS_ARGUMENT" });
    }
  });
});

it("answers more than fits a frame in parts, in their order", async () => {
  const server = await start(131_072);
  server.load({
    version: 1,
    entries: Array.from({ length: 9 }, (_, i) => ({ key: bytes(`k${i}`), value: new Uint8Array(50_000).fill(i) })),
  });
  const found = await ask(server, "over TCP", 131_072).fetchMany(Array.from({ length: 9 }, (_, i) => `k${i}`));
  expect(found.map(({ value }) => value?.[49_999])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

it("never reads past an answer, nor takes half of one", () => {
  const asked = new Floors(["a", "b", "c"], (place) => new Found(place));
  const answer = (key: string, value: string) => ({ version: 5, entries: [entry(key, value)], more: false });
  const whole = encodeAnswers(5, [
    answer("a", "1"),
    { version: 5, entries: [], more: false },
    answer("c", "x".repeat(90)),
  ]);
  expect(asked.decode(whole).all.map((found) => show(found.entry))).toEqual(["a=1", undefined, `c=${"x".repeat(90)}`]);
  const refused = expect.objectContaining({ code: "ERR_MEMDS_PROTOCOL" });
  for (let length = 0; length < whole.length; length++) {
    expect(() => asked.decode(whole.subarray(0, length)), `${length} bytes`).toThrow(refused);
  }
  expect(() => asked.decode(Uint8Array.of(...whole, 0))).toThrow(refused);
  const two = encodeAnswers(5, [
    answer("a", "1"),
    answer("b", "1"),
    { ...answer("c", "1"), entries: [entry("c", "1"), entry("d", "1")] },
  ]);
  expect(() => asked.decode(two)).toThrow(refused);
  expect(() => asked.decode(encodeAnswers(5, [answer("a", "1")]))).toThrow(refused);
});
