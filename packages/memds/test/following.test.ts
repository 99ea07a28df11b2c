import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, describe, expect, it } from "vitest";
import { type Entry, MemdsClient, MemdsServer, type MemdsServerOptions } from "../src/index.js";
import { bytes, entry, put, remove, until } from "./helpers.js";
import { Link } from "./link.js";

const open: { close(): Promise<unknown> | unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** `npm run soak` asks for a million. */
const count = Number(process.env.EVENKEEL_MEMDS_PARTITIONS ?? 100_000);
const allowanceBytes = count < 1_000_000 ? 16_384 : 65_536;
const quick = { announceMs: 5, antiEntropyMs: 5, retryMs: 5, silenceMs: 2000 } as const;

async function start(options: MemdsServerOptions = {}): Promise<MemdsServer> {
  const server = await MemdsServer.listen({ ...quick, ...options });
  open.push(server);
  return server;
}

async function between(target: MemdsServer, draw?: (below: number) => number): Promise<Link> {
  const link = await Link.open({ host: "127.0.0.1", port: target.port }, draw);
  open.push(link);
  return link;
}

const at = ({ host, port }: { host: string; port: number }) => ({ host, port });
const hex = (hash: Uint8Array | undefined) => Buffer.from(hash ?? []).toString("hex");
const same = (a: MemdsServer, b: MemdsServer) => a.version === b.version && hex(a.rootHash) === hex(b.rootHash);
const failsWith = (code: string) => expect.objectContaining({ name: "MemdsError", code });

/** Numbers below what is asked for, the same ones for the same seed. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("a member that follows a feed", () => {
  it("takes the whole, then updates as they come, and answers only once it has caught up", async () => {
    const feed = await start();
    const member = await start({ follow: at(feed) });
    expect(member.isReady).toBe(false);
    expect(() => member.lookup([{ kind: "floor", key: bytes("a") }])).toThrow(failsWith("ERR_MEMDS_NOT_READY"));
    feed.load({ version: 5, entries: [entry("a", "1"), entry("b", "2")] });
    await member.whenReady();
    expect(member.version).toBe(5);
    for (let i = 6; i < 200; i++) feed.apply({ version: i, changes: [put(`k${i % 50}`, `${i}`)] });
    await until(() => same(feed, member), "the member to follow");
    expect(member.stats().follow).toMatchObject({ isConnected: true, comparisons: 1, gaps: 0 });
    expect(feed.stats().followers).toBe(1);
  });

  it("joins while updates come as fast as they can, and is equal when they end", async () => {
    const feed = await start({ historyBytesMax: 20_000 });
    feed.load({ version: 0, entries: Array.from({ length: 2000 }, (_, i) => entry(`k${i}`, "v")) });
    const joined: MemdsServer[] = [];
    let version = 0;
    const goOn = async (until: () => boolean) => {
      while (!until()) {
        for (let i = 0; i < 200; i++)
          feed.apply({ version: ++version, changes: [put(`k${version % 2000}`, `${version}`)] });
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await goOn(() => version >= 5000);
    for (let i = 0; i < 2; i++) {
      const member = await start({ follow: at(feed) });
      joined.push(member);
      await goOn(() => member.isReady);
      const { version: seen } = member;
      await goOn(() => member.version! > seen! + 1000);
    }
    await until(() => joined.every((member) => same(feed, member)), "all to be equal");
    expect(version).toBeGreaterThan(5000);
  });

  it("is not ready with what it was given before, until the feed says that this is all", async () => {
    const feed = await start();
    feed.load({ version: 9, entries: [entry("a", "9")] });
    const path = await between(feed);
    path.cut();
    const member = await start({ follow: at(path) });
    member.load({ version: 8, entries: [entry("a", "8")] });
    expect(member).toMatchObject({ version: 8, isReady: false });
    path.heal();
    await member.whenReady();
    expect(member.version).toBe(9);
  });

  it("notices what was lost, repeated and reordered on the way, and has it sent again", async () => {
    const seed = (Date.now() & 0xffff_ffff) >>> 0;
    const feed = await start();
    feed.load({ version: 0, entries: [] });
    const path = await between(feed, seeded(seed));
    const member = await start({ follow: at(path) });
    await member.whenReady();
    let seen = 0;
    for (let i = 1; i <= 3000; i++) {
      feed.apply({ version: i, changes: i % 7 === 0 ? [remove(`k${i % 100}`)] : [put(`k${i % 100}`, `${i}`)] });
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      expect(member.version!, `seed ${seed}`).toBeGreaterThanOrEqual(seen);
      seen = member.version!;
    }
    await until(() => same(feed, member), `the member to follow, seed ${seed}`, 20_000);
    expect(Math.min(path.lost, path.repeated, path.reordered), `seed ${seed}`).toBeGreaterThan(0);
    expect(member.stats().follow!.gaps, `seed ${seed}`).toBeGreaterThan(0);
  });

  it("compares trees when what it missed is no longer kept in steps, or was replaced as a whole", async () => {
    const feed = await start({ historyBytesMax: 1000 });
    feed.load({ version: 0, entries: Array.from({ length: 5000 }, (_, i) => entry(`k${i}`, "v")) });
    const path = await between(feed);
    const member = await start({ follow: at(path) });
    await member.whenReady();
    path.cut();
    for (let i = 1; i <= 500; i++) feed.apply({ version: i, changes: [put(`k${i % 3}`, `${i}`)] });
    path.bytes = 0;
    path.heal();
    await until(() => same(feed, member), "the member to follow");
    expect(member.stats().follow!.comparisons).toBeGreaterThanOrEqual(2);
    // Three entries differ out of 5,000.
    expect(path.bytes).toBeLessThan(20_000);
    feed.load({ version: 1000, entries: [entry("all", "new")] });
    await until(() => same(feed, member), "the member to follow");
  });

  it("compares trees when an update is larger than a frame", async () => {
    const feed = await start({ frameBytesMax: 131_072 });
    feed.load({ version: 1, entries: [entry("a", "1")] });
    const member = await start({ follow: at(feed), frameBytesMax: 131_072 });
    await member.whenReady();
    feed.apply({
      version: 2,
      changes: Array.from({ length: 10_000 }, (_, i) => put(`k${i}`, "a value of some bytes")),
    });
    await until(() => same(feed, member), "the member to follow");
    feed.apply({ version: 3, changes: [put("a", "3")] });
    await until(() => same(feed, member), "the member to follow on");
    expect(member.stats().follow!.comparisons).toBeGreaterThanOrEqual(2);
  });

  it("takes the feed's word where both have one version and other content, and raises an alarm", async () => {
    const alarms: unknown[] = [];
    const listener = (message: unknown) => alarms.push(message);
    subscribe("evenkeel:memds:diverged", listener);
    try {
      const feed = await start();
      feed.load({ version: 3, entries: [entry("a", "right")] });
      const member = await start({ follow: at(feed) });
      await member.whenReady();
      member.load({ version: 3, entries: [entry("a", "rotten")] });
      await until(() => same(feed, member), "the feed's word");
      expect(alarms).toContainEqual({ version: 3 });
    } finally {
      unsubscribe("evenkeel:memds:diverged", listener);
    }
  });

  it("keeps serving what it has when the feed has more than it may hold", async () => {
    const feed = await start();
    feed.load({ version: 1, entries: [entry("a", "1"), entry("b", "1")] });
    const member = await start({ follow: at(feed), entriesMax: 2 });
    await member.whenReady();
    feed.apply({ version: 2, changes: [put("c", "1")] });
    await until(() => member.stats().follow?.error?.code === "ERR_MEMDS_FULL", "the refusal");
    expect(member.lookup([{ kind: "floor", key: bytes("z") }])[0]).toMatchObject({ version: 1 });
    feed.apply({ version: 3, changes: [remove("a")] });
    feed.load({ version: 4, entries: [entry("b", "4")] });
    await until(() => same(feed, member), "the member to follow again");
  });

  it("is itself a feed for others", async () => {
    const first = await start();
    first.load({ version: 1, entries: [entry("a", "1")] });
    const second = await start({ follow: at(first) });
    const third = await start({ follow: at(second) });
    await third.whenReady();
    for (let i = 2; i < 100; i++) first.apply({ version: i, changes: [put("a", `${i}`)] });
    await until(() => same(first, third), "the third to follow");
  });

  it("connects again after its feed was away", async () => {
    const feed = await start();
    feed.load({ version: 1, entries: [entry("a", "1")] });
    const member = await start({ follow: at(feed) });
    await member.whenReady();
    const { port } = feed;
    await feed.close();
    await until(() => member.stats().follow?.isConnected === false, "the loss to be noticed");
    expect(member.isReady).toBe(true);
    const again = await start({ port });
    again.load({ version: 2, entries: [entry("a", "2")] });
    await until(() => same(again, member), "the member to follow again");
  });
});

describe("members that compare with one another", () => {
  it("bring one that was away to the latest version, and let one begin while the feed is down", async () => {
    const one = await start();
    one.load({ version: 4, entries: [entry("a", "4")] });
    const two = await start({ peers: [at(one)] });
    await two.whenReady();
    expect(same(one, two)).toBe(true);
    one.apply({ version: 5, changes: [put("b", "5")] });
    await until(() => same(one, two), "the second to learn");
    const nowhere = await start();
    const { port } = nowhere;
    await nowhere.close();
    const orphan = await start({ follow: { host: "127.0.0.1", port }, peers: [at(two)] });
    await orphan.whenReady();
    expect(same(one, orphan)).toBe(true);
  });

  it("settle a difference under one version alike, with an alarm, and never go back", async () => {
    const alarms: unknown[] = [];
    const listener = (message: unknown) => alarms.push(message);
    subscribe("evenkeel:memds:diverged", listener);
    try {
      const servers = [await start(), await start(), await start()];
      servers.forEach((server, i) => {
        server.load({ version: 7, entries: [entry("a", `${i}`)] });
      });
      const greatest = servers.map(({ rootHash }) => hex(rootHash)).sort()[2];
      for (const server of servers) server.setPeers(servers.filter((other) => other !== server).map(at));
      await until(() => servers.every(({ rootHash }) => hex(rootHash) === greatest), "all to agree");
      expect(alarms.length).toBeGreaterThan(0);
      servers[0]!.apply({ version: 8, changes: [put("a", "next")] });
      await until(() => servers.every(({ version }) => version === 8), "all to move on");
    } finally {
      unsubscribe("evenkeel:memds:diverged", listener);
    }
  });

  it(`ship at most 1.2 times what differs and ${allowanceBytes / 1024} KB, for 1 % of ${count} partitions spread over ${count / 100} tables`, async () => {
    const keyOf = (i: number, offset = 0) => {
      const key = new Uint8Array(11);
      key[0] = 0x74;
      for (let at = 5, table = Math.floor(i / 100); at > 0; at--, table = Math.floor(table / 10))
        key[at] = 48 + (table % 10);
      key[6] = 0x2f;
      new DataView(key.buffer).setUint32(7, Math.floor(((i % 100) / 100) * 2 ** 32) + offset);
      return key;
    };
    const value = (i: number) => Uint8Array.of(i, i >> 8, i >> 16, i % 30, (i + 11) % 30, (i + 7) % 30);
    const entries: Entry[] = Array.from({ length: count }, (_, i) => ({ key: keyOf(i), value: value(i) }));
    const seed = (Date.now() & 0xffff_ffff) >>> 0;
    const draw = seeded(seed);
    // Splits: one entry with another value, and one that is new.
    const split = new Set<number>();
    while (split.size < count / 200) split.add(draw(count));
    const changes = [...split].flatMap((i) => [
      { key: keyOf(i), value: Uint8Array.of(draw(256), draw(256), draw(256), 200, draw(30), draw(30)) },
      { key: keyOf(i, 1 + draw(4_000_000)), value: value(draw(count)) },
    ]);
    const differing = changes.reduce((sum, { key, value: next }) => sum + key.length + next.length, 0);
    const ahead = await start();
    ahead.load({ version: 1, entries });
    // On a busy machine, making what is shipped takes longer than a test's peer may be silent.
    const behind = await start({ silenceMs: 60_000 });
    behind.loadSnapshot(ahead.snapshot());
    ahead.apply({ version: 2, changes });
    const path = await between(ahead);
    behind.setPeers([at(path)]);
    await until(() => behind.version === 2, "the second to learn", 60_000);
    expect(hex(behind.rootHash)).toBe(hex(ahead.rootHash));
    expect(differing).toBe(count * 0.17);
    expect(path.bytes, `seed ${seed}`).toBeLessThanOrEqual(1.2 * differing + allowanceBytes);
  }, 120_000);
});

describe("a shared secret", () => {
  const secret = "a secret of enough characters";

  it("lets in clients, followers and peers that know it, and nobody else", async () => {
    const feed = await start({ secret });
    feed.load({ version: 1, entries: [entry("a", "1")] });
    const member = await start({ secret, follow: at(feed) });
    await member.whenReady();
    const query = [{ kind: "floor", key: bytes("b") }] as const;
    for (const [who, given] of [
      ["friend", { secret }],
      ["stranger", { secret: "another secret of enough characters" }],
      ["nobody", {}],
    ] as const) {
      const client = new MemdsClient({ servers: [at(member)], timeoutMs: 10_000, ...given });
      open.push(client);
      const answers = Promise.all([client.lookup(query), client.lookup(query)]);
      if (who === "friend") expect((await answers)[0]).toMatchObject([{ version: 1 }]);
      else await expect(answers).rejects.toMatchObject({ code: "ERR_MEMDS_UNAVAILABLE", message: /secret/ });
    }
    for (const given of [{}, { secret: "another secret of enough characters" }]) {
      const outsider = await start({ follow: at(feed), peers: [at(feed)], ...given });
      await until(() => outsider.stats().follow?.error?.code === "ERR_MEMDS_UNAUTHORIZED", "the refusal");
      expect(outsider.version).toBeUndefined();
    }
  });

  it("is not given to a server that does not know it", async () => {
    const open_ = await start();
    open_.load({ version: 1, entries: [] });
    const client = new MemdsClient({ servers: [at(open_)], secret, timeoutMs: 10_000 });
    open.push(client);
    await expect(client.lookup([{ kind: "floor", key: bytes("b") }])).rejects.toMatchObject({ message: /secret/ });
  });

  it.each([42, "short", ""])("cannot be %s", async (bad) => {
    await expect(MemdsServer.listen({ secret: bad as string })).rejects.toMatchObject({ code: "ERR_MEMDS_ARGUMENT" });
  });
});
