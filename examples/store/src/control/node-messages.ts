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
  | {
      readonly kind: "peers";
      readonly nodeIds: readonly string[];
      readonly peers: Readonly<Record<string, NodeAddresses>>;
    }
  | { readonly kind: "stop" };

export type FromNode =
  | { readonly kind: "listening"; readonly addresses: NodeAddresses }
  /** What somebody who looks after the store wants to know. */
  | { readonly kind: "news"; readonly line: string }
  /** A node that is new has been given the metadata: its member of the memds fleet may be asked. */
  | { readonly kind: "knows-metadata" }
  | { readonly kind: "failed"; readonly code: string | undefined; readonly message: string };
