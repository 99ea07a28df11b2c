import { bytes, until } from "./cluster.js";
import { DurableJournal, type JournalDisk } from "./durable-journal.js";
import { type Node, Nodes } from "./in-process.js";

/** Nodes whose state machines have disks of their own and hand out snapshots. */
export class Journals extends Nodes {
  readonly journals = new Map<string, DurableJournal>();
  readonly diskOf = new Map<string, JournalDisk[]>();

  async begin(nodeId: string): Promise<Node> {
    const disk = this.diskOf.get(nodeId) ?? [];
    this.diskOf.set(nodeId, disk);
    const journal = new DurableJournal(disk);
    this.journals.set(nodeId, journal);
    return this.start(nodeId, journal);
  }

  async begun(): Promise<this> {
    for (const name of this.names) await this.begin(name);
    return this;
  }

  of(node: Node): DurableJournal {
    return node.journal as DurableJournal;
  }

  /** Everybody who runs lets go of the whole log. */
  async trimAll(): Promise<void> {
    for (const node of this.running.values()) {
      this.of(node).checkpoint();
      await node.group.trim(node.group.status().appliedThrough);
    }
  }

  async equal(): Promise<void> {
    await until(() => new Set([...this.running.values()].map((node) => this.of(node).state)).size === 1);
  }
}

export async function propose(node: Node, count: number, what = "command"): Promise<void> {
  for (let i = 0; i < count; i++) await node.group.propose(bytes(`${what} ${i}`));
}

/** A follower is down while the others go on and let go of their logs. */
export async function lagging(nodes: Journals): Promise<{ leader: Node; laggard: string }> {
  const leader = await nodes.leader();
  const laggard = nodes.others(leader)[0].nodeId;
  await propose(leader, 3, "before");
  await nodes.drop(laggard);
  await propose(leader, 40, "while it was down");
  await until(() => nodes.others(leader).every((node) => node?.group.status().appliedThrough !== 0));
  await nodes.trimAll();
  return { leader, laggard };
}
