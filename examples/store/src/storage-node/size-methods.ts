import type { Handlers } from "../rpc/protocol.js";
import type { PartitionHost } from "./partition-host.js";
import { decodeTally, TALLY_KEY } from "./tally-record.js";

export interface PartitionSizes {
  readonly items: number;
  readonly bytes: number;
  readonly locals: readonly { readonly number: number; readonly items: number; readonly bytes: number }[];
}

/** What a replica holds as of what it has applied. */
export function sizeMethods(partitionOf: (partition: number) => PartitionHost): Pick<Handlers, "sizes"> {
  return {
    sizes({ partition }) {
      const stored = partitionOf(partition).replica.get(TALLY_KEY);
      if (stored === undefined) return { items: 0, bytes: 0, locals: [] };
      const { items, bytes, locals } = decodeTally(stored.json);
      return { items, bytes, locals: [...locals].map(([number, sum]) => ({ number, ...sum })) };
    },
  };
}
