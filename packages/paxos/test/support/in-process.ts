import {
  type Group,
  GroupHost,
  type GroupHostOptions,
  type GroupStorage,
  inProcessNetwork,
  type JoinOptions,
  memoryStorage,
  type Transport,
} from "../../src/index.js";
import { Journal, tuning, until } from "./cluster.js";

export interface Node {
  readonly nodeId: string;
  readonly host: GroupHost;
  readonly group: Group<number>;
  readonly journal: Journal;
}

/** Several nodes in this process, with logs in memory that outlive their hosts. */
export class Nodes {
  readonly network = inProcessNetwork();
  readonly names: readonly string[];
  readonly running = new Map<string, Node>();
  readonly disks = new Map<string, (groupId: string) => GroupStorage>();
  readonly #options: Partial<GroupHostOptions>;

  constructor(names: readonly string[] = ["a", "b", "c"], options: Partial<GroupHostOptions> = {}) {
    this.names = names;
    this.#options = options;
  }

  readonly transports = new Map<string, Transport>();

  transportOf(nodeId: string): Transport {
    const transport = this.network.transport(nodeId);
    this.transports.set(nodeId, transport);
    return transport;
  }

  /** As a kill would: its disk stays. */
  async drop(nodeId: string): Promise<void> {
    const node = this.running.get(nodeId);
    this.running.delete(nodeId);
    await node?.host.close();
  }

  async open(): Promise<this> {
    for (const name of this.names) await this.start(name);
    return this;
  }

  async start(
    nodeId: string,
    journal: Journal = new Journal(),
    join: Partial<JoinOptions<number>> = {},
  ): Promise<Node> {
    const storage = this.disks.get(nodeId) ?? memoryStorage();
    this.disks.set(nodeId, storage);
    const host = await GroupHost.open({
      ...tuning,
      ...this.#options,
      transport: this.transportOf(nodeId),
      storage,
    });
    const machine = join.role === "log" ? {} : { stateMachine: journal };
    const group = await host.join("g", { members: this.names, ...machine, ...join });
    const node = { nodeId, host, group, journal };
    this.running.set(nodeId, node);
    return node;
  }

  async leader(among: readonly string[] = this.names): Promise<Node> {
    let found: Node | undefined;
    await until(() => {
      found = among.map((name) => this.running.get(name)).find((node) => node?.group.status().ready);
      return found !== undefined;
    });
    return found as Node;
  }

  others(node: Node): [Node, Node] {
    return [...this.running.values()].filter((other) => other !== node) as [Node, Node];
  }

  async close(): Promise<void> {
    for (const node of this.running.values()) await node.host.close();
  }
}
