import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { askRoot } from "../src/core/sync-initiator.js";
import { MemdsClient, MemdsServer, type OwnedRange, type RangeUpdate } from "../src/index.js";
import { PeerConnection } from "../src/peer-connection.js";
import { bytes, text, until } from "./helpers.js";
import { Link } from "./link.js";
import { buildProgram, MemberProcess, type Program } from "./member-process.js";

/** `npm run soak` asks for 100,000. */
const updatesWanted = Number(process.env.EVENKEEL_MEMDS_UPDATES ?? 5000);
const seed = Number(process.env.EVENKEEL_SEED ?? Date.now() % 2 ** 31);
const rounds = updatesWanted > 50_000 ? 40 : 5;
const key = (n: number) => bytes(`t/${String(n).padStart(7, "0")}`);
const end = 1_000_000;
const rangesMax = 300;
/** A port that refuses. */
const NOBODY = 1;

let program: Program;
beforeAll(async () => {
  program = await buildProgram();
});
afterAll(() => program.close());

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

function seeded(from: number): (below: number) => number {
  let state = from;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Where ranges begin; each range's value says where it ends, so that a reader sees a gap or an overlap by itself. */
class Partitions {
  readonly #starts = [0];

  tile(from: number, to: number): OwnedRange {
    return { from: key(from), to: key(to), value: key(to) };
  }

  splitOrMerge(draw: (below: number) => number): RangeUpdate {
    for (;;) {
      const index = draw(this.#starts.length);
      const start = this.#starts[index]!;
      const stop = this.#starts[index + 1] ?? end;
      const isMerge = index > 0 && draw(rangesMax) < this.#starts.length;
      if (isMerge) {
        const before = this.#starts[index - 1]!;
        this.#starts.splice(index, 1);
        return { replace: [this.tile(before, start), this.tile(start, stop)], by: [this.tile(before, stop)] };
      }
      if (stop - start < 2) continue;
      const middle = start + 1 + draw(stop - start - 1);
      this.#starts.splice(index + 1, 0, middle);
      return { replace: [this.tile(start, stop)], by: [this.tile(start, middle), this.tile(middle, stop)] };
    }
  }
}

/** A member in its own process, with a stretch of network to everything that it talks to. */
class Member {
  readonly feed: Link;
  readonly clients: Link;
  readonly peers: Link[] = [];
  process: MemberProcess | undefined;

  constructor(feed: Link, clients: Link) {
    this.feed = feed;
    this.clients = clients;
  }

  async start(): Promise<void> {
    const member = new MemberProcess(program, [
      ...["--follow", `127.0.0.1:${this.feed.port}`, "--announce-ms", "20", "--anti-entropy-ms", "50"],
      ...["--retry-ms", "20", "--silence-ms", "1000"],
      ...this.peers.flatMap(({ port }) => ["--peer", `127.0.0.1:${port}`]),
    ]);
    this.process = member;
    open.push({ close: () => member.kill() });
    const port = await member.port();
    this.clients.target = port;
    for (const link of inbound.get(this) ?? []) link.target = port;
    await member.says(/ready at version/);
  }

  /** To be said before it dies: its port may then be another server's, of another test, and nobody may be led there. */
  leave(): void {
    for (const link of [this.clients, ...(inbound.get(this) ?? [])]) link.target = NOBODY;
  }
}
/** The links by which its peers reach a member. */
const inbound = new Map<Member, Link[]>();

it(`no reader ever sees a gap, an overlap or an older version, whatever happens to three servers in ${updatesWanted} splits and merges`, async () => {
  const draw = seeded(seed);
  const feed = await MemdsServer.listen({ announceMs: 20, historyBytesMax: 65_536 });
  open.push(feed);
  const partitions = new Partitions();
  feed.load({ version: 0, entries: [] });
  feed.apply({ version: 1, ranges: [{ replace: [], by: [partitions.tile(0, end)] }] });

  const link = async (port: number, bad?: (below: number) => number) => {
    const opened = await Link.open({ host: "127.0.0.1", port }, bad);
    open.push(opened);
    return opened;
  };
  const members: Member[] = [];
  for (let i = 0; i < 3; i++) members.push(new Member(await link(feed.port, draw), await link(NOBODY)));
  for (const member of members) {
    for (const peer of members) {
      if (peer === member) continue;
      const between = await link(NOBODY);
      member.peers.push(between);
      inbound.set(peer, [...(inbound.get(peer) ?? []), between]);
    }
  }
  await Promise.all(members.map((member) => member.start()));

  let isOver = false;
  const reads = [0, 0];
  const reader = async (index: number) => {
    const client = new MemdsClient({
      servers: members.map(({ clients }) => ({ host: "127.0.0.1", port: clients.port })),
      timeoutMs: 1500,
      retryAfterMs: 20,
    });
    open.push(client);
    let seen = 0;
    while (!isOver) {
      const probe = draw(end);
      const answers = await client
        .lookup([
          { kind: "floor", key: key(probe) },
          { kind: "range", from: bytes("t/"), to: key(end), limitMax: 100_000 },
        ])
        .catch((error: { code: string }) => {
          // Refused rather than shown: all that could answer were behind, away or silent.
          expect(error.code).toMatch(/^ERR_MEMDS_(STALE|UNAVAILABLE|TIMEOUT)$/);
          return [];
        });
      const [floor, whole] = answers;
      if (floor === undefined || whole === undefined) continue;
      const told = `seed ${seed}, version ${whole.version}`;
      expect(floor.version, told).toBe(whole.version);
      expect(whole.version, told).toBeGreaterThanOrEqual(seen);
      seen = whole.version;
      let at = text(key(0));
      for (const entry of whole.entries) {
        expect(text(entry.key), told).toBe(at);
        at = text(entry.value);
      }
      expect(at, told).toBe(text(key(end)));
      expect(text(floor.entries[0]!.key)! <= text(key(probe))!, told).toBe(true);
      expect(text(floor.entries[0]!.value)! > text(key(probe))!, told).toBe(true);
      reads[index]!++;
    }
  };
  const readers = Promise.all([reader(0), reader(1)]);
  readers.catch(() => {
    isOver = true;
  });

  let version = 1;
  const goOn = async (updates: number) => {
    for (let i = 0; i < updates && version < updatesWanted; i++) {
      feed.apply({ version: ++version, ranges: [partitions.splitOrMerge(draw)] });
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const someReads = async (what: string) => {
    const before = [...reads];
    await until(
      () => isOver || reads.every((count, i) => count >= before[i]! + 3),
      `reads while ${what}, seed ${seed}`,
      60_000,
    );
  };
  const share = Math.ceil(updatesWanted / rounds / 2);
  for (let round = 0; round < rounds && !isOver; round++) {
    const victim = members[draw(3)]!;
    const links = [victim.feed, victim.clients, ...victim.peers, ...inbound.get(victim)!];
    const kind = (["kill", "pause", "partition", "restart", "kill all"] as const)[round % 5]!;
    for (const member of kind === "kill all" ? members : [victim]) {
      if (kind.startsWith("kill") || kind === "restart") member.leave();
    }
    if (kind === "kill") await victim.process!.kill();
    else if (kind === "pause") victim.process!.child.kill("SIGSTOP");
    else if (kind === "partition") for (const each of links) each.cut();
    else if (kind === "restart") {
      victim.process!.child.kill("SIGTERM");
      await victim.process!.exited;
    } else await Promise.all(members.map((member) => member.process!.kill()));
    await goOn(share);
    if (kind !== "kill all") await someReads(kind);
    if (kind === "pause") victim.process!.child.kill("SIGCONT");
    else if (kind === "partition") for (const each of links) each.heal();
    else if (kind === "kill all") await Promise.all(members.map((member) => member.start()));
    else await victim.start();
    await goOn(share);
    await someReads(`healing after ${kind}`);
  }
  await goOn(updatesWanted);

  const rootOf = async (member: Member) => {
    const signal = AbortSignal.timeout(60_000);
    const address = { host: "127.0.0.1", port: member.clients.port };
    const connection = new PeerConnection({
      address,
      secret: undefined,
      frameBytesMax: 1 << 23,
      silenceMs: 60_000,
      signal,
    });
    const { version: at, rootHash } = await askRoot(connection).finally(() => connection.close());
    return `${at} ${Buffer.from(rootHash).toString("hex")}`;
  };
  const wanted = `${version} ${Buffer.from(feed.rootHash!).toString("hex")}`;
  for (const member of members) {
    while (!isOver && (await rootOf(member)) !== wanted) await new Promise((resolve) => setImmediate(resolve));
  }
  isOver = true;
  await readers;
  expect(version).toBe(updatesWanted);
  for (const member of members) expect(await rootOf(member), `seed ${seed}`).toBe(wanted);
  const { lost, repeated, reordered } = members[0]!.feed;
  expect(Math.min(lost, repeated, reordered), `seed ${seed}`).toBeGreaterThan(0);
}, 600_000);
