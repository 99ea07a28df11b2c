import { type Group, GroupHost, inProcessNetwork, memoryStorage } from "@evenkeel/paxos";
import { afterEach, expect, test, vi } from "vitest";
import { Applier } from "../src/storage-node/applier.js";
import { Backlog } from "../src/storage-node/backlog.js";
import { encodeCommand } from "../src/storage-node/command.js";
import { GroupMachine } from "../src/storage-node/group-machine.js";
import { Replica } from "../src/storage-node/replica.js";
import { Tree } from "../src/storage-node/tree.js";
import { gate } from "./support/gate.js";
import { eventually, temporaryDir } from "./support/store.js";

const PARTITION = 7;
const NODES = ["a1", "b1", "c1"];
const ENOUGH = 20;
/** As many as the group applies without asking again. */
const AT_ONCE = 64;

const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const one of close.splice(0).reverse()) await one();
});

interface Node {
  readonly tree: Tree;
  readonly applier: Applier;
  readonly replica: Replica;
  readonly group: Group<number>;
}

async function three(): Promise<Node[]> {
  const network = inProcessNetwork();
  return await Promise.all(
    NODES.map(async (nodeId) => {
      const { dir, remove } = await temporaryDir();
      const tree = Tree.open(dir);
      const applier = new Applier(tree, () => undefined);
      const replica = new Replica(PARTITION, tree, applier, new Backlog(PARTITION, { writesEnough: ENOUGH }));
      const machine = new GroupMachine(replica, tree, applier);
      const host = await GroupHost.open({ nodeId, transport: network.transport(nodeId), storage: memoryStorage() });
      const group = await host.join("p7", { members: NODES, stateMachine: machine });
      close.push(async () => {
        await host.close();
        await applier.close();
        await machine.close();
        replica.close();
        await tree.close();
        await remove();
      });
      return { tree, applier, replica, group };
    }),
  );
}

const put = (i: number) =>
  encodeCommand({
    kind: "writes",
    timeMs: 1,
    writes: [{ op: "put", key: Buffer.from(`key ${i}`), bytes: Buffer.from(`{"n":{"N":"${i}"}}`), itemSizeBytes: 3 }],
  });

const itemsOf = ({ tree }: Node) => [...tree.range(PARTITION, {})].map(({ key }) => Buffer.from(key).toString());

test("a follower whose B-tree does not follow gathers no more than its bound, and has everything when it does", async () => {
  const nodes = await three();
  const first = async () => {
    let leader: Node | undefined;
    await eventually("somebody leads", () => {
      leader = nodes.find(({ group }) => group.leadership().ready);
      return leader !== undefined;
    });
    return leader as Node;
  };
  const leader = await first();
  const slow = nodes.find((node) => node !== leader) as Node;
  const written: string[] = [];
  /** By whoever leads. What is in doubt when that changes is written by the next one as well: it comes to the same. */
  const write = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const command = put(written.length);
      await eventually("it is written", async () => {
        // Whose tree stands still is not to lead; on a busy machine it may come to that.
        if (slow.group.leadership().leading)
          await slow.group.handOver(leader.group.status().nodeId).catch(() => undefined);
        const ready = nodes.find(({ group }) => group.leadership().ready);
        const proposed = ready?.group.propose(command);
        return (
          (await proposed?.then(
            () => true,
            () => false,
          )) === true
        );
      });
      written.push(`key ${written.length}`);
    }
  };
  await write(1);
  const open = gate();
  const commit = slow.tree.commit.bind(slow.tree);
  vi.spyOn(slow.tree, "commit").mockImplementation(async (writes) => {
    await open.opened;
    await commit(writes);
  });
  await write(10 * ENOUGH);
  const chosen = (node: Node) => node.group.status().chosenThrough;
  await eventually("it knows what is chosen", () => nodes.every((node) => chosen(slow) >= chosen(node)));
  expect(slow.replica.backlog.writes).toBeLessThanOrEqual(2 * ENOUGH + AT_ONCE);
  expect(slow.replica.appliedThrough).toBeLessThan(chosen(slow));
  open.open();
  await eventually("it has all of it, and its B-tree too", () => {
    slow.applier.hurry();
    return slow.replica.backlog.writes === 0 && slow.replica.appliedThrough === chosen(slow);
  });
  expect(itemsOf(slow).sort()).toEqual(written.sort());
});
