import type { Grant, Settlement } from "../core/protocol.js";
import { type Ring, ringFrom } from "../core/ring.js";

/** `POST /v1/settle`: a reader of another version answers 400 and says which it knows. */
export const WIRE_VERSION = 1;
export const REQUEST_BYTES_MAX = 1 << 20;
export const ANSWER_BYTES_MAX = 1 << 22;

export interface SettleRequest {
  readonly version: number;
  /** The epoch of the ring by which the member chose this server; 0 when it knows none. */
  readonly epoch: number;
  readonly settlements: readonly Settlement[];
}

export interface SettleAnswer {
  readonly version: number;
  readonly grants: readonly Grant[];
  /** Limits that another server owns, by the server's ring. */
  readonly elsewhere: readonly string[];
  /** The server's ring, where the member's is older. */
  readonly ring?: Ring;
}

export function settleRequestFrom(text: string): SettleRequest | undefined {
  const value = parse(text);
  if (value?.version !== WIRE_VERSION || !Number.isSafeInteger(value.epoch) || !Array.isArray(value.settlements)) {
    return undefined;
  }
  const settlements = value.settlements.filter(isSettlement);
  return { version: WIRE_VERSION, epoch: value.epoch as number, settlements };
}

export function settleAnswerFrom(text: string): SettleAnswer | undefined {
  const value = parse(text);
  if (value?.version !== WIRE_VERSION || !Array.isArray(value.grants) || !Array.isArray(value.elsewhere))
    return undefined;
  const ring = ringFrom(value.ring);
  // Each grant is checked where every coordinator's are.
  const grants = value.grants.filter((grant): grant is Grant => typeof grant === "object" && grant !== null);
  const elsewhere = value.elsewhere.filter((name) => typeof name === "string");
  return { version: WIRE_VERSION, grants, elsewhere, ...(ring === undefined ? {} : { ring }) };
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const texts = ["limit", "member", "incarnation"] as const;
const numbers = ["sequence", "ratePerSecond", "burstSeconds", "returnedTotal", "usedTotal"] as const;

/** Of the others, what is no number counts for the least that it can mean; see `between`. */
function isSettlement(value: unknown): value is Settlement {
  if (typeof value !== "object" || value === null) return false;
  const fields = value as Record<string, unknown>;
  return (
    texts.every((name) => typeof fields[name] === "string" && (fields[name] as string).length <= 1024) &&
    numbers.every((name) => typeof fields[name] === "number") &&
    typeof fields.closing === "boolean"
  );
}
