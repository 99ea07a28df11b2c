import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, describe, expect, it } from "vitest";
import type { Group, ResultCodec, Snapshot } from "../src/index.js";
import { bytes, Journal, until } from "./support/cluster.js";
import { DurableJournal, type JournalDisk } from "./support/durable-journal.js";
import { type Node, Nodes } from "./support/in-process.js";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const code = (expected: string) => ({ code: expected });
const all = { clientsMax: 3 } as const;

async function three(
  join: { clientsMax?: number } = all,
  journal: () => Journal = () => new Journal(),
): Promise<Nodes> {
  const nodes = new Nodes();
  open.push(() => nodes.close());
  for (const name of nodes.names) await nodes.start(name, journal(), join);
  return nodes;
}

/** The leader, once everybody has told it that it takes requests. */
async function registered(nodes: Nodes): Promise<{ leader: Node; client: number }> {
  // One at a time: each that succeeds is a client more, and few are remembered.
  for (;;) {
    const leader = await nodes.leader([...nodes.running.keys()]);
    const client = await leader.group.register().catch(() => undefined);
    if (client !== undefined) return { leader, client };
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const settled = (nodes: Nodes, commands: readonly string[]) =>
  until(() => [...nodes.running.values()].every(({ journal }) => journal.commands.join() === commands.join()));

describe("a client that tries again", () => {
  it("is answered what the first attempt was, and nothing is done a second time: later, at once, and in one turn with it", async () => {
    const nodes = await three();
    const { leader, client } = await registered(nodes);
    const { group } = leader;
    const ask = (sequence: number, text: string) => group.propose(bytes(text), { client, sequence });
    expect(await ask(1, "one")).toBe(1);
    expect(await ask(1, "one")).toBe(1);
    expect(await Promise.all([ask(2, "two"), ask(2, "two"), ask(3, "three"), ask(2, "two")])).toEqual([2, 2, 3, 2]);
    expect(await group.submit(bytes("two"), { client, sequence: 2 }).done).toBe(2);
    // Without a number every call is a command of its own, as ever.
    expect([await group.propose(bytes("plain")), await group.propose(bytes("plain"))]).toEqual([4, 5]);
    await settled(nodes, ["one", "two", "three", "plain", "plain"]);
    expect(group.status().clients).toBeGreaterThan(0);
  });

  it("gave up waiting for an answer: the first attempt was chosen all the same", async () => {
    const nodes = await three();
    const { leader, client } = await registered(nodes);
    const impatient = new AbortController();
    const first = leader.group.propose(bytes("once"), { client, sequence: 1, signal: impatient.signal });
    impatient.abort(new Error("no time"));
    await expect(first).rejects.toThrow("no time");
    expect(await leader.group.propose(bytes("once"), { client, sequence: 1 })).toBe(1);
    await settled(nodes, ["once"]);
  });

  it("finds another leader: what was chosen under the first one is known to it", async () => {
    const nodes = await three();
    const { leader, client } = await registered(nodes);
    expect(await leader.group.propose(bytes("once"), { client, sequence: 1 })).toBe(1);
    await settled(nodes, ["once"]);
    await nodes.drop(leader.nodeId);
    const next = await nodes.leader([...nodes.running.keys()]);
    expect(await next.group.propose(bytes("once"), { client, sequence: 1 })).toBe(1);
    expect(await next.group.propose(bytes("more"), { client, sequence: 2 })).toBe(2);
    await settled(nodes, ["once", "more"]);
    // One member is away, and has not told this leader anything: what is in the log already, it can read.
    expect(await next.group.register()).toBeGreaterThan(client);
  });

  it("does not know whether its first attempt was chosen: it is carried out once in either case", async () => {
    const nodes = await three();
    const { leader, client } = await registered(nodes);
    nodes.network.isolate(leader.nodeId);
    const lost = leader.group.propose(bytes("in doubt"), { client, sequence: 1 });
    lost.catch(() => {});
    const others = nodes.names.filter((name) => name !== leader.nodeId);
    const next = await nodes.leader(others);
    const answer = await next.group.propose(bytes("in doubt"), { client, sequence: 1 });
    nodes.network.heal();
    await expect(lost).rejects.toMatchObject(code("ERR_PAXOS_UNKNOWN_OUTCOME"));
    expect(await next.group.propose(bytes("in doubt"), { client, sequence: 1 })).toBe(answer);
    await settled(nodes, ["in doubt"]);
  });

  it("comes back after all nodes have been restarted, and their state machines know only what the log says", async () => {
    const nodes = await three();
    const { leader, client } = await registered(nodes);
    expect(await leader.group.propose(bytes("once"), { client, sequence: 1 })).toBe(1);
    for (const name of nodes.names) await nodes.drop(name);
    for (const name of nodes.names) await nodes.start(name, new Journal(), all);
    const next = await nodes.leader();
    expect(await next.group.propose(bytes("once"), { client, sequence: 1 })).toBe(1);
    await settled(nodes, ["once"]);
  });

  it("is one of few that are remembered: who was unheard of for longest is refused, not served twice", async () => {
    const nodes = await three();
    const { leader, client: first } = await registered(nodes);
    const { group } = leader;
    await group.propose(bytes("mine"), { client: first, sequence: 1 });
    // One too many: each of them was heard of later than the first.
    const later: number[] = [];
    for (let i = 0; i < 3; i++) later.push(await group.register());
    await expect(group.propose(bytes("mine"), { client: first, sequence: 1 })).rejects.toMatchObject(
      code("ERR_PAXOS_CLIENT"),
    );
    await expect(group.propose(bytes("x"), { client: 1_000_000, sequence: 1 })).rejects.toMatchObject(
      code("ERR_PAXOS_CLIENT"),
    );
    expect(await group.propose(bytes("later"), { client: later[0] as number, sequence: 1 })).toBe(2);
    await settled(nodes, ["mine", "later"]);
    expect([...nodes.running.values()].map((node) => node.group.status().clients)).toEqual([3, 3, 3]);
  });

  it("may be ahead of a number that has no answer yet, but not without bound", async () => {
    const nodes = await three();
    const { leader, client } = await registered(nodes);
    const ask = (sequence: number) => leader.group.propose(bytes(`${sequence}`), { client, sequence });
    const answers = await Promise.all(Array.from({ length: 255 }, (_, i) => ask(256 - i)));
    expect(answers[0]).toBe(1);
    await expect(ask(257)).rejects.toMatchObject(code("ERR_PAXOS_SEQUENCE"));
    expect(await ask(1)).toBe(256);
    expect(await ask(257)).toBe(257);
    expect(await ask(256)).toBe(1);
    // Far back the result is not kept, but that it was carried out is known for ever.
    await expect(ask(1)).rejects.toMatchObject(code("ERR_PAXOS_RESULT"));
    expect(leader.journal.commands.length).toBe(257);
  });
});

describe("what a state machine answers", () => {
  /** Answers the first byte's place in a list. */
  class Answering extends Journal {
    constructor(
      readonly answers: readonly unknown[],
      readonly results?: ResultCodec<number>,
    ) {
      super();
    }

    override apply(entry: { slot: number; command: Uint8Array }): number {
      super.apply(entry);
      return this.answers[entry.command[0] as number] as number;
    }
  }

  const plain = [undefined, null, "ünï\ud800", "", 1.5e300, 0, new Uint8Array([1, 0, 255]), new Uint8Array(0), true];
  const others = [{ a: 1 }, Number.NaN, -0, Number.POSITIVE_INFINITY, 5n, new Date(0), new Uint8Array(70_000)];

  it("comes back as it was, or is told to be gone rather than changed", async () => {
    const nodes = await three(all, () => new Answering([...plain, ...others]));
    const { leader, client } = await registered(nodes);
    const ask = (i: number) => leader.group.propose(Uint8Array.of(i), { client, sequence: i + 1 });
    for (const [i, answer] of plain.entries()) expect([await ask(i), await ask(i)]).toEqual([answer, answer]);
    for (const [i, answer] of others.entries()) {
      expect(await ask(plain.length + i)).toBe(answer);
      await expect(ask(plain.length + i)).rejects.toMatchObject(code("ERR_PAXOS_RESULT"));
    }
    expect(leader.journal.commands.length).toBe(plain.length + others.length);
  });

  it("is kept as the state machine says", async () => {
    const results = {
      encode: (result: unknown) => bytes(JSON.stringify(result)),
      decode: (kept: Uint8Array) => JSON.parse(Buffer.from(kept).toString()) as number,
    };
    const nodes = await three(all, () => new Answering([{ a: [1] }], results));
    const { leader, client } = await registered(nodes);
    for (let attempt = 0; attempt < 2; attempt++)
      expect(await leader.group.propose(Uint8Array.of(0), { client, sequence: 1 })).toEqual({ a: [1] });
  });
});

describe("a state that outlives the process", () => {
  class Disks extends Nodes {
    readonly diskOf = new Map<string, JournalDisk[]>();

    begin(nodeId: string): Promise<Node> {
      const disk = this.diskOf.get(nodeId) ?? [];
      this.diskOf.set(nodeId, disk);
      return this.start(nodeId, new DurableJournal(disk), all);
    }

    async trim(nodeId: string): Promise<void> {
      const { journal, group } = this.running.get(nodeId) as Node;
      (journal as DurableJournal).checkpoint();
      await group.trim(group.status().appliedThrough);
    }
  }

  async function disks(): Promise<Disks> {
    const nodes = new Disks(undefined, { snapshotPieceBytes: 64, tailBytesMax: 0 });
    open.push(() => nodes.close());
    for (const name of nodes.names) await nodes.begin(name);
    return nodes;
  }

  it("takes the table of clients along, through restarts and behind a log that was let go", async () => {
    const nodes = await disks();
    const { leader, client } = await registered(nodes);
    await leader.group.propose(bytes("on disk"), { client, sequence: 1 });
    await settled(nodes, ["on disk"]);
    for (const name of nodes.names) await nodes.trim(name);
    // This one is in the log, and not in anybody's state.
    await leader.group.propose(bytes("in the log"), { client, sequence: 2 });
    for (const name of nodes.names) await nodes.drop(name);
    for (const name of nodes.names) await nodes.begin(name);
    const { group } = await nodes.leader();
    expect(await group.propose(bytes("in the log"), { client, sequence: 2 })).toBe(2);
    expect(await group.propose(bytes("on disk"), { client, sequence: 1 })).toBe(1);
    await settled(nodes, ["on disk", "in the log"]);
  });

  it("hands the table over with a snapshot: who took it over knows what was carried out before", async () => {
    const nodes = await disks();
    const { leader, client } = await registered(nodes);
    const laggard = nodes.others(leader)[0].nodeId;
    await nodes.drop(laggard);
    for (let sequence = 1; sequence <= 30; sequence++)
      await leader.group.propose(bytes(`command ${sequence}`), { client, sequence });
    const commands = Array.from({ length: 30 }, (_, i) => `command ${i + 1}`);
    await settled(nodes, commands);
    for (const name of nodes.running.keys()) await nodes.trim(name);
    const back = await nodes.begin(laggard);
    await settled(nodes, commands);
    expect((back.journal as DurableJournal).installed.length).toBe(1);
    await until(() => {
      if (back.group.status().ready) return true;
      void [...nodes.running.values()]
        .find((node) => node.group.status().ready)
        ?.group.handOver(laggard)
        .catch(() => {});
      return false;
    });
    expect(await back.group.propose(bytes("command 7"), { client, sequence: 7 })).toBe(7);
    expect(await back.group.propose(bytes("command 30"), { client, sequence: 30 })).toBe(30);
    // And it is on its disk.
    await nodes.drop(laggard);
    const again = await nodes.begin(laggard);
    await settled(nodes, commands);
    expect(again.group.status().clients).toBe(leader.group.status().clients);
  });

  it("hands out no snapshot of another slot than was applied last, unless the table comes along", async () => {
    const nodes = await disks();
    const { leader, client } = await registered(nodes);
    const laggard = nodes.others(leader)[0].nodeId;
    await nodes.drop(laggard);
    await leader.group.propose(bytes("a"), { client, sequence: 1 });
    await leader.group.propose(bytes("b"), { client, sequence: 2 });
    await settled(nodes, ["a", "b"]);
    const failures: unknown[] = [];
    const listen = (message: unknown) => failures.push((message as { cause: unknown }).cause);
    subscribe("evenkeel:paxos:snapshot-failed", listen);
    open.push(async () => void unsubscribe("evenkeel:paxos:snapshot-failed", listen));
    for (const { journal } of nodes.running.values()) {
      const machine = journal as DurableJournal & { snapshot(): Snapshot };
      const { snapshot } = machine;
      machine.snapshot = () => ({ ...snapshot.call(machine), slot: machine.appliedThrough - 1 });
    }
    for (const name of nodes.running.keys()) await nodes.trim(name);
    const back = await nodes.begin(laggard);
    await until(() => failures.length > 0);
    expect(failures[0]).toMatchObject(code("ERR_PAXOS_SNAPSHOT"));
    expect((back.journal as DurableJournal).installed).toEqual([]);
  });

  it("is refused when it would leave the table behind", async () => {
    class Forgetful extends Journal {
      readonly durableThrough = 0;
    }
    const nodes = new Nodes();
    open.push(() => nodes.close());
    const refused = code("ERR_PAXOS_ARGUMENT");
    await expect(nodes.start("a", new Forgetful(), all)).rejects.toMatchObject(refused);
    await expect(nodes.start("a", new Journal(), { clientsMax: 0 })).rejects.toMatchObject(refused);
    await expect(nodes.start("a", new Journal(), { role: "log", clientsMax: 1 })).rejects.toMatchObject(refused);
  });
});

describe("a group whose members do not all remember clients", () => {
  it("does not begin to, and nothing of it comes into the log; it begins once they do", async () => {
    const nodes = new Nodes();
    open.push(() => nodes.close());
    for (const name of ["a", "b"]) await nodes.start(name, new Journal(), all);
    const { group }: { group: Group<number> } = await nodes.leader();
    await nodes.start("c", new Journal());
    await until(() => nodes.running.get("c")?.group.status().appliedThrough === group.status().appliedThrough);
    await expect(group.register()).rejects.toMatchObject(code("ERR_PAXOS_UNSUPPORTED"));
    await expect(group.propose(bytes("x"), { client: 1, sequence: 1 })).rejects.toMatchObject(
      code("ERR_PAXOS_UNSUPPORTED"),
    );
    await nodes.drop("c");
    await expect(group.register()).rejects.toMatchObject(code("ERR_PAXOS_UNSUPPORTED"));
    await nodes.start("c", new Journal(), all);
    const { client } = await registered(nodes);
    const now = await nodes.leader();
    expect(await now.group.propose(bytes("x"), { client, sequence: 1 })).toBe(1);
    expect(await now.group.propose(bytes("x"), { client, sequence: 1 })).toBe(1);
    // Who forgets how to is not believed to have forgotten nothing.
    await nodes.drop("c");
    const journal = new Journal();
    // As soon as it learns that the entry is chosen: from its log, or from the leader.
    const failure = await nodes.start("c", journal).then(
      async ({ group: c }) => {
        await until(() => c.status().failure !== undefined);
        return c.status().failure;
      },
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: "ERR_PAXOS_APPLY", cause: code("ERR_PAXOS_CLIENT") });
    expect(journal.commands).toEqual([]);
  });

  it("refuses arguments that make no sense, and who does not lead", async () => {
    const nodes = await three();
    const { leader, client } = await registered(nodes);
    const refused = code("ERR_PAXOS_ARGUMENT");
    for (const asked of [{ client }, { sequence: 1 }, { client, sequence: 0 }, { client: 1.5, sequence: 1 }])
      await expect(leader.group.propose(bytes("x"), asked)).rejects.toMatchObject(refused);
    // Under other names it would be carried out at each attempt.
    await expect(leader.group.propose(bytes("x"), { id: client, seq: 1 } as never)).rejects.toMatchObject(refused);
    await expect(leader.group.propose(new Uint8Array(1024 * 1024), { client, sequence: 1 })).rejects.toMatchObject(
      refused,
    );
    const [follower] = nodes.others(leader);
    await expect(follower.group.register()).rejects.toMatchObject(code("ERR_PAXOS_NOT_LEADER"));
    const without = new Nodes(["z"]);
    open.push(() => without.close());
    await without.start("z", new Journal());
    const alone = await without.leader();
    await expect(alone.group.register()).rejects.toMatchObject(refused);
  });
});
