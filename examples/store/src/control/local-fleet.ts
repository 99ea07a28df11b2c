import type { MemdsMember } from "@evenkeel/memds";
import { inProcessNetwork } from "@evenkeel/paxos/transport";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { localCaller } from "../rpc/local.js";
import type { Caller } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";
import { StorageNode } from "../storage-node/node.js";
import { archiveDir, type Fleet, type FleetOptions, NODE_IDS, nodeDir, ZONES } from "./fleet.js";

/** All nodes in this process, over the in-process transport: for tests and for embedding. Same code, same files. */
export class LocalFleet implements Fleet {
  readonly nodes: ReadonlyMap<string, StorageNode>;
  readonly #callers: ReadonlyMap<string, Caller>;

  private constructor(nodes: ReadonlyMap<string, StorageNode>, callers: ReadonlyMap<string, Caller>) {
    this.nodes = nodes;
    this.#callers = callers;
  }

  static async open({
    dir,
    partitionsPerTable,
    upkeep,
    onFailure,
  }: FleetOptions & { onFailure: (error: unknown) => void }): Promise<LocalFleet> {
    const network = inProcessNetwork();
    const nodes = new Map<string, StorageNode>();
    const callers = new Map<string, Caller>();
    const callerTo = (nodeId: string): Caller => {
      const caller = callers.get(nodeId);
      if (caller === undefined) throw new StoreError("ERR_STORE_UNREACHABLE", `${nodeId} is not open yet`);
      return caller;
    };
    try {
      for (const nodeId of NODE_IDS) {
        const node = await StorageNode.open({
          nodeId,
          zone: ZONES[nodeId] as string,
          dir: nodeDir(dir, nodeId),
          members: NODE_IDS,
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
    return new LocalFleet(nodes, callers);
  }

  callerTo(nodeId: string): Caller {
    const caller = this.#callers.get(nodeId);
    if (caller === undefined)
      throw new StoreError("ERR_STORE_ARGUMENT", `nodeId must be one of ${NODE_IDS.join(", ")}; got ${nodeId}`);
    return caller;
  }

  memdsMembers(): readonly MemdsMember[] {
    return [...this.nodes.values()].map((node) => node.memds);
  }

  onMemdsMoved(): void {
    // In one process nothing moves.
  }

  async close(): Promise<void> {
    for (const node of this.nodes.values()) await node.close();
  }
}
