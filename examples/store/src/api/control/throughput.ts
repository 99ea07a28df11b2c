/** What a table or a global index may take at most on demand, and what it is said to take from one moment to the next. */
import { validationError } from "../errors.js";
import { controlMessages } from "./messages.js";
import { assertGranted } from "./quotas.js";

/** Units a second; -1: there is no bound any more. */
export interface OnDemandMaxima {
  readonly readUnitsMax?: number;
  readonly writeUnitsMax?: number;
}

/** Units a second. */
export interface WarmThroughput {
  readonly readUnits: number;
  readonly writeUnits: number;
}

export interface OnDemandRequest {
  MaxReadRequestUnits?: number;
  MaxWriteRequestUnits?: number;
}

export interface WarmRequest {
  ReadUnitsPerSecond?: number;
  WriteUnitsPerSecond?: number;
}

/** What a table, or an index of it, has to do with either. */
export interface Throughput {
  readonly onDemand?: OnDemandMaxima;
  /** Absent: what its figures, or having none, come to. */
  readonly warm?: WarmThroughput;
}

interface Billed {
  readonly billingMode: "PROVISIONED" | "PAY_PER_REQUEST";
  readonly readUnitsPerSecond: number;
  readonly writeUnitsPerSecond: number;
}

type IndexThroughput = Throughput & Omit<Billed, "billingMode">;

export const NO_MAXIMUM = -1;

/** What a table on demand begins with. */
const INITIAL: WarmThroughput = { readUnits: 12_000, writeUnits: 4_000 };

/**
 * Of one that is being made.
 * @param index absent: of the table @throws ValidationException
 */
export function newThroughput(
  { OnDemandThroughput: maxima, WarmThroughput: warm }: ThroughputRequests,
  billed: Billed,
  index?: string,
): Throughput {
  const onDemand = maxima && newMaxima(maxima, billed.billingMode, index);
  return {
    ...(onDemand && { onDemand }),
    ...(warm && { warm: newWarm(warm, billed, index) }),
  };
}

export interface ThroughputRequests {
  readonly OnDemandThroughput?: OnDemandRequest;
  readonly WarmThroughput?: WarmRequest;
}

function newMaxima(
  request: OnDemandRequest,
  mode: Billed["billingMode"],
  index: string | undefined,
): OnDemandMaxima | undefined {
  for (const [name, value] of named(request)) {
    if (mode === "PROVISIONED") throw validationError(controlMessages.maximumUnderProvisioned(name, index));
    if (value < 1) throw validationError(controlMessages.maximumOutOfRange(name, index));
  }
  return changedMaxima(undefined, request);
}

function newWarm(request: WarmRequest, billed: Billed, index: string | undefined): WarmThroughput {
  const least = naturalWarmth(billed);
  const { ReadUnitsPerSecond: readUnits = least.readUnits, WriteUnitsPerSecond: writeUnits = least.writeUnits } =
    request;
  const lower = readUnits < least.readUnits ? "Read" : writeUnits < least.writeUnits ? "Write" : undefined;
  if (lower !== undefined)
    throw validationError(
      billed.billingMode === "PAY_PER_REQUEST"
        ? controlMessages.warmBelowInitial(lower, index)
        : controlMessages.warmBelowProvisioned(lower, index),
    );
  return { readUnits, writeUnits };
}

/**
 * What there is of either after a request that wants something else.
 * @throws ApiError ValidationException, or LimitExceededException where it is more than is granted
 */
export function changedThroughput<T extends Throughput & Billed>(
  before: T,
  { OnDemandThroughput: maxima, WarmThroughput: warm }: ThroughputRequests,
  index?: string,
): T {
  const { onDemand: _, ...rest } = before;
  let changed = before;
  if (maxima !== undefined) {
    for (const [name, value] of named(maxima)) {
      if (before.billingMode === "PROVISIONED")
        throw validationError(controlMessages.maximumUnderProvisionedLater(name, index));
      if (value < 1 && value !== NO_MAXIMUM) throw validationError(controlMessages.maximumOutOfRange(name, index));
    }
    const asked = changedMaxima(undefined, maxima);
    assertGranted({ ...(asked && { onDemand: asked }) }, index);
    const onDemand = changedMaxima(before.onDemand, maxima);
    changed = (onDemand === undefined ? rest : { ...rest, onDemand }) as T;
  }
  if (warm === undefined) return changed;
  const current = warmth(before);
  const { ReadUnitsPerSecond: readUnits = current.readUnits, WriteUnitsPerSecond: writeUnits = current.writeUnits } =
    warm;
  if (readUnits < current.readUnits) throw validationError(controlMessages.warmDecreased("Read", index));
  if (writeUnits < current.writeUnits) throw validationError(controlMessages.warmDecreased("Write", index));
  const { ReadUnitsPerSecond: asked = 0, WriteUnitsPerSecond: askedToWrite = 0 } = warm;
  assertGranted({ warm: { readUnits: asked, writeUnits: askedToWrite } }, index);
  return { ...changed, warm: { readUnits, writeUnits } };
}

/** Under other figures, or another mode: what was warm stays so, and maxima are those of a table on demand. */
export function rebilled<T extends Throughput & Billed>(before: T, after: T): T {
  const { onDemand, ...rest } = after;
  const kept = after.billingMode === "PAY_PER_REQUEST" && onDemand !== undefined ? { ...rest, onDemand } : rest;
  const was = warmth(before);
  const now = naturalWarmth(after);
  if (was.readUnits <= now.readUnits && was.writeUnits <= now.writeUnits) return kept as T;
  return { ...(kept as T), warm: was };
}

/** The same of a global index, which is billed as its table is. */
export function indexUnder<I extends IndexThroughput>(
  index: I,
  billingMode: Billed["billingMode"],
  change: (index: I & Billed) => I & Billed,
): I {
  const { billingMode: _, ...changed } = change({ ...index, billingMode });
  return changed as unknown as I;
}

/** None where neither is bounded. */
function changedMaxima(before: OnDemandMaxima | undefined, request: OnDemandRequest): OnDemandMaxima | undefined {
  const readUnitsMax = request.MaxReadRequestUnits ?? before?.readUnitsMax;
  const writeUnitsMax = request.MaxWriteRequestUnits ?? before?.writeUnitsMax;
  if ((readUnitsMax ?? NO_MAXIMUM) === NO_MAXIMUM && (writeUnitsMax ?? NO_MAXIMUM) === NO_MAXIMUM) return undefined;
  return {
    ...(readUnitsMax !== undefined && { readUnitsMax }),
    ...(writeUnitsMax !== undefined && { writeUnitsMax }),
  };
}

const named = (request: OnDemandRequest): [keyof OnDemandRequest, number][] =>
  (["MaxReadRequestUnits", "MaxWriteRequestUnits"] as const).flatMap((name) => {
    const value = request[name];
    return value === undefined ? [] : [[name, value]];
  });

function naturalWarmth({ billingMode, readUnitsPerSecond, writeUnitsPerSecond }: Billed): WarmThroughput {
  return billingMode === "PAY_PER_REQUEST"
    ? INITIAL
    : { readUnits: readUnitsPerSecond, writeUnits: writeUnitsPerSecond };
}

/** It never falls: the most of what it was told, what it has and what it had. */
export function warmth(of: Throughput & Billed): WarmThroughput {
  const now = naturalWarmth(of);
  return {
    readUnits: Math.max(now.readUnits, of.warm?.readUnits ?? 0),
    writeUnits: Math.max(now.writeUnits, of.warm?.writeUnits ?? 0),
  };
}

/** The parts of a description that say so. */
export function describedThroughput(of: Throughput & Billed, isReady: boolean): Record<string, unknown> {
  const { readUnits, writeUnits } = warmth(of);
  const { onDemand } = of;
  return {
    ...(onDemand && {
      OnDemandThroughput: {
        ...toldMaximum("MaxReadRequestUnits", onDemand.readUnitsMax),
        ...toldMaximum("MaxWriteRequestUnits", onDemand.writeUnitsMax),
      },
    }),
    WarmThroughput: {
      ReadUnitsPerSecond: readUnits,
      WriteUnitsPerSecond: writeUnits,
      Status: isReady ? "ACTIVE" : "UPDATING",
    },
  };
}

/** None where the bound was taken away. */
const toldMaximum = (name: keyof OnDemandRequest, units: number | undefined): OnDemandRequest =>
  units === undefined || units === NO_MAXIMUM ? {} : { [name]: units };
