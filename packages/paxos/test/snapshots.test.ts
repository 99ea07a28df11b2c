import { afterEach, describe, expect, it } from "vitest";
import { encodeHostMessage } from "../src/host/host-messages.js";
import { recover } from "../src/host/recover.js";
import { type Entry, memoryStorage, type Position, type Transport } from "../src/index.js";
import { bytes, until } from "./support/cluster.js";
import { DurableJournal } from "./support/durable-journal.js";
import type { Node } from "./support/in-process.js";
import { Journals, lagging, propose } from "./support/journals.js";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Small pieces, so that a snapshot of a few kilobytes has many of them. */
const small = { snapshotPieceBytes: 64, tailBytesMax: 0 } as const;

async function begun(nodes: Journals): Promise<Journals> {
  await nodes.begun();
  open.push(() => nodes.close());
  return nodes;
}

describe("a replica that has fallen behind the log", () => {
  it("takes over a snapshot, then the log behind it", async () => {
    const nodes = await begun(new Journals(undefined, small));
    const { leader, laggard } = await lagging(nodes);
    await propose(leader, 2, "in the log");
    const back = await nodes.begin(laggard);
    await nodes.equal();
    expect(nodes.of(back).installed.length).toBe(1);
    await propose(leader, 3, "afterwards");
    await nodes.equal();
    expect(back.group.status()).toMatchObject({ failure: undefined, awaitsSnapshot: false });
    // And it may lead, with all of it.
    await nodes.drop(leader.nodeId);
    const next = await nodes.leader([...nodes.running.keys()]);
    await propose(next, 2, "under another");
    await nodes.equal();
  });

  it("loses no more than a moment when pieces are lost", async () => {
    const nodes = await begun(new Journals(undefined, small));
    const { leader, laggard } = await lagging(nodes);
    const back = await nodes.begin(laggard);
    const dropped = () => (nodes.transports.get(leader.nodeId) as Transport).stats().messagesDropped;
    const losses: Promise<void>[] = [];
    nodes.of(back).onChunk = (chunk) => {
      if (chunk !== 3 && chunk !== 6) return;
      const before = dropped();
      nodes.network.cut(leader.nodeId, laggard);
      losses.push(until(() => dropped() > before).then(() => nodes.network.heal()));
    };
    await nodes.equal();
    expect(losses.length).toBe(2);
    await Promise.all(losses);
    // One transfer, however many gaps.
    expect(nodes.of(back).tried.length).toBe(1);
  });

  it("finds another sender when the first one dies half-way", async () => {
    const nodes = await begun(new Journals(undefined, small));
    const { leader, laggard } = await lagging(nodes);
    const back = await nodes.begin(laggard);
    let died: Promise<void> | undefined;
    nodes.of(back).onChunk = (chunk) => {
      if (chunk === 4) died = nodes.drop(leader.nodeId);
    };
    await until(() => died !== undefined);
    await died;
    await nodes.equal();
    expect(nodes.of(back).tried.length).toBeGreaterThan(1);
    expect(nodes.of(back).installed.length).toBe(1);
  }, 240_000);

  it("keeps its state when an install fails, and is offered another", async () => {
    const nodes = await begun(new Journals(undefined, small));
    const { laggard } = await lagging(nodes);
    const back = await nodes.begin(laggard);
    const journal = nodes.of(back);
    journal.onChunk = () => {
      if (journal.tried.length < 3) throw new Error("disk full");
    };
    await until(() => journal.tried.length === 2);
    expect(journal.commands.length).toBeLessThanOrEqual(3);
    await nodes.equal();
    expect(back.group.status().failure).toBeUndefined();
  });

  it("catches up although the log behind the snapshot is let go meanwhile", async () => {
    const nodes = await begun(new Journals(undefined, small));
    const { leader, laggard } = await lagging(nodes);
    const back = await nodes.begin(laggard);
    let more: Promise<void> | undefined;
    nodes.of(back).onChunk = async (chunk) => {
      if (chunk !== 3) return;
      more = propose(leader, 20, "during the transfer").then(() => nodes.trimAll());
      await more;
    };
    await until(() => more !== undefined);
    await more;
    await nodes.equal();
    // The log of what was chosen during the transfer was gone when it ended: a second one brought it.
    expect(nodes.of(back).installed.length).toBe(2);
  });

  it("leads although its disk is slow to take a snapshot over that the log has come past: who asks meanwhile is answered in the end", async () => {
    const nodes = await begun(new Journals(undefined, small));
    const leader = await nodes.leader();
    const [{ nodeId }, other] = nodes.others(leader);
    await propose(leader, 3, "before");
    await nodes.drop(nodeId);
    await propose(leader, 40, "while it was down");
    // The other one keeps its log.
    nodes.of(leader).checkpoint();
    await leader.group.trim(leader.group.status().appliedThrough);
    const journal = new DurableJournal(nodes.diskOf.get(nodeId));
    let ended = false;
    let take = () => {};
    journal.onEnd = () => {
      ended = true;
      return new Promise((resolve) => {
        take = resolve;
      });
    };
    open.push(async () => take());
    const back = await nodes.start(nodeId, journal);
    await until(() => ended);
    const old = [...journal.commands];
    const led = (node: Node) =>
      until(() => {
        for (const { group, nodeId } of nodes.running.values())
          if (nodeId !== node.nodeId && group.status().leading) void group.handOver(node.nodeId).catch(() => {});
        return node.group.status().leading;
      });
    await led(other);
    await led(back);
    const read = back.group.read(() => journal.commands.length);
    const proposed = Array.from({ length: 5 }, (_, i) => back.group.propose(bytes(`asked meanwhile ${i}`)));
    const answers = Promise.all([read, ...proposed]);
    await until(() => back.group.status().chosenThrough > other.group.status().appliedThrough - 5);
    expect(back.group.status()).toMatchObject({ leading: true, ready: false, failure: undefined });
    expect(journal.commands).toEqual(old);
    take();
    const [seen, ...results] = await answers;
    expect(seen).toBeGreaterThanOrEqual(43);
    expect(results).toEqual([44, 45, 46, 47, 48]);
    expect(back.group.status().ready).toBe(true);
    expect(journal.installed.length).toBe(1);
    await nodes.equal();
  });

  it("finds damage between sender and receiver, whoever did it", async () => {
    let damaged = 0;
    class Damaging extends Journals {
      override transportOf(nodeId: string): Transport {
        const transport = super.transportOf(nodeId);
        const { send } = transport;
        transport.send = (to, message) => {
          const at = Buffer.from(message).indexOf("while it was");
          // Not the log's own messages.
          const piece = Buffer.from(message).includes('","while');
          if (at < 0 || !piece || damaged > 0) return send.call(transport, to, message);
          damaged++;
          const wrong = Uint8Array.from(message);
          wrong[at] = (wrong[at] as number) ^ 1;
          return send.call(transport, to, wrong);
        };
        return transport;
      }
    }
    const nodes = await begun(new Damaging(undefined, small));
    const { laggard } = await lagging(nodes);
    const back = await nodes.begin(laggard);
    await nodes.equal();
    expect(damaged).toBe(1);
    expect(nodes.of(back).tried.length).toBeGreaterThan(1);
    expect(nodes.of(back).installed.length).toBe(1);
  });

  it("has no use for a snapshot below what is applied, nor for messages about one that it does not take", async () => {
    const nodes = await begun(new Journals(undefined, small));
    const leader = await nodes.leader();
    await propose(leader, 5);
    await nodes.equal();
    const [follower] = nodes.others(leader);
    const configuration = { slot: 0, storage: [...nodes.names], log: [], departed: [] };
    const position: Position = { slot: 2, ballot: { round: 1, node: leader.nodeId }, configuration };
    const stray = nodes.network.transport("stray");
    const parcel = (message: Uint8Array) => {
      const head = Buffer.from([1, 1, "g".charCodeAt(0), 0, 0, 0, 0]);
      head.writeUInt32LE(message.length, 3);
      return Buffer.concat([head, message]);
    };
    const seen = follower.host.stats().messagesReceived;
    const none = new Uint8Array(0);
    for (const message of [
      { type: "offer", id: "old", position, sizeBytes: 10 },
      { type: "piece", id: "old", offset: 0, bytes: none, digest: none },
      { type: "gone", id: "old" },
      { type: "fetch", id: "nobody's", offset: 7 },
    ] as const) {
      stray.send(follower.nodeId, parcel(encodeHostMessage(message)));
    }
    await until(() => follower.host.stats().messagesReceived >= seen + 4);
    await propose(leader, 5, "more");
    await nodes.equal();
    expect(nodes.of(follower).tried).toEqual([]);
  });

  it("comes back without its state, and is given it", async () => {
    // A state machine in memory only, whose log was let go: nothing is lost as long as somebody has it.
    const nodes = await begun(new Journals(undefined, small));
    const leader = await nodes.leader();
    await propose(leader, 20);
    await nodes.equal();
    await nodes.trimAll();
    const [follower] = nodes.others(leader);
    await nodes.drop(follower.nodeId);
    nodes.diskOf.set(follower.nodeId, []);
    const back = await nodes.begin(follower.nodeId);
    expect(back.group.status().awaitsSnapshot).toBe(true);
    await propose(leader, 5, "meanwhile");
    await nodes.equal();
    await until(() => !back.group.status().awaitsSnapshot);
    await propose(leader, 5, "afterwards");
    await nodes.equal();
  });
});

describe("a crash around the switch to a snapshot", () => {
  const ballot = (round: number) => ({ round, node: "a" });
  const founders = { slot: 0, storage: ["a", "b", "c"], log: [], departed: [] };
  const position: Position = { slot: 10, ballot: ballot(3), configuration: { ...founders, slot: 7 } };
  const entries = (through: number, round: number): Entry[] =>
    Array.from({ length: through }, (_, i) => ({
      slot: i + 1,
      ballot: ballot(round),
      kind: "command",
      command: bytes(`${i}`),
    }));
  const journal = (slot: number) => new DurableJournal([{ slot, commands: ["state"] }]);

  it("before it leaves the old state and the old log", async () => {
    const storage = memoryStorage()("g");
    await storage.write({ promised: ballot(3), entries: entries(4, 1), chosenThrough: 4 });
    await storage.markInstall(position);
    const machine = journal(4);
    expect(await recover("g", storage, machine, "storage")).toMatchObject({
      appliedThrough: 4,
      state: { chosenThrough: 4, trimmedThrough: 0 },
    });
  });

  it.each([
    ["that is shorter", 4],
    ["that goes on differently", 12],
  ])("after it has the log begin anew, over one %s", async (_, through) => {
    const storage = memoryStorage()("g");
    await storage.write({ promised: ballot(3), accepted: ballot(1), entries: entries(through, 1), chosenThrough: 4 });
    await storage.markInstall(position);
    const { state, appliedThrough } = await recover("g", storage, journal(10), "storage");
    expect(appliedThrough).toBe(10);
    expect(state).toMatchObject({ promised: ballot(3), trimmedThrough: 10, chosenThrough: 10, entries: [] });
    expect(state.base).toEqual(position);
    expect(state.configuration).toEqual(position.configuration);
  });

  it("keeps a log that holds that very slot", async () => {
    const storage = memoryStorage()("g");
    await storage.write({ promised: ballot(3), accepted: ballot(3), entries: entries(12, 3), chosenThrough: 4 });
    await storage.markInstall(position);
    const { state } = await recover("g", storage, journal(10), "storage");
    expect(state).toMatchObject({ trimmedThrough: 0, chosenThrough: 10 });
    expect(state.entries.at(-1)?.slot).toBe(12);
  });

  it("is not what has happened when the state machine stands elsewhere: the log goes on as it is", async () => {
    const storage = memoryStorage()("g");
    await storage.write({ promised: ballot(3), accepted: ballot(1), entries: entries(12, 1), chosenThrough: 4 });
    await storage.markInstall(position);
    const { state, behind } = await recover("g", storage, journal(8), "storage");
    expect(state).toMatchObject({ trimmedThrough: 0, chosenThrough: 8 });
    expect([state.entries.at(-1)?.slot, behind]).toEqual([12, false]);
  });

  it.each([5, 10])(
    "is not what has happened when nothing was announced: that log has lost records (applied: %i)",
    async (applied) => {
      const storage = memoryStorage()("g");
      await storage.write({ promised: ballot(3), entries: entries(4, 1), chosenThrough: 4 });
      const recovering = recover("g", storage, journal(applied), "storage");
      await expect(recovering).rejects.toMatchObject({ code: "ERR_PAXOS_CORRUPT" });
    },
  );
});

describe("a log that lets go by itself", () => {
  it("keeps the newest part for those that lag, and no more than that", async () => {
    const nodes = await begun(new Journals(undefined, { ...small, logKeptBytesMax: 4096 }));
    const leader = await nodes.leader();
    for (let round = 0; round < 40; round++) {
      await propose(leader, 10, `round ${round}, ${"x".repeat(40)}`);
      for (const node of nodes.running.values()) nodes.of(node).checkpoint();
    }
    const { appliedThrough, trimmedThrough } = leader.group.status();
    const kept = appliedThrough - trimmedThrough;
    expect(kept).toBeGreaterThan(4096 / 120);
    expect(kept).toBeLessThan(120);
    expect(nodes.others(leader).every((node) => node.group.status().trimmedThrough > 0)).toBe(true);
  });

  it("has a laggard back beside writes, also where the node keeps next to nothing: what follows on its snapshot stays for it", async () => {
    const nodes = await begun(
      new Journals(undefined, { snapshotPieceBytes: 65_536, tailBytesMax: 0, logsKeptBytesMax: 0 }),
    );
    const command = "x".repeat(4000);
    const write = async (count: number) => {
      // A busy machine may depose a leader: then the next one is asked.
      await propose(await nodes.leader([...nodes.running.keys()]), count, command).catch(() => {});
      for (const node of nodes.running.values()) nodes.of(node).checkpoint();
    };
    await write(3);
    const laggard = nodes.others(await nodes.leader())[0].nodeId;
    await nodes.drop(laggard);
    const trimmed = () => [...nodes.running.values()].map((node) => node.group.status().trimmedThrough);
    while (trimmed().some((slot) => slot < 20)) await write(5);
    const back = await nodes.begin(laggard);
    const { chosenThrough } = (await nodes.leader()).group.status();
    // It is written all the while, and what is written goes as soon as it may.
    while (back.group.status().appliedThrough <= chosenThrough) await write(1);
    await nodes.equal();
    expect(nodes.of(back).installed.length).toBeGreaterThan(0);
    expect(back.group.status()).toMatchObject({ failure: undefined, awaitsSnapshot: false });
  });
});
