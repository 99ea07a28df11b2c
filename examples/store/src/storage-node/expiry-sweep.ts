import { ApiError } from "../api/errors.js";
import type { Item } from "../api/model.js";
import { expiredCondition, isExpired } from "../api/time-to-live.js";
import { bufferOf } from "../buffer-of.js";
import { FIRST_ITEM_KEY } from "./own-keys.js";
import type { Replica } from "./replica.js";
import type { StoredValue } from "./stored-value.js";
import type { Writer } from "./writer.js";

/** Items and bytes looked at in one turn of the event loop, then everybody else's. */
const STEP_ITEMS_MAX = 100;
const STEP_BYTES_MAX = 256 * 1024;
/** What looking at an item, or deleting one, costs of the pace: a unit, and one for each of so many bytes. */
const UNIT_BYTES = 1024;

export interface SweepParts {
  readonly replica: Pick<Replica, "range">;
  readonly writer: Pick<Writer, "write">;
}

export interface SweepStep {
  /** What the step cost of the pace. */
  readonly units: number;
  readonly expired: number;
  /** The pass ended: the next step begins with the first item again. */
  readonly ended: boolean;
}

/**
 * Goes through a partition's items at its leader, again and again, a bounded step at a time, and deletes those whose time is up. The deletion is a write as any other, on the
 * condition that the time is still up: it is decided by the item as it is then, and is ordered with all writes in the log.
 */
export class ExpirySweep {
  readonly #parts: SweepParts;
  /** Where the next step begins. */
  #from: Uint8Array = FIRST_ITEM_KEY;

  constructor(parts: SweepParts) {
    this.#parts = parts;
  }

  /** @throws StoreError where the partition is not led here, or takes no writes now; the next step goes on behind what was looked at */
  async step(attribute: string, nowMs: number): Promise<SweepStep> {
    const due: Uint8Array[] = [];
    const mark = `${JSON.stringify(attribute)}:{"N":`;
    let items = 0;
    let bytes = 0;
    let ended = true;
    for (const { key, value } of this.#parts.replica.range({ from: this.#from })) {
      if (items >= STEP_ITEMS_MAX || bytes >= STEP_BYTES_MAX) {
        this.#from = Uint8Array.from(key);
        ended = false;
        break;
      }
      items++;
      bytes += value.json.length;
      if (isDue(value, mark, attribute, nowMs)) due.push(Uint8Array.from(key));
    }
    if (ended) this.#from = FIRST_ITEM_KEY;
    const condition = expiredCondition(attribute, nowMs);
    const op = { kind: "delete", condition, returnValues: "NONE", expired: true } as const;
    const outcomes = await Promise.allSettled(due.map((key) => this.#parts.writer.write(key, op)));
    for (const outcome of outcomes) if (outcome.status === "rejected" && !isItems(outcome.reason)) throw outcome.reason;
    const expired = outcomes.filter(({ status }) => status === "fulfilled").length;
    return { units: items + due.length + Math.floor(bytes / UNIT_BYTES), expired, ended };
  }
}

/** It was given more time meanwhile, or a transaction decides about it: the next pass comes by again. */
const isItems = (reason: unknown): boolean =>
  reason instanceof ApiError &&
  (reason.type === "ConditionalCheckFailedException" || reason.type === "TransactionConflictException");

/** Most items have no such number at all, which their bytes tell. */
function isDue({ json }: StoredValue, mark: string, attribute: string, nowMs: number): boolean {
  const view = bufferOf(json);
  return view.includes(mark) && isExpired(JSON.parse(view.toString("utf8")) as Item, attribute, nowMs);
}
