import { GroupHost, inProcessNetwork } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { Wal } from "@evenkeel/wal";
import { memoryObjectStore, type ObjectStore } from "@evenkeel/wal/archive";
import { groupId } from "../../src/metadata/records.js";
import { Applier } from "../../src/storage-node/applier.js";
import { GroupMachine } from "../../src/storage-node/group-machine.js";
import { PartitionHost } from "../../src/storage-node/partition-host.js";
import { Replica } from "../../src/storage-node/replica.js";
import { Tree } from "../../src/storage-node/tree.js";
import { eventually } from "./store.js";

const PARTITION = 7;

/** One partition whose group has one member: a real log, B-tree and archive, and nobody to wait for. */
export class LonePartition {
  readonly archive: ObjectStore;
  readonly host: PartitionHost;
  readonly #dir: string;
  readonly #close: () => Promise<void>;

  private constructor(dir: string, archive: ObjectStore, host: PartitionHost, close: () => Promise<void>) {
    this.#dir = dir;
    this.archive = archive;
    this.host = host;
    this.#close = close;
  }

  static async open(dir: string, archive: ObjectStore = memoryObjectStore()): Promise<LonePartition> {
    const wal = await Wal.open({ dir: `${dir}/log` });
    const tree = Tree.open(`${dir}/tree`);
    const applier = new Applier(tree, () => undefined);
    const groups = await GroupHost.open({
      nodeId: "a1",
      transport: inProcessNetwork().transport("a1"),
      storage: walStorage(wal),
      commandBytesMax: 8 * 1024 * 1024,
    });
    const replica = new Replica(PARTITION, tree, applier);
    const machine = new GroupMachine(replica, tree, applier);
    const group = await groups.join(groupId(PARTITION), { members: ["a1"], stateMachine: machine });
    const host = new PartitionHost(group, replica, machine, archive);
    await eventually("the partition is led", () => group.status().ready);
    return new LonePartition(dir, archive, host, async () => {
      await groups.close();
      await applier.close();
      await host.close();
      await tree.close();
      await wal.close();
    });
  }

  /** The log through here is in the archive alone. */
  async trim(slot: number): Promise<void> {
    await this.host.archiving.archive();
    await eventually("what is applied is in the B-tree", () => this.host.replica.durableThrough >= slot);
    await this.host.group.trim(slot);
  }

  async restart(): Promise<LonePartition> {
    await this.#close();
    return await LonePartition.open(this.#dir, this.archive);
  }

  async close(): Promise<void> {
    await this.#close();
  }
}
