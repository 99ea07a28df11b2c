import { transactWriteUnits } from "../api/transactions.js";
import type { Handlers } from "../rpc/protocol.js";
import type { ItemSizes, NodeAction } from "./decide-action.js";
import type { PartitionHost } from "./partition-host.js";
import { notLeader, settled } from "./paxos-errors.js";
import type { Usage } from "./usage.js";

type TransactionMethods = Pick<
  Handlers,
  "prepare" | "resolve" | "transact" | "transactAgain" | "abandon" | "getVersioned"
>;

/** What the actions of a transaction spend here. */
function counted<T extends { readonly sizes: readonly ItemSizes[] } | object>(
  usage: Usage | undefined,
  actions: readonly NodeAction[],
  result: T,
): T {
  if (usage === undefined || !("sizes" in result)) return result;
  for (const [i, { beforeBytes, afterBytes }] of result.sizes.entries())
    usage.spent("write", actions[i]?.key as Uint8Array, transactWriteUnits(beforeBytes, afterBytes));
  return result;
}

/** What a partition's leader is asked by who coordinates a transaction, or finishes one whose coordinator is gone. */
export function transactionMethods(partitionOf: (partition: number) => PartitionHost): TransactionMethods {
  return {
    async prepare({ partition, ...request }) {
      const { participant, usage, writer } = partitionOf(partition);
      const room = writer.room();
      if (room !== undefined) await room;
      return counted(usage, request.actions, await participant.prepare(request));
    },

    async resolve({ partition, ...request }) {
      return { resolved: await partitionOf(partition).participant.resolve(request) };
    },

    async transact({ partition, ...request }) {
      const { atOnce, usage, writer } = partitionOf(partition);
      const room = writer.room();
      if (room !== undefined) await room;
      return counted(usage, request.actions, await atOnce.transact(request, false));
    },
    transactAgain: ({ partition, ...request }) => partitionOf(partition).atOnce.transact(request, true),
    abandon: ({ partition, transaction }) => partitionOf(partition).atOnce.abandon(transaction),

    async getVersioned({ partition, keys }) {
      const host = partitionOf(partition);
      const { group, participant } = host;
      const { leading, leader } = group.leadership();
      if (!leading) throw notLeader(leader);
      return await settled(
        group.read(() => {
          host.assertReadable();
          return participant.versioned(keys);
        }),
      );
    },
  };
}
