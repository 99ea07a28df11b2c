/** Time to live: which items are up, and what clients are told about it. */
import { getAttribute } from "./attributes.js";
import { restored } from "./control/admission.js";
import { controlMessages } from "./control/messages.js";
import { validationError } from "./errors.js";
import type { Condition, Item, TableRecord } from "./model.js";

export interface TimeToLive {
  /** Holds the second, since 1970, at which an item's time is up. */
  readonly attribute: string;
  readonly enabled: boolean;
  /** When that was asked for, Unix ms; absent: by a program that did not note it, long ago. */
  readonly changedAtMs?: number;
}

/** What is so long past is taken for a mistake, and stays. */
const PAST_MAX_SECONDS = 5 * 365 * 86_400;

/** A time is a number, and past, and not by years: everything else keeps its item. */
export function isExpired(item: Item, attribute: string, nowMs: number): boolean {
  const value = getAttribute(item, attribute);
  if (value === undefined || !("N" in value)) return false;
  const now = Math.floor(nowMs / 1000);
  const at = Number(value.N);
  return at < now && at > now - PAST_MAX_SECONDS;
}

/** The same as a condition, for who deletes the item: by then it may be another one. */
export function expiredCondition(attribute: string, nowMs: number): Condition {
  const now = Math.floor(nowMs / 1000);
  const compared = (op: "<" | ">", seconds: number): Condition => ({
    kind: "compare",
    op,
    left: { kind: "path", path: [attribute] },
    right: { kind: "value", value: { N: String(seconds) } },
  });
  return { kind: "and", left: compared("<", now), right: compared(">", now - PAST_MAX_SECONDS) };
}

/** What a request asks for. */
export type WantedTimeToLive = Pick<TimeToLive, "attribute" | "enabled">;

/**
 * What is to be of a table from now on.
 * @param cooldownMs within which it is changed once
 * @throws ValidationException where it is so already, or on another attribute, or was changed a moment ago
 */
export function changedTimeToLive(
  current: TimeToLive | undefined,
  wanted: WantedTimeToLive,
  nowMs: number,
  cooldownMs: number,
): TimeToLive {
  if (current?.enabled === true && current.attribute !== wanted.attribute)
    throw validationError(controlMessages.timeToLiveOtherAttribute(current.attribute));
  if (wanted.enabled && current?.enabled === true) throw validationError(controlMessages.timeToLiveAlreadyEnabled);
  if (!wanted.enabled && current?.enabled !== true) throw validationError(controlMessages.timeToLiveAlreadyDisabled);
  if (nowMs - (current?.changedAtMs ?? Number.NEGATIVE_INFINITY) < cooldownMs)
    throw validationError(controlMessages.timeToLiveTooOften);
  return { ...wanted, changedAtMs: nowMs };
}

/**
 * What was asked for is told at once, as the service does whatever it still has to do for it.
 * @throws ApiError where it is not there, not yet or not any more
 */
export function timeToLiveDescription(table: TableRecord): Record<string, unknown> {
  const { timeToLive, status } = restored(table);
  if (status === "CREATING" || status === "DELETING") throw validationError(controlMessages.timeToLiveNotNow(status));
  if (timeToLive?.enabled !== true) return { TimeToLiveStatus: "DISABLED" };
  return { TimeToLiveStatus: "ENABLED", AttributeName: timeToLive.attribute };
}
