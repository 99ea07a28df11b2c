import type { MemdsMember } from "@evenkeel/memds";
import { inProcessNetwork } from "@evenkeel/paxos/transport";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { localCaller } from "../rpc/local.js";
import type { Caller } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";
import { StorageNode } from "../storage-node/node.js";
import { archiveDir, type Fleet, type FleetOptions, NODE_IDS, nodeDir, spareIds, zoneOf } from "./fleet.js";
import { watchNews } from "./news.js";

/** All nodes in this process, over the in-process transport: for tests and for embedding. Same code, same files. */
export class LocalFleet implements Fleet {
  readonly nodes: ReadonlyMap<string, StorageNode>;
  readonly #callers: ReadonlyMap<string, Caller>;

  readonly #endOfNews: () => void;

  private constructor(
    nodes: ReadonlyMap<string, StorageNode>,
    callers: ReadonlyMap<string, Caller>,
    endOfNews: () => void,
  ) {
    this.nodes = nodes;
    this.#callers = callers;
    this.#endOfNews = endOfNews;
  }

  static async open({
    dir,
    partitionsPerTable,
    spares,
    upkeep,
    onFailure,
    onNews,
  }: FleetOptions & {
    onFailure: (error: unknown) => void;
    onNews?: (line: string) => void;
  }): Promise<LocalFleet> {
    const network = inProcessNetwork();
    const nodes = new Map<string, StorageNode>();
    const callers = new Map<string, Caller>();
    const callerTo = (nodeId: string): Caller => {
      const caller = callers.get(nodeId);
      if (caller === undefined) throw new StoreError("ERR_STORE_UNREACHABLE", `${nodeId} is not open yet`);
      return caller;
    };
    try {
      const nodeIds = [...NODE_IDS, ...spareIds(spares)];
      for (const nodeId of nodeIds) {
        const node = await StorageNode.open({
          nodeId,
          zone: zoneOf(nodeId),
          dir: nodeDir(dir, nodeId),
          founders: NODE_IDS,
          nodeIds: () => nodeIds,
          transport: network.transport(nodeId),
          archive: new FileObjectStore({ dir: archiveDir(dir) }),
          callerTo,
          partitionsPerTable,
          upkeep,
          onFailure,
        });
        nodes.set(nodeId, node);
        callers.set(nodeId, localCaller(node.handlers));
      }
    } catch (error) {
      for (const node of nodes.values()) await node.close();
      throw error;
    }
    return new LocalFleet(nodes, callers, watchNews(onNews ?? (() => undefined)));
  }

  nodeIds(): readonly string[] {
    return [...this.nodes.keys()];
  }

  callerTo(nodeId: string): Caller {
    const caller = this.#callers.get(nodeId);
    if (caller === undefined)
      throw new StoreError("ERR_STORE_ARGUMENT", `nodeId must be one of ${this.nodeIds().join(", ")}; got ${nodeId}`);
    return caller;
  }

  memdsMembers(): readonly MemdsMember[] {
    return [...this.nodes.values()].filter((node) => node.knowsMetadata).map((node) => node.memds);
  }

  onMemdsMoved(): void {
    // In one process nothing moves, and who comes to know the metadata later is not needed.
  }

  async close(): Promise<void> {
    this.#endOfNews();
    for (const node of this.nodes.values()) await node.close();
  }
}
