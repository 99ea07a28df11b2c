import type { TableRecord } from "../api/model.js";
import { holds, type PartitionRecord } from "../metadata/records.js";
import type { AtOnceResult } from "../storage-node/at-once.js";
import { StoreError } from "../storage-node/errors.js";
import type { Action, Reach } from "./coordinator.js";
import { atPartitions, type Place } from "./places.js";

/** Tries of a request whose outcome got lost: each finds what the one before has done. */
const TRIES_MAX = 3;

type Reached = Pick<Reach, "atPartition" | "call">;

/** Some of a transaction's items, which lay in one partition when they were looked up. */
interface Part {
  readonly table: TableRecord;
  readonly places: readonly Place[];
}

/**
 * Has a transaction carried out in one entry of the partition that all its items lie in.
 * @param again it may have been asked for before: by somebody else, under the same name
 */
export async function transactAt(
  reach: Reached,
  { table, places: [first] }: Part,
  actions: readonly Action[],
  transaction: string,
  again: boolean,
): Promise<AtOnceResult> {
  const asked = actions.map(({ key, op }) => ({ key: key.bytes, op }));
  for (let tries = 1; ; tries++) {
    try {
      return await reach.atPartition(table, first?.hash ?? 0, async (record) => {
        if (!actions.every(({ key }) => holds(record, key.hash))) return await abandonAt(reach, record, transaction);
        const method = again || tries > 1 ? "transactAgain" : "transact";
        return await reach.call(record, method, { partition: record.partition, transaction, actions: asked });
      });
    } catch (error) {
      const lost = error instanceof StoreError && error.code === "ERR_STORE_UNKNOWN_OUTCOME";
      if (!lost || tries === TRIES_MAX) throw error;
    }
  }
}

/** A partition was split since the transaction was begun: what became of it, after which nothing will become of it any more. */
export async function abandonAtAll(reach: Reached, parts: readonly Part[], transaction: string): Promise<AtOnceResult> {
  let found: AtOnceResult = { ended: true };
  for (const { table, places } of parts) {
    const each = await atPartitions(reach, table, places, (record) => abandonAt(reach, record, transaction));
    for (const { result } of each) if ("earlier" in result && result.earlier) found = result;
  }
  return found;
}

const abandonAt = (reach: Reached, record: PartitionRecord, transaction: string) =>
  reach.call(record, "abandon", { partition: record.partition, transaction });
