import type { MemdsMember } from "@evenkeel/memds";
import { type InProcessNetwork, inProcessNetwork } from "@evenkeel/paxos/transport";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { reason } from "../reason.js";
import { localCaller } from "../rpc/local.js";
import type { Caller } from "../rpc/protocol.js";
import { codeOf, StoreError } from "../storage-node/errors.js";
import { StorageNode } from "../storage-node/node.js";
import { archiveDir, type Fleet, type FleetOptions, NODE_IDS, nodeDir, spareIds, zoneOf } from "./fleet.js";
import { watchNews } from "./news.js";
import { Patience } from "./patience.js";

/**
 * Nothing that this process could do mends these. A B-tree that has refused a commit cannot be closed, and one that is not closed cannot be opened again: lmdb holds on to what it has not written. A node that has lost
 * what it had, or was replaced, would have to begin anew under another name.
 */
const FINAL: ReadonlySet<unknown> = new Set(["ERR_STORE_TREE", "ERR_PAXOS_AMNESIA", "ERR_STORE_REPLACED"]);
/** What a node answers of which nothing can be had without the others. */
const HELPLESS: ReadonlySet<unknown> = new Set(["ERR_STORE_NOT_LEADER", "ERR_STORE_UNREACHABLE", "ERR_STORE_CLOSED"]);

export interface LocalFleetOptions extends FleetOptions {
  /** A node cannot go on as it is: whether it is opened again, or what is to be done, is part of the reason. */
  readonly onFailure: (nodeId: string, reason: string) => void;
  readonly onNews?: (line: string) => void;
}

/**
 * All nodes in this process, over the in-process transport: for tests and for embedding. Same code, same files. A node that fails is closed and opened again, as a process of its own would be
 * started again: what is on its disk is then read from the disk. One that cannot be is out.
 */
export class LocalFleet implements Fleet {
  readonly #options: LocalFleetOptions;
  readonly #nodeIds: readonly string[];
  readonly #network: InProcessNetwork = inProcessNetwork();
  readonly #nodes = new Map<string, StorageNode>();
  readonly #callers = new Map<string, Caller>();
  /** Until the program is started again, and why. */
  readonly #out = new Map<string, string>();
  readonly #patience: ReadonlyMap<string, Patience>;
  readonly #openings = new Set<Promise<void>>();
  readonly #moved = new Set<() => void>();
  readonly #ends = new Set<() => void>();
  #endOfNews: () => void = () => undefined;
  #closing = false;

  private constructor(options: LocalFleetOptions) {
    this.#options = options;
    this.#nodeIds = [...NODE_IDS, ...spareIds(options.spares)];
    this.#patience = new Map(this.#nodeIds.map((nodeId) => [nodeId, new Patience()]));
  }

  static async open(options: LocalFleetOptions): Promise<LocalFleet> {
    const fleet = new LocalFleet(options);
    try {
      for (const nodeId of fleet.#nodeIds) await fleet.#open(nodeId);
    } catch (error) {
      await fleet.close();
      throw error;
    }
    fleet.#endOfNews = watchNews(options.onNews ?? (() => undefined));
    return fleet;
  }

  nodeIds(): readonly string[] {
    return this.#nodeIds;
  }

  callerTo(nodeId: string): Caller {
    if (!this.#nodeIds.includes(nodeId))
      throw new StoreError("ERR_STORE_ARGUMENT", `nodeId must be one of ${this.#nodeIds.join(", ")}; got ${nodeId}`);
    const [why] = this.#out.values();
    // Where enough are left nothing is said of those that are out: the others do it.
    if (why === undefined || this.#out.size < this.#nodeIds.length / 2) return this.#callerTo(nodeId);
    return {
      call: async (method, params) => {
        try {
          return await this.#callerTo(nodeId).call(method, params);
        } catch (error) {
          if (!HELPLESS.has((error as { code?: unknown }).code)) throw error;
          throw new StoreError("ERR_STORE_OUT", why, { cause: error });
        }
      },
      close: async () => undefined,
    };
  }

  memdsMembers(): readonly MemdsMember[] {
    return [...this.#nodes.values()].filter((node) => node.knowsMetadata).map((node) => node.memds);
  }

  onMemdsMoved(listener: () => void): () => void {
    this.#moved.add(listener);
    return () => this.#moved.delete(listener);
  }

  async close(): Promise<void> {
    this.#closing = true;
    for (const end of this.#ends) end();
    await Promise.all(this.#openings);
    this.#endOfNews();
    for (const node of this.#nodes.values()) await node.close();
  }

  #callerTo(nodeId: string): Caller {
    const caller = this.#callers.get(nodeId);
    if (caller === undefined) throw new StoreError("ERR_STORE_UNREACHABLE", `${nodeId} is not open`);
    return caller;
  }

  async #open(nodeId: string): Promise<void> {
    const { dir, partitionsPerTable, upkeep } = this.#options;
    let opened: StorageNode | undefined;
    let failure: { readonly error: unknown } | undefined;
    const node = await StorageNode.open({
      nodeId,
      zone: zoneOf(nodeId),
      dir: nodeDir(dir, nodeId),
      founders: NODE_IDS,
      nodeIds: () => this.#nodeIds,
      transport: this.#network.transport(nodeId),
      archive: new FileObjectStore({ dir: archiveDir(dir) }),
      callerTo: (other) => this.#callerTo(other),
      partitionsPerTable,
      upkeep,
      onFailure: (error) => {
        failure = { error };
        if (opened !== undefined) this.#failed(opened, error);
      },
    });
    opened = node;
    this.#nodes.set(nodeId, node);
    this.#callers.set(nodeId, localCaller(node.handlers));
    this.#patience.get(nodeId)?.begins();
    for (const listener of this.#moved) listener();
    // Before it was open.
    if (failure !== undefined) this.#failed(node, failure.error);
  }

  #failed(node: StorageNode, error: unknown): void {
    if (this.#closing) return;
    const final = node.treeRefusal ?? (FINAL.has(codeOf(error)) ? error : undefined);
    if (final !== undefined) return this.#isOut(node.nodeId, final);
    this.#options.onFailure(node.nodeId, `${reason(error)}; it is opened again`);
    const opening = this.#again(node).finally(() => this.#openings.delete(opening));
    this.#openings.add(opening);
  }

  /** It goes on answering what it can: reads of what it has, as old as that is. */
  #isOut(nodeId: string, error: unknown): void {
    const why = `${reason(error)}: node ${nodeId} is out until the program is started again; make sure that there is room on the disk, stop it and start it`;
    this.#out.set(nodeId, why);
    this.#options.onFailure(nodeId, why);
  }

  /** Never rejects. What closing it could not do, opening it tells. */
  async #again(node: StorageNode): Promise<void> {
    const { nodeId } = node;
    this.#callers.delete(nodeId);
    await node.close().catch(() => undefined);
    this.#nodes.delete(nodeId);
    // What it still had to move, as it closed, was refused.
    if (node.treeRefusal !== undefined) return this.#isOut(nodeId, node.treeRefusal);
    while (!this.#closing) {
      await this.#pause(this.#patience.get(nodeId) as Patience);
      if (this.#closing) return;
      try {
        return await this.#open(nodeId);
      } catch (error) {
        if (this.#closing) return;
        if (FINAL.has(codeOf(error))) return this.#isOut(nodeId, error);
        this.#options.onFailure(nodeId, `${reason(error)}; it is opened again`);
      }
    }
  }

  async #pause(patience: Patience): Promise<void> {
    const delayMs = patience.failed();
    // What is tried again has not gone on in the meantime.
    patience.begins();
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#ends.delete(end);
        resolve();
      };
      const timer = setTimeout(end, delayMs);
      this.#ends.add(end);
    });
  }
}
