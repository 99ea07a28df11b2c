import { afterEach, describe, expect, it } from "vitest";
import { recover } from "../src/host/recover.js";
import { memoryStorage } from "../src/index.js";
import { bytes, type Journal, until } from "./support/cluster.js";
import { DurableJournal, type JournalDisk } from "./support/durable-journal.js";
import { type Node, Nodes } from "./support/in-process.js";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Has room for so many commands; then for none until some of them are taken away. */
class Room {
  free: number;
  asked = 0;
  #wake: (() => void)[] = [];

  constructor(free = 0) {
    this.free = free;
  }

  ask(): Promise<void> | undefined {
    this.asked++;
    if (this.free > 0) return undefined;
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  get wanted(): boolean {
    return this.#wake.length > 0;
  }

  give(count: number): void {
    this.free += count;
    for (const wake of this.#wake.splice(0)) wake();
  }
}

class NarrowJournal extends DurableJournal {
  readonly space: Room;

  constructor(space: Room, disk: JournalDisk[] = []) {
    super(disk);
    this.space = space;
  }

  room(): Promise<void> | undefined {
    return this.space.ask();
  }

  override apply(entry: { slot: number; command: Uint8Array }): number {
    this.space.free--;
    return super.apply(entry);
  }
}

/** Nobody else is to lead because a machine is busy; and a log in memory would do for who lags. */
const LEASE_MS = 600;

async function three(spaces: Readonly<Record<string, Room>>): Promise<Nodes> {
  const nodes = new Nodes(undefined, { leaseMs: LEASE_MS, tailBytesMax: 0 });
  open.push(() => nodes.close());
  for (const name of nodes.names) {
    const space = spaces[name];
    await nodes.start(name, space === undefined ? new DurableJournal() : new NarrowJournal(space));
  }
  return nodes;
}

/** Three nodes of which a leads, and b has applied a first command and has no room for a second one. */
async function withoutRoom(space: Room): Promise<{ nodes: Nodes; leader: Node }> {
  const nodes = await three({ b: space });
  const leader = await led(nodes, "a");
  await proposeAll(leader, 1, "first");
  await until(() => node(nodes, "b").journal.commands.length === 1);
  space.free = 0;
  return { nodes, leader };
}

/** Whoever leads is asked to, if that is another. It may have lost its place, or time may run out: to be called until it is so. */
function handOverTo(nodes: Nodes, name: string): void {
  for (const { group, nodeId } of nodes.running.values())
    if (nodeId !== name && group.status().leading) void group.handOver(name).catch(() => undefined);
}

async function led(nodes: Nodes, name: string): Promise<Node> {
  await until(() => {
    handOverTo(nodes, name);
    return node(nodes, name).group.status().ready;
  });
  return node(nodes, name);
}

const node = (nodes: Nodes, name: string): Node => nodes.running.get(name) as Node;

async function proposeAll(leader: Node, count: number, what: string): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => leader.group.propose(bytes(`${what} ${i}`))));
}

const allOf = (journal: Journal) => JSON.stringify(journal.commands);

describe("a state machine that has no room", () => {
  it("is given nothing as a follower, however much is chosen, and then everything once, no faster than it has room", async () => {
    const space = new Room(1_000);
    const nodes = await three({ b: space });
    const leader = await led(nodes, "a");
    await proposeAll(leader, 3, "first");
    const { journal, group } = node(nodes, "b");
    await until(() => journal.commands.length === 3);
    space.free = 0;
    for (let i = 0; i < 10; i++) await proposeAll(leader, 30, `round ${i}`);
    await until(() => group.status().chosenThrough === leader.group.status().chosenThrough && space.wanted);
    expect(journal.commands).toHaveLength(3);
    for (let given = 0; given < 300; given += 50) {
      space.give(50);
      await until(() => space.free === 0 && space.wanted === given + 50 < 300);
      expect(journal.commands).toHaveLength(3 + given + 50);
    }
    expect(allOf(journal)).toBe(allOf(leader.journal));
    expect(new Set(journal.slots).size).toBe(303);
    // From here on it goes along with the others again.
    space.give(1_000);
    await proposeAll(leader, 3, "last");
    await until(() => allOf(journal) === allOf(leader.journal));
  });

  it("is not asked while it leads: whoever proposes there can be slowed down", async () => {
    const space = new Room(1_000);
    const nodes = await three({ a: space });
    const leader = await led(nodes, "a");
    await proposeAll(leader, 1, "first");
    space.free = 0;
    const { asked } = space;
    await proposeAll(leader, 50, "more");
    expect(space.asked).toBe(asked);
    expect(leader.journal.commands).toHaveLength(51);
  });

  it("is ready as a leader once it has caught up, and then nothing that was acknowledged is missing from what is read there", async () => {
    const space = new Room(1_000);
    const { nodes, leader } = await withoutRoom(space);
    await proposeAll(leader, 40, "more");
    await until(() => space.wanted);
    const { group, journal } = node(nodes, "b");
    await until(() => {
      handOverTo(nodes, "b");
      return group.status().leading;
    });
    const proposed = group.propose(bytes("asked of one that lags"));
    const read = group.read(() => [...journal.commands]);
    // The beat of a leader goes on meanwhile: more than a lease of it.
    const since = performance.now();
    await until(() => performance.now() - since > LEASE_MS);
    expect(group.status()).toMatchObject({ leading: true, ready: false });
    expect(journal.commands).toHaveLength(1);
    space.give(20);
    await until(() => journal.commands.length === 21);
    expect(group.status().ready).toBe(false);
    space.give(1_000);
    expect(await proposed).toBe(42);
    expect((await read).slice(0, 41)).toEqual(leader.journal.commands.slice(0, 41));
    expect(group.status().ready).toBe(true);
  });

  it("is given what a restart finds in its log no faster than it has room", async () => {
    const storage = memoryStorage()("g");
    const ballot = { round: 1, node: "a" };
    const entries = Array.from({ length: 60 }, (_, i) => ({
      slot: i + 1,
      ballot,
      kind: "command" as const,
      command: bytes(`c${i}`),
    }));
    await storage.load();
    await storage.write({ promised: ballot, accepted: ballot, entries, chosenThrough: 60 });
    const space = new Room(7);
    const journal = new NarrowJournal(space);
    const recovering = recover("g", storage, journal, "storage");
    await until(() => space.wanted);
    expect(journal.commands).toHaveLength(7);
    space.give(1_000);
    expect(await recovering).toMatchObject({ appliedThrough: 60, behind: false });
    expect(journal.commands).toEqual(entries.map((_, i) => `c${i}`));
  });

  it("does not hold up who closes it", async () => {
    const space = new Room(1_000);
    const { nodes, leader } = await withoutRoom(space);
    await proposeAll(leader, 5, "more");
    await until(() => space.wanted);
    const { journal } = node(nodes, "b");
    await nodes.drop("b");
    space.give(1_000);
    await proposeAll(leader, 5, "later");
    expect(journal.commands).toHaveLength(1);
  });

  it("that throws where it is asked stops its group, and loses nothing", async () => {
    const nodes = await three({});
    const leader = await led(nodes, "a");
    await proposeAll(leader, 1, "first");
    const { journal, group } = node(nodes, "b");
    await until(() => journal.commands.length === 1);
    Object.assign(journal, { room: () => Promise.reject(new Error("no more")) });
    await proposeAll(leader, 1, "second");
    await until(() => group.status().failure !== undefined);
    expect(group.status().failure).toMatchObject({ code: "ERR_PAXOS_APPLY" });
    expect(journal.commands).toHaveLength(1);
  });

  it("takes a snapshot where its log is let go of elsewhere, and goes on behind it", async () => {
    const space = new Room(1_000);
    const nodes = await three({ b: space });
    const leader = await led(nodes, "a");
    await proposeAll(leader, 1, "first");
    const { journal, group } = node(nodes, "b") as Node & { journal: NarrowJournal };
    await until(() => journal.commands.length === 1);
    space.free = 0;
    await proposeAll(leader, 5, "more");
    await until(() => space.wanted);
    nodes.network.isolate("b");
    await proposeAll(leader, 40, "while it was away");
    for (const name of ["a", "c"]) {
      const other = node(nodes, name);
      await until(() => other.group.status().appliedThrough === leader.group.status().appliedThrough);
      (other.journal as DurableJournal).checkpoint();
      await other.group.trim(other.group.status().appliedThrough);
    }
    nodes.network.heal();
    await until(() => journal.installed.length > 0);
    space.give(1_000);
    await proposeAll(leader, 5, "later");
    await until(() => allOf(journal) === allOf(leader.journal));
    expect(group.status().failure).toBeUndefined();
  });
});

it("what is acknowledged is read whoever leads, while everybody's room comes and goes", async () => {
  const spaces = { a: new Room(5), b: new Room(5), c: new Room(5) };
  const nodes = await three(spaces);
  let over = false;
  const giving = (async () => {
    while (!over) {
      for (const space of Object.values(spaces)) if (space.free < 5) space.give(5 - space.free);
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  try {
    let acknowledged = 0;
    for (let round = 0; round < 12; round++) {
      await (await nodes.leader()).group.handOver("abc"[round % 3] as string).catch(() => undefined);
      const leader = await nodes.leader();
      await Promise.all(
        Array.from({ length: 40 }, async (_, i) => {
          await leader.group.propose(bytes(`${round} ${i}`)).then(
            () => acknowledged++,
            () => undefined,
          );
        }),
      );
      const seen = await leader.group.read(() => leader.journal.commands.length).catch(() => undefined);
      if (seen !== undefined) expect(seen).toBeGreaterThanOrEqual(acknowledged);
    }
    const leader = await nodes.leader();
    await until(() => [...nodes.running.values()].every(({ journal }) => allOf(journal) === allOf(leader.journal)));
    expect(leader.journal.commands.length).toBeGreaterThanOrEqual(acknowledged);
    for (const { journal, group } of nodes.running.values()) {
      expect(new Set(journal.slots).size).toBe(journal.commands.length);
      expect(group.status().failure).toBeUndefined();
    }
  } finally {
    over = true;
    await giving;
  }
});
