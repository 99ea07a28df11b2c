import { subscribe, unsubscribe } from "node:diagnostics_channel";
import {
  type FileHandle,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rm,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Pace } from "../src/host/pace.js";
import { SnapshotSender } from "../src/host/snapshot-sender.js";
import { SnapshotSpool, type SpoolOwner, spoolFile, unsyncedBytesMax } from "../src/host/snapshot-spool.js";
import { snapshotOf } from "../src/index.js";
import { bytes, until } from "./support/cluster.js";
import { Journals, lagging, propose } from "./support/journals.js";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-spool-"));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const owner: SpoolOwner = {
  nodeId: "b",
  groupId: "orders/7",
  from: "a",
  offer: {
    type: "offer",
    id: "40/1/k3",
    sizeBytes: 60,
    position: {
      slot: 40,
      ballot: { round: 3, node: "a" },
      configuration: { slot: 7, storage: ["a", "b", "c"], log: [], departed: [] },
    },
  },
};
const pieces = ["the first piece", "the second one", "and a third"].map(bytes);
const texts = (found: readonly Uint8Array[]) => found.map((piece) => Buffer.from(piece).toString());
const all = texts(pieces);

async function kept(spool: SnapshotSpool): Promise<string[]> {
  const found: Uint8Array[] = [];
  for await (const piece of spool.kept()) found.push(piece);
  return texts(found);
}

async function written(file: string): Promise<Buffer> {
  const spool = await SnapshotSpool.open(file, owner);
  for (const piece of pieces) await spool.keep(piece);
  await spool.close();
  return readFile(file);
}

/** Has a disk that syncs a file's bytes when the test says so. */
async function heldSyncs(file: string): Promise<[(() => void)[], () => void]> {
  const handle = await openFile(`${file}.other`, "w");
  const syncs: (() => void)[] = [];
  const spied = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, "datasync");
  spied.mockImplementation(() => new Promise((resolve) => syncs.push(resolve)));
  await handle.close();
  return [syncs, () => spied.mockRestore()];
}

describe("what is kept of a snapshot on its way", () => {
  it("is there in the next life, and only for that very snapshot", async () => {
    const file = spoolFile(dir, "b", "orders/7");
    await written(file);
    const again = await SnapshotSpool.open(file, owner);
    expect(await kept(again)).toEqual(all);
    await again.keep(bytes("a fourth"));
    await again.close();
    const third = await SnapshotSpool.open(file, owner);
    expect(await kept(third)).toEqual([...all, "a fourth"]);
    await third.close();
    for (const other of [
      { ...owner, from: "c" },
      { ...owner, offer: { ...owner.offer, id: "40/2/k3" } },
      { ...owner, offer: { ...owner.offer, sizeBytes: 61 } },
    ]) {
      await written(file);
      const spool = await SnapshotSpool.open(file, other);
      expect(await kept(spool)).toEqual([]);
      expect(await readdir(dir)).toEqual([]);
    }
  });

  it("ends before the piece that a crash has torn, wherever it tore it", async () => {
    const file = spoolFile(dir, "b", "orders/7");
    const whole = await written(file);
    const headBytes = whole.length - pieces.reduce((sum, piece) => sum + 8 + piece.length, 0);
    for (let length = 0; length < whole.length; length++) {
      await writeFile(file, whole);
      await truncate(file, length);
      let ends = headBytes;
      const due = pieces.filter((piece) => {
        ends += 8 + piece.length;
        return ends <= length;
      });
      const spool = await SnapshotSpool.open(file, owner);
      expect(await kept(spool), `${length} bytes`).toEqual(texts(due));
      // And it goes on from there.
      await spool.keep(bytes("next"));
      await spool.close();
      const again = await SnapshotSpool.open(file, owner);
      expect(await kept(again), `${length} bytes, gone on`).toEqual([...texts(due), "next"]);
      await again.close();
    }
  });

  it("never gives a wrong byte: a flipped bit costs what is behind it", async () => {
    const file = spoolFile(dir, "b", "orders/7");
    const whole = await written(file);
    for (let at = 0; at < whole.length; at++) {
      const wrong = Buffer.from(whole);
      wrong[at] = (wrong[at] as number) ^ (1 << (at % 8));
      await writeFile(file, wrong);
      const spool = await SnapshotSpool.open(file, owner);
      const found = await kept(spool);
      expect(found, `byte ${at}`).toEqual(all.slice(0, found.length));
      expect(found.length, `byte ${at}`).toBeLessThan(pieces.length);
      await spool.close();
    }
  });

  it("is read as it was written by the first release that kept anything", async () => {
    const fixture = await readFile(new URL("./fixtures/snapshot-spool-v1.bin", import.meta.url));
    const file = spoolFile(dir, "b", "orders/7");
    expect(await written(file)).toEqual(fixture);
    await writeFile(file, fixture);
    const spool = await SnapshotSpool.open(file, owner);
    expect(await kept(spool)).toEqual(all);
    await spool.close();
  });

  it("is on disk but for its newest before the next piece is asked for", async () => {
    const file = spoolFile(dir, "b", "orders/7");
    const [syncs, restore] = await heldSyncs(file);
    try {
      const spool = await SnapshotSpool.open(file, owner);
      const quarter = new Uint8Array(unsyncedBytesMax / 4);
      for (let i = 0; i < 3; i++) await spool.keep(quarter);
      expect(syncs.length).toBe(0);
      let kept = false;
      const keeping = spool.keep(quarter).then(() => {
        kept = true;
      });
      await Promise.race([keeping, until(() => syncs.length === 1)]);
      expect(kept).toBe(false);
      syncs[0]?.();
      await keeping;
      // And as much again may come before the next one.
      for (let i = 0; i < 3; i++) await spool.keep(quarter);
      expect(syncs.length).toBe(1);
      await spool.close();
    } finally {
      restore();
    }
  });

  it("is not kept where there is no place for it, and nobody is bothered", async () => {
    const file = join(dir, "a file", "x.snapshot");
    await writeFile(join(dir, "a file"), "");
    const spool = await SnapshotSpool.open(file, owner);
    await spool.keep(bytes("piece"));
    expect(await kept(spool)).toEqual([]);
    await spool.close();
  });
});

describe("who sends a snapshot", () => {
  it("remembers as much of it as a receiver may have lost by a restart, and no more", async () => {
    const piece = 2 ** 20;
    const said: string[] = [];
    const { position } = owner.offer;
    const sender = new SnapshotSender({
      ids: { nodeId: "a", groupId: "g" },
      machine: {
        appliedThrough: 0,
        apply: () => {},
        snapshot: () => snapshotOf(position.slot, new Uint8Array(10 * piece)),
      },
      table: () => undefined,
      pieceBytes: piece,
      pace: new Pace(2 ** 40, () => 0),
      now: () => 0,
      random: () => 0,
      positionOf: () => position,
      post: (_, message) => {
        if (message.type === "offer") said.push(message.id);
        else said.push(message.type === "piece" ? `piece ${message.offset / piece}` : message.type);
      },
    });
    sender.needed("b", 1);
    await until(() => said.length === 1);
    const [id] = said.splice(0) as [string];
    const asked = async (...pieces: number[]) => {
      const before = said.length;
      for (const [index, number] of pieces.entries()) {
        sender.fetch("b", id, number * piece);
        await until(() => said.length > before + index);
      }
      return said.slice(before);
    };
    expect(await asked(0, 1, 2, 3, 4, 5)).toEqual([0, 1, 2, 3, 4, 5].map((number) => `piece ${number}`));
    // All but the newest 2 MiB are on the receiver's disk: it asks for the fourth at the least, and goes on from there.
    expect(unsyncedBytesMax).toBe(2 * piece);
    expect(await asked(3, 4, 5, 6)).toEqual(["piece 3", "piece 4", "piece 5", "piece 6"]);
    expect(await asked(3)).toEqual(["gone"]);
    expect(sender.active).toBe(false);
    sender.close();
  });
});

interface Installed {
  readonly nodeId: string;
  readonly sizeBytes: number;
  readonly resumedBytes: number;
}

describe("a receiver that restarts in the middle of a snapshot", () => {
  const pieceBytes = 128;
  const seen: Installed[] = [];
  const listen = (message: unknown) => void seen.push(message as Installed);
  beforeEach(() => {
    seen.length = 0;
    subscribe("evenkeel:paxos:snapshot-installed", listen);
  });
  afterEach(() => {
    unsubscribe("evenkeel:paxos:snapshot-installed", listen);
  });
  const installed = async (count: number): Promise<Installed> => {
    await until(() => seen.length >= count);
    return seen[count - 1] as Installed;
  };
  const emptied = () => vi.waitFor(async () => expect(await readdir(dir)).toEqual([]), { timeout: 60_000 });

  /** Nobody else is to lead because the machine is busy: another leader has another snapshot. */
  const options = () => ({ snapshotPieceBytes: pieceBytes, tailBytesMax: 0, snapshotDir: dir, leaseMs: 5000 });

  /** A life that ends when the state machine has this chunk in its hands, or comes to the switch. */
  async function cutShort(nodes: Journals, laggard: string, where: number | "before" | "after"): Promise<void> {
    const back = await nodes.begin(laggard);
    const journal = nodes.of(back);
    let died: Promise<void> | undefined;
    journal.onChunk = (chunk) => {
      if (chunk === where) died ??= nodes.drop(laggard);
    };
    journal.onSwitch = (when) => {
      if (when !== where) return;
      died ??= nodes.drop(laggard);
      // What a crash leaves: nothing after this point happens in this life.
      throw new Error("the process is gone");
    };
    await until(() => died !== undefined);
    await died;
  }

  it("goes on where it was, whichever piece it had just been given", async () => {
    const nodes = await new Journals(undefined, options()).begun();
    try {
      const { leader, laggard } = await lagging(nodes);
      const size = nodes.of(leader).snapshot().sizeBytes;
      const last = Math.ceil(size / pieceBytes);
      expect(last).toBeGreaterThan(5);
      for (let chunk = 1; chunk < last; chunk++) {
        await cutShort(nodes, laggard, chunk);
        expect((await readdir(dir)).length).toBe(1);
      }
      const back = await nodes.begin(laggard);
      // Each piece but the last one came once, in as many lives.
      expect(await installed(1)).toMatchObject({
        nodeId: laggard,
        sizeBytes: size,
        resumedBytes: (last - 1) * pieceBytes,
      });
      await nodes.equal();
      expect(nodes.of(back).installed.length).toBe(1);
      await emptied();
      await propose(leader, 3, "afterwards");
      await nodes.equal();
    } finally {
      await nodes.close();
    }
  });

  it("has the old state or the new one when it ends around the switch", async () => {
    const nodes = await new Journals(undefined, options()).begun();
    try {
      const { leader, laggard } = await lagging(nodes);
      await cutShort(nodes, laggard, "before");
      expect(seen).toEqual([]);
      // Everything but the last piece is here.
      await cutShort(nodes, laggard, "after");
      await nodes.begin(laggard);
      await nodes.equal();
      expect(seen).toEqual([]);
      await propose(leader, 3, "afterwards");
      await nodes.equal();
    } finally {
      await nodes.close();
    }
  });

  it("uses only what is whole of what it kept, and begins anew when its sender is gone", async () => {
    const nodes = await new Journals(undefined, options()).begun();
    try {
      const { leader, laggard } = await lagging(nodes);
      const interrupted = async () => {
        await cutShort(nodes, laggard, 5);
        const [name] = await readdir(dir);
        return join(dir, name as string);
      };
      const file = await interrupted();
      const good = await readFile(file);
      const bad = Buffer.from(good);
      // In the third of five.
      const at = bad.length - 3 * pieceBytes;
      bad[at] = (bad[at] as number) ^ 1;
      await writeFile(file, bad);
      await nodes.begin(laggard);
      expect(await installed(1)).toMatchObject({ nodeId: laggard, resumedBytes: 2 * pieceBytes });
      await nodes.equal();

      // The same once more, and this time the one who had half of it sent is gone.
      await nodes.drop(laggard);
      await propose(leader, 20, "once more");
      await nodes.trimAll();
      await interrupted();
      const { nodeId } = leader;
      await nodes.drop(nodeId);
      await nodes.begin(nodeId);
      await nodes.begin(laggard);
      expect(await installed(2)).toMatchObject({ nodeId: laggard, resumedBytes: 0 });
      await nodes.equal();
      await emptied();
    } finally {
      await nodes.close();
    }
  });
});
