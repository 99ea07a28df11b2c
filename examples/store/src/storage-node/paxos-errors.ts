import { StoreError } from "./errors.js";

export function notLeader(leader: string | undefined): StoreError {
  return new StoreError("ERR_STORE_NOT_LEADER", leader === undefined ? "no leader is known" : `${leader} leads`, {
    leader,
  });
}

/** The partition's items are elsewhere, or will be in a moment. */
export function wasSplit(partition: number): StoreError {
  return new StoreError("ERR_STORE_SPLIT", `partition ${partition} is split`);
}

/** Whoever looks the table up again, as after a split, finds that it is no more. */
export function isEnding(partition: number): StoreError {
  return new StoreError("ERR_STORE_SPLIT", `the table of partition ${partition} is being deleted`);
}

/** What the group's error means to whoever asked the store. */
export function storeErrorOf(error: unknown): unknown {
  const { code, leader } = (error ?? {}) as { code?: unknown; leader?: unknown };
  switch (code) {
    case "ERR_PAXOS_NOT_LEADER":
      return notLeader(typeof leader === "string" ? leader : undefined);
    case "ERR_PAXOS_OVERLOADED":
      return new StoreError("ERR_STORE_OVERLOADED", "the replication group has no room for more proposals", {
        cause: error,
      });
    case "ERR_PAXOS_UNKNOWN_OUTCOME":
      return new StoreError(
        "ERR_STORE_UNKNOWN_OUTCOME",
        "leadership was lost before the write was known to be chosen",
        { cause: error },
      );
    case "ERR_PAXOS_CLOSED":
      return new StoreError("ERR_STORE_UNKNOWN_OUTCOME", "the node closed before the write was known to be chosen", {
        cause: error,
      });
    default:
      return error;
  }
}

/** What the group promised, with its errors in the store's terms. */
export function settled<T>(promised: Promise<T>): Promise<T> {
  return promised.catch(rethrown);
}

function rethrown(error: unknown): never {
  throw storeErrorOf(error);
}
