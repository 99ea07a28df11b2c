import type { MemdsMember } from "@evenkeel/memds";
import type { Caller } from "../rpc/protocol.js";
import type { Upkeep } from "./upkeep.js";

/** A fixed cluster of three: which node stands in which zone. */
export const ZONES: Readonly<Record<string, string>> = { a1: "zone-a", b1: "zone-b", c1: "zone-c" };
export const NODE_IDS: readonly string[] = Object.keys(ZONES);

export interface FleetOptions {
  /** Everything durable lies below this directory. */
  readonly dir: string;
  readonly partitionsPerTable: number;
  readonly upkeep: Upkeep;
}

/** The storage nodes, wherever they run. */
export interface Fleet {
  callerTo(nodeId: string): Caller;
  /** The members of the memds fleet, as they are now. */
  memdsMembers(): readonly MemdsMember[];
  /** Called when a member has moved: it listens on another port after a restart. */
  onMemdsMoved(listener: () => void): void;
  close(): Promise<void>;
}

export const nodeDir = (dir: string, nodeId: string): string => `${dir}/nodes/${nodeId}`;
export const archiveDir = (dir: string): string => `${dir}/archive`;
