import type { MemdsMember } from "@evenkeel/memds";
import type { Caller } from "../rpc/protocol.js";
import type { Upkeep } from "./upkeep.js";

/** The nodes with which every store is founded, one in each zone. */
export const NODE_IDS: readonly string[] = ["a1", "b1", "c1"];
export const SPARES_MAX = 9;

/** Further places, for nodes that take the place of others: d1, e1 ... */
export const spareIds = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${String.fromCharCode("d".charCodeAt(0) + i)}1`);

/** `a1-2` is the second node in the place of `a1`: a name that has lost its disk, or was replaced, is never used again. */
export const zoneOf = (nodeId: string): string => `zone-${nodeId[0]}`;

export interface FleetOptions {
  /** Everything durable lies below this directory. */
  readonly dir: string;
  readonly partitionsPerTable: number;
  /** Nodes beyond the three. */
  readonly spares: number;
  readonly upkeep: Upkeep;
}

/** The storage nodes, wherever they run. */
export interface Fleet {
  /** All nodes by the names that they have now, whether they run or not. */
  nodeIds(): readonly string[];
  callerTo(nodeId: string): Caller;
  /** The members of the memds fleet, as they are now. */
  memdsMembers(): readonly MemdsMember[];
  /** Called when a member has moved: it listens on another port after a restart. Returns how to stop: a fleet outlives its router by a moment. */
  onMemdsMoved(listener: () => void): () => void;
  /** Where nodes are processes: this one stops at once and begins anew, with nothing, under another name, because what it has cannot be trusted. */
  rebuild?(nodeId: string): void;
  close(): Promise<void>;
}

export const nodeDir = (dir: string, nodeId: string): string => `${dir}/nodes/${nodeId}`;
export const archiveDir = (dir: string): string => `${dir}/archive`;
