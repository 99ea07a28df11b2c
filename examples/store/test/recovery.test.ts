import { afterEach, expect, test } from "vitest";
import { untimely } from "../src/control/rounds.js";
import type { MetadataView } from "../src/metadata/view.js";
import type { Caller } from "../src/rpc/protocol.js";
import { StoreError } from "../src/storage-node/errors.js";
import type { PartitionHost } from "../src/storage-node/partition-host.js";
import { LEDGER_TABLE, ledgerKey } from "../src/transactions/ledger-record.js";
import { Recovery } from "../src/transactions/recovery.js";
import { eventually } from "./support/store.js";

const planned = untimely.due;
let recovery: Recovery | undefined;
afterEach(async () => {
  await recovery?.close();
  untimely.due = planned;
});

test("a transaction whose part of the ledger cannot be asked does not keep others from being finished", async () => {
  untimely.due = () => 0;
  const held = ["unreachable", "lost"].map((transaction) => ({
    transaction,
    ledger: { partition: 9, key: ledgerKey(`t/${transaction}`).bytes },
  }));
  const finished: unknown[] = [];
  const host = {
    partition: 7,
    serves: true,
    group: { leadership: () => ({ ready: true }) },
    writer: { assertLeading: () => undefined },
    participant: {
      locks: { heldFor: () => held, size: held.length },
      resolve: async (request: unknown) => void finished.push(request),
    },
    atOnce: { forgetOld: async () => false },
  };
  recovery = new Recovery({
    partitions: () => [host as unknown as PartitionHost],
    view: {
      tables: new Map([[LEDGER_TABLE, { tableId: "l" }]]),
      partitions: new Map(),
      partitionAt: () => ({ partition: 9, members: ["a1"] }),
    } as unknown as MetadataView,
    callerTo: () =>
      ({
        call: async (_: string, { key }: { key: Uint8Array }) => {
          if (Buffer.compare(key, held[0]?.ledger.key as Uint8Array) === 0)
            throw new StoreError("ERR_STORE_OVERLOADED", "no room");
          return { beforeBytes: 0, afterBytes: 0 };
        },
      }) as unknown as Caller,
    afterMs: 0,
    nowMs: () => 0,
  });
  await eventually("the other one is finished", async () => finished.length > 0);
  expect(finished[0]).toEqual({ transaction: "lost" });
});
