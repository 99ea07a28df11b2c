import type { Upkeep } from "./upkeep.js";

/** What a storage node's process and its supervisor tell each other over the channel that `fork` opens. */
export interface NodeAddresses {
  readonly paxosPort: number;
  readonly rpcPort: number;
  readonly memdsPort: number;
}

export interface NodeSettings {
  readonly nodeId: string;
  readonly dir: string;
  readonly partitionsPerTable: number;
  readonly upkeep: Upkeep;
}

export type ToNode =
  | { readonly kind: "peers"; readonly peers: Readonly<Record<string, NodeAddresses>> }
  | { readonly kind: "stop" };

export type FromNode =
  | { readonly kind: "listening"; readonly addresses: NodeAddresses }
  | { readonly kind: "failed"; readonly code: string | undefined; readonly message: string };
