import type { TableRecord } from "../api/model.js";
import type { PartitionRecord } from "../metadata/records.js";
import type { AtOnceResult } from "../storage-node/at-once.js";
import { StoreError } from "../storage-node/errors.js";
import type { Action, Reach } from "./coordinator.js";

/** Tries of a request whose outcome got lost: each finds what the one before has done. */
const TRIES_MAX = 3;

type Reached = Pick<Reach, "atPartition" | "call">;

/** Where some of a transaction's items lie. */
export interface Place {
  readonly table: TableRecord;
  readonly hash: number;
}

/**
 * Has a transaction carried out in one entry of the partition that all its items lie in.
 * @param again it may have been asked for before: by somebody else, under the same name
 */
export async function transactAt(
  reach: Reached,
  { table, hash }: Place,
  actions: readonly Action[],
  transaction: string,
  again: boolean,
): Promise<AtOnceResult> {
  const asked = actions.map(({ key, op }) => ({ key: key.bytes, op }));
  for (let tries = 1; ; tries++) {
    try {
      return await reach.atPartition(table, hash, async (record) => {
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
export async function abandonAtAll(
  reach: Reached,
  places: readonly Place[],
  transaction: string,
): Promise<AtOnceResult> {
  let result: AtOnceResult = { ended: true };
  for (const { table, hash } of places) {
    const one = await reach.atPartition(table, hash, (record) => abandonAt(reach, record, transaction));
    if ("sizes" in one) result = one;
  }
  return result;
}

const abandonAt = (reach: Reached, record: PartitionRecord, transaction: string) =>
  reach.call(record, "abandon", { partition: record.partition, transaction });

const holds = ({ hashFrom, hashTo }: PartitionRecord, hash: number): boolean => hash >= hashFrom && hash < hashTo;
