import type { Controller } from "../control/controller.js";
import type { MetadataService } from "../metadata/service.js";
import type { Handlers } from "../rpc/protocol.js";
import { partitionPage } from "./page.js";
import type { PartitionHost } from "./partition-host.js";
import { notLeader, settled } from "./paxos-errors.js";
import { scrubMethods } from "./scrub-methods.js";
import type { NodeStatus } from "./status.js";

export interface NodeParts {
  readonly partitionOf: (partition: number) => PartitionHost;
  readonly metadata: () => MetadataService;
  readonly controller: () => Controller;
  readonly status: () => NodeStatus;
}

/** Reads at the leader, as of now; from its lease, or after asking a quorum. */
async function linearizable<T>(host: PartitionHost, read: () => T): Promise<T> {
  const { leading, leader } = host.group.leadership();
  if (!leading) throw notLeader(leader);
  return await settled(host.group.read(read));
}

/** What a node answers to routers and to other nodes. */
export function nodeMethods({ partitionOf, metadata, controller, status }: NodeParts): Handlers {
  return {
    write: ({ partition, key, op }) => partitionOf(partition).writer.write(key, op),

    async get({ partition, key, consistent }) {
      const host = partitionOf(partition);
      const value = consistent ? await linearizable(host, () => host.replica.get(key)) : host.replica.get(key);
      return value === undefined ? { itemSizeBytes: 0 } : { json: value.json, itemSizeBytes: value.itemSizeBytes };
    },

    async page({ partition, request }) {
      const host = partitionOf(partition);
      const read = () => partitionPage(host.replica, request);
      return request.consistent ? await linearizable(host, read) : read();
    },

    async submit({ partition, writes }) {
      return { slot: await partitionOf(partition).writer.submit(writes) };
    },

    async createTable({ definition, restore }) {
      const table = await metadata().createTable(definition, restore);
      controller().wake();
      return table;
    },

    async deleteTable({ name }) {
      const table = await metadata().deleteTable(name);
      controller().wake();
      return table;
    },

    describeTable: ({ name }) => metadata().describeTable(name),
    listTables: ({ after, limitMax }) => metadata().listTables(after, limitMax),
    status,

    ...scrubMethods(partitionOf),

    async archive({ partition, throughSlot }) {
      return { archivedThrough: await partitionOf(partition).archiving.archive(throughSlot) };
    },

    async trim({ partition, throughSlot }) {
      const host = partitionOf(partition);
      const vouched = await host.archiving.compare(throughSlot);
      const through = Math.min(throughSlot, vouched, host.replica.durableThrough);
      if (through > host.group.status().trimmedThrough) await host.group.trim(through);
      return { trimmedThrough: host.group.status().trimmedThrough };
    },
  };
}
