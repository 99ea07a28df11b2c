import { join } from "node:path";
import { type Group, GroupHost, inProcessNetwork, type StateMachine } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { type PassReport, Scrubber } from "@evenkeel/scrubber";
import { LmdbReplica } from "@evenkeel/scrubber/lmdb";
import { Random } from "@evenkeel/simulation";
import { Wal } from "@evenkeel/wal";
import { open } from "lmdb";
import { afterEach, beforeEach, expect, test } from "vitest";
import { flipByteInFile } from "../src/tour/damage.js";
import { eventually, temporaryDir } from "./support/store.js";

/** A group of one's own over nothing but the packages: logs, a Paxos group, and three trees of lmdb as `@evenkeel/scrubber/lmdb` keeps them. */
class Member {
  readonly #undo: (() => Promise<unknown>)[] = [];
  replica!: LmdbReplica;
  group!: Group<number>;

  constructor(
    readonly nodeId: string,
    readonly dir: string,
    readonly network: ReturnType<typeof inProcessNetwork>,
  ) {}

  async start(): Promise<this> {
    const wal = await Wal.open({ dir: join(this.dir, "log") });
    this.#undo.push(() => wal.close());
    const db = open<Buffer, Buffer>({
      path: join(this.dir, "data.mdb"),
      keyEncoding: "binary",
      encoding: "binary",
    });
    this.#undo.push(() => db.close());
    const replica = new LmdbReplica({ name: this.nodeId, db });
    this.#undo.push(() => replica.close());
    this.replica = replica;
    const { nodeId } = this;
    const host = await GroupHost.open({
      nodeId,
      transport: this.network.transport(nodeId),
      storage: walStorage(wal, { prefix: "group/" }),
    });
    this.#undo.push(() => host.close());
    const stateMachine: StateMachine<number> = {
      appliedThrough: replica.stats().durablePosition,
      apply: ({ slot, command }) => {
        const { mark = false, key = "", value } = JSON.parse(Buffer.from(command).toString()) as Command;
        const changes = mark
          ? []
          : [{ key: Buffer.from(key), ...(value === undefined ? {} : { value: Buffer.from(value) }) }];
        void replica.apply(slot, changes, { mark });
        return slot;
      },
      advance: (slot) => {
        if (slot > replica.applied) void replica.apply(slot, []);
      },
    };
    this.group = await host.join("orders/7", { members: MEMBERS, stateMachine });
    return this;
  }

  async stop(): Promise<void> {
    for (const undo of this.#undo.splice(0).reverse()) await undo();
  }
}

interface Command {
  readonly mark?: boolean;
  readonly key?: string;
  readonly value?: string;
}

const MEMBERS = ["a1", "b1", "c1"];
let dir: string;
let remove: () => Promise<void>;
let members: Member[];

beforeEach(async () => {
  ({ dir, remove } = await temporaryDir());
  const network = inProcessNetwork();
  members = await Promise.all(MEMBERS.map((nodeId) => new Member(nodeId, join(dir, nodeId), network).start()));
});
afterEach(async () => {
  await Promise.all(members.map((member) => member.stop()));
  await remove();
});

const leader = (): Member | undefined => members.find(({ group }) => group.status().ready);

async function propose(command: Command): Promise<number> {
  let slot: number | undefined;
  await eventually("the group takes a command", async () => {
    slot = await leader()
      ?.group.propose(Buffer.from(JSON.stringify(command)))
      .catch(() => undefined);
    return slot !== undefined;
  });
  return slot as number;
}

const scrubberOver = (): Scrubber =>
  new Scrubber({
    // Whoever is started anew is another object under the same name.
    replicas: MEMBERS.map((name, i) => ({ name, snapshot: (at) => (members[i] as Member).replica.snapshot(at) })),
    position: () => propose({ mark: true }),
    stepBytes: 4 * 1024,
  });

test("three trees are compared at one slot while writes go on, a leader dies, and one starts anew in the middle of a pass: no false alarm; and then what has rotted", {
  timeout: 240_000,
}, async () => {
  const random = new Random(7);
  let writing = true;
  let writes = 0;
  const writer = (async () => {
    while (writing) {
      const batch = Array.from({ length: 20 }, () => {
        const key = `item-${random.int(400)}`;
        return propose(random.int(5) === 0 ? { key } : { key, value: `${key}, written as number ${writes++}` });
      });
      await Promise.all(batch);
    }
  })();
  const scrubber = scrubberOver();
  const clean = ({ divergences, unreadable, unstable }: PassReport) =>
    expect({ divergences, unreadable, unstable }).toEqual({ divergences: [], unreadable: [], unstable: [] });
  try {
    for (let n = 0; n < 4; n++) {
      const before = writes;
      const full = await scrubber.pass();
      clean(full);
      expect(full).toMatchObject({ complete: true, absent: [] });
      clean(await scrubber.pass({ kept: true }));
      await eventually("writes in between", () => writes > before);
    }
    // The leader is gone in the middle of a pass, and back in another one.
    for (const whom of [() => leader() as Member, () => members.find((one) => one !== leader()) as Member]) {
      let restarted: Promise<unknown> | undefined;
      clean(
        await scrubber.pass({
          onStep: () => {
            const member = whom();
            restarted ??= member.stop().then(() => member.start());
          },
        }),
      );
      await restarted;
    }
    await eventually("all three take part again", async () => {
      const report = await scrubber.pass();
      clean(report);
      return report.absent.length === 0;
    });
  } finally {
    writing = false;
    await writer;
  }

  const value = "a value that nobody else has";
  await propose({ key: "rotten", value });
  const victim = members[1] as Member;
  await eventually("it is there", () => victim.replica.get(Buffer.from("rotten")) !== undefined);
  await victim.replica.flushed();
  clean(await scrubber.pass());
  expect(await flipByteInFile(join(victim.dir, "data.mdb"), Buffer.from(value))).not.toEqual([]);
  expect((await scrubber.pass()).divergences).toMatchObject([
    { key: new TextEncoder().encode("rotten"), replica: "b1", against: "majority", kind: "different", cause: "rot" },
  ]);
});
