import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import { afterEach, describe, expect, it } from "vitest";
import { walStorage } from "../src/storage/index.js";
import { bytes, Journal, until } from "./support/cluster.js";
import { type Node, Nodes } from "./support/in-process.js";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function directory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-torn-"));
  open.push(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** Nothing vouches for the last batch as long as the log is open: as when the power goes at that moment. */
async function opened(dir: string): Promise<Wal> {
  const wal = await Wal.open({ dir, segmentBytes: 1024 * 1024, idleMarkMs: 60_000 });
  open.push(() => wal.close());
  return wal;
}

/** Flips a bit where `text` was last written. */
async function rot(dir: string, text: string): Promise<void> {
  for (const name of (await readdir(dir)).sort().reverse()) {
    const file = join(dir, name);
    const content = await readFile(file);
    const at = content.lastIndexOf(text);
    if (at < 0) continue;
    content[at] = (content[at] as number) ^ 1;
    await writeFile(file, content);
    return;
  }
  throw new Error(`${text} is nowhere in ${dir}`);
}

const ballot = { round: 1, node: "n1" };
const command = (slot: number, text: string) => ({ slot, ballot, kind: "command" as const, command: bytes(text) });

describe("a log whose last batch is torn", () => {
  it("puts its groups in doubt, through every restart, until they have made it good", async () => {
    const [dir, torn] = [await directory(), join(await directory(), "torn")];
    const before = walStorage(await opened(dir));
    const [g, h] = [before("g"), before("h")];
    for (const group of [g, h]) await group.load();
    await h.write({ promised: ballot });
    await g.write({ promised: ballot, accepted: ballot, entries: [command(1, "kept")] });
    await g.write({ entries: [command(2, "acknowledged")] });
    await cp(dir, torn, { recursive: true });
    await rot(torn, "acknowledged");

    const first = await opened(torn);
    expect(first.uncertainFrom).not.toBeNull();
    const state = await walStorage(first)("g").load();
    expect(state).toMatchObject({ promised: ballot, doubtful: true });
    expect(state.entries.map(({ slot }) => slot)).toEqual([1]);
    await first.close();

    // The log itself is whole again, and has been told that we know.
    const second = await opened(torn);
    expect(second.uncertainFrom).toBeNull();
    const storage = walStorage(second);
    expect(await storage("g").load()).toMatchObject({ doubtful: true });
    expect((await storage("new").load()).doubtful).toBeUndefined();
    const group = storage("g");
    await group.load();
    await group.assured?.();
    expect((await walStorage(second, { uncertainTail: "trust" })("h").load()).doubtful).toBeUndefined();
    await second.close();

    const third = walStorage(await opened(torn));
    expect((await third("g").load()).doubtful).toBeUndefined();
    expect((await third("new").load()).doubtful).toBeUndefined();
    expect(await third("h").load()).toMatchObject({ doubtful: true });
  });

  it("is not forgotten by a second power cut, wherever that comes, nor by a third", async () => {
    const [dir, torn] = [await directory(), join(await directory(), "torn")];
    const before = walStorage(await opened(dir))("g");
    await before.load();
    await before.write({ promised: ballot, accepted: ballot, entries: [command(1, "kept")] });
    await before.write({ entries: [command(2, "acknowledged")] });
    await cp(dir, torn, { recursive: true });
    await rot(torn, "acknowledged");
    let cut = torn;
    /** The log as the power leaves it at this moment, opened again. */
    const again = async () => {
      const copy = join(await directory(), "cut");
      await cp(cut, copy, { recursive: true });
      cut = copy;
      return opened(copy);
    };
    // Opened, and nothing else: nobody of ours has heard of it yet.
    await again();
    expect((await again()).uncertainFrom).not.toBeNull();
    // Written down by us, and the log not told yet.
    const wal = await again();
    const deaf = { stream: (name: string) => wal.stream(name), uncertainFrom: wal.uncertainFrom };
    expect(await walStorage(deaf)("g").load()).toMatchObject({ doubtful: true });
    const second = await again();
    expect(second.uncertainFrom).toEqual({ ...wal.uncertainFrom, file: expect.any(String) });
    // Now it is told, and says it no more; we do.
    const storage = walStorage(second);
    expect(await storage("g").load()).toMatchObject({ doubtful: true });
    const third = await again();
    expect(third.uncertainFrom).toBeNull();
    const group = walStorage(third)("g");
    expect(await group.load()).toMatchObject({ doubtful: true });
    // And what was made good stays so.
    await group.assured?.();
    expect((await walStorage(await again())("g").load()).doubtful).toBeUndefined();
  });

  it("is not in the way of a log that was only cut off by a crash between two batches", async () => {
    const [dir, copy] = [await directory(), join(await directory(), "copy")];
    const group = walStorage(await opened(dir))("g");
    await group.load();
    await group.write({ promised: ballot });
    await cp(dir, copy, { recursive: true });
    const state = await walStorage(await opened(copy))("g").load();
    expect(state.promised).toEqual(ballot);
    expect(state.doubtful).toBeUndefined();
  });

  it("is refused whole where it had been vouched for: no group is loaded from it", async () => {
    const dir = await directory();
    const wal = await opened(dir);
    const group = walStorage(wal)("g");
    await group.load();
    for (let slot = 1; slot <= 5; slot++)
      await group.write({ promised: ballot, entries: [command(slot, `slot-${slot}`)] });
    await wal.close();
    await rot(dir, "slot-3");
    await expect(Wal.open({ dir })).rejects.toMatchObject({ code: "ERR_WAL_CORRUPT" });
  });
});

describe("an acceptor with a torn log", () => {
  class OnDisk extends Nodes {
    readonly dirs = new Map<string, string>();
    readonly wals = new Map<string, Wal>();

    async begin(nodeId: string, dir: string): Promise<Node> {
      const wal = await opened(dir);
      this.dirs.set(nodeId, dir);
      this.wals.set(nodeId, wal);
      this.disks.set(nodeId, walStorage(wal));
      return this.start(nodeId, new Journal());
    }

    /** The directory as a power cut would leave it now. */
    async cutOff(nodeId: string): Promise<string> {
      const copy = join(await directory(), nodeId);
      await cp(this.dirs.get(nodeId) as string, copy, { recursive: true });
      await this.drop(nodeId);
      await this.wals.get(nodeId)?.close();
      return copy;
    }
  }

  async function lastWriteLost(): Promise<{
    nodes: OnDisk;
    leader: string;
    torn: string;
    behind: string;
    dirs: Map<string, string>;
  }> {
    const nodes = new OnDisk();
    open.push(() => nodes.close());
    for (const name of nodes.names) await nodes.begin(name, await directory());
    const leader = await nodes.leader();
    const [torn, behind] = nodes.others(leader).map(({ nodeId }) => nodeId) as [string, string];
    await leader.group.propose(bytes("everybody has this"));
    await until(
      () => nodes.running.get(behind)?.group.status().appliedThrough === leader.group.status().appliedThrough,
    );
    nodes.network.isolate(behind);
    await leader.group.propose(bytes("two of three have this"));
    const dirs = new Map<string, string>();
    for (const name of nodes.names) dirs.set(name, await nodes.cutOff(name));
    await rot(dirs.get(torn) as string, "two of three have this");
    nodes.network.heal();
    return { nodes, leader: leader.nodeId, torn, behind, dirs };
  }

  it("says nothing that counts until everybody has told it where they stand, and then nothing acknowledged is missing", async () => {
    const { nodes, leader, torn, behind, dirs } = await lastWriteLost();
    const doubtful = await nodes.begin(torn, dirs.get(torn) as string);
    const stale = await nodes.begin(behind, dirs.get(behind) as string);
    // Two of three run, and could elect one another over what only the third one still knows.
    let looked = 0;
    await until(() => {
      expect(doubtful.group.status()).toMatchObject({ voting: false, leader: undefined });
      expect(stale.group.status().leading).toBe(false);
      return ++looked > 200;
    });
    await nodes.begin(leader, dirs.get(leader) as string);
    const next = await nodes.leader();
    await until(() => doubtful.group.status().voting);
    await next.group.propose(bytes("afterwards"));
    await until(() => [...nodes.running.values()].every(({ journal }) => journal.commands.at(-1) === "afterwards"));
    for (const { journal } of nodes.running.values()) {
      expect(journal.commands).toEqual(["everybody has this", "two of three have this", "afterwards"]);
    }
    // It is settled for good: the next time it need not ask.
    const again = await nodes.cutOff(torn);
    const settled = walStorage(await opened(again));
    expect((await settled("g").load()).doubtful).toBeUndefined();
  });
});
