import type { Handlers } from "../rpc/protocol.js";
import type { PartitionHost } from "./partition-host.js";
import { notLeader, settled } from "./paxos-errors.js";

type TransactionMethods = Pick<
  Handlers,
  "prepare" | "resolve" | "transact" | "transactAgain" | "abandon" | "getVersioned"
>;

/** What a partition's leader is asked by who coordinates a transaction, or finishes one whose coordinator is gone. */
export function transactionMethods(partitionOf: (partition: number) => PartitionHost): TransactionMethods {
  return {
    prepare: ({ partition, ...request }) => partitionOf(partition).participant.prepare(request),

    async resolve({ partition, ...request }) {
      return { resolved: await partitionOf(partition).participant.resolve(request) };
    },

    transact: ({ partition, ...request }) => partitionOf(partition).atOnce.transact(request, false),
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
