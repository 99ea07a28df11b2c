/** What can be said of a table beside its keys, and changed while it is used: figures and words in the metadata, and nothing else. */
import { validationError } from "../errors.js";
import type { IndexUpdate } from "../index-updates.js";
import { messages } from "../messages.js";
import type { GlobalIndex, TableRecord } from "../model.js";
import type { StreamViewType } from "../streams/model.js";
import { changedEncryption, describedEncryption, type Encryption, type EncryptionRequest } from "./encryption.js";
import { controlMessages } from "./messages.js";
import { assertGranted, assertMayFall } from "./quotas.js";
import { changedThroughput, indexUnder, rebilled, type ThroughputRequests } from "./throughput.js";
import { describedUnits, type ThroughputHistory, unitsChanged } from "./throughput-history.js";

export type BillingMode = "PROVISIONED" | "PAY_PER_REQUEST";
export type TableClass = "STANDARD" | "STANDARD_INFREQUENT_ACCESS";
const TABLE_CLASSES: readonly string[] = ["STANDARD", "STANDARD_INFREQUENT_ACCESS"];

/** @throws ValidationException for a word that is none */
export function checkTableClass(name: string | undefined): void {
  if (name !== undefined && !TABLE_CLASSES.includes(name))
    throw validationError(controlMessages.tableClassInvalid(TABLE_CLASSES));
}

export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

/** Absent: as the service has it for a new table. */
export interface TableSettings extends ThroughputHistory {
  readonly deletionProtection?: boolean;
  readonly tableClass?: { readonly name: TableClass; readonly sinceMs?: number };
  /** When it was last put under PAY_PER_REQUEST. */
  readonly onDemandSinceMs?: number;
  readonly tags?: readonly Tag[];
  /** Turned off: the archive is there all the same, and nobody is let at it. */
  readonly pointInTimeRecovery?: boolean;
  /** How far back it may be taken; absent: as far as the archive reaches. */
  readonly recoveryDays?: number;
  readonly encryption?: Encryption;
}

export const TAGS_MAX = 50;
const NO_UNITS = { readUnitsPerSecond: 0, writeUnitsPerSecond: 0 } as const;

/** One wish or several; what is absent stays as it is. */
export interface TableChange extends ThroughputRequests {
  readonly billingMode?: BillingMode;
  readonly throughput?: { readonly readUnits: number; readonly writeUnits: number };
  readonly deletionProtection?: boolean;
  readonly tableClass?: TableClass;
  readonly tag?: readonly Tag[];
  readonly untag?: readonly string[];
  readonly pointInTimeRecovery?: boolean;
  readonly recoveryDays?: number;
  readonly encryption?: EncryptionRequest;
  /** Global indexes that the same request brings figures for. */
  readonly indexesWithThroughput?: readonly string[];
}

/** All that one UpdateTable may ask for. It is one decision: either all of it is so, or the table is as it was. */
export interface TableUpdate extends TableChange {
  readonly indexUpdates?: readonly IndexUpdate[];
  /** A stream of this view type is to begin, or (null) the one that there is to end. */
  readonly streamViewType?: StreamViewType | null;
}

/** @throws ApiError ValidationException or LimitExceededException where the change does not fit the table */
export function changedTable<T extends TableRecord>(table: T, change: TableChange, nowMs: number): T {
  const { deletionProtection, tableClass, pointInTimeRecovery, recoveryDays } = change;
  const tags = taggedWith(table.settings?.tags ?? [], change);
  const { encryption: before, ...others } = table.settings ?? {};
  const encryption = change.encryption === undefined ? before : changedEncryption(before, change.encryption);
  const settings: TableSettings = {
    ...others,
    ...(encryption && { encryption }),
    ...(deletionProtection !== undefined && { deletionProtection }),
    // A table that was never told its class is of this one.
    ...(tableClass !== undefined &&
      !(tableClass === "STANDARD" && others.tableClass === undefined) && {
        tableClass: { name: tableClass, sinceMs: nowMs },
      }),
    ...(pointInTimeRecovery !== undefined && { pointInTimeRecovery }),
    ...(recoveryDays !== undefined && { recoveryDays }),
    ...(tags !== undefined && { tags }),
  };
  const after = billed({ ...table, settings }, change, nowMs);
  return changedThroughput(rebilled(table, after), change);
}

function billed<T extends TableRecord>(table: T, change: TableChange, nowMs: number): T {
  const { billingMode, throughput, indexesWithThroughput } = change;
  const mode = billingMode ?? table.billingMode;
  const settings = table.settings ?? {};
  if (mode === "PAY_PER_REQUEST") {
    if (throughput !== undefined) throw validationError(messages.throughputUnderOnDemand);
    if (table.billingMode === mode) return table;
    return {
      ...table,
      ...withIndexes(
        table,
        (index) => ({ ...index, ...NO_UNITS, ...unitsChanged(index, index, NO_UNITS, nowMs) }),
        mode,
      ),
      billingMode: mode,
      ...NO_UNITS,
      // That its own units are gone is no decrease, other than of its indexes.
      settings: { ...settings, onDemandSinceMs: nowMs },
    };
  }
  if (throughput === undefined) return table;
  if (table.billingMode === "PAY_PER_REQUEST") {
    const without = table.globalIndexes?.find(({ name }) => indexesWithThroughput?.includes(name) !== true);
    if (without !== undefined) throw validationError(controlMessages.throughputForIndex(without.name));
  }
  const { readUnits, writeUnits } = throughput;
  const { readUnitsPerSecond, writeUnitsPerSecond } = table;
  if (table.billingMode === mode && readUnits === readUnitsPerSecond && writeUnits === writeUnitsPerSecond) {
    throw validationError(
      controlMessages.throughputUnchanged(readUnitsPerSecond, readUnits, writeUnitsPerSecond, writeUnits),
    );
  }
  const units = { readUnitsPerSecond: readUnits, writeUnitsPerSecond: writeUnits };
  assertGranted(units);
  assertMayFall(settings, table, units, nowMs);
  return {
    ...table,
    ...withIndexes(table, (index) => index, mode),
    billingMode: mode,
    ...units,
    settings: {
      ...settings,
      // A table that was never on demand says nothing of it; one that was goes on to say since when.
      ...(table.billingMode === "PAY_PER_REQUEST" && {
        onDemandSinceMs: settings.onDemandSinceMs ?? table.createdAtMs,
      }),
      ...unitsChanged(settings, table, units, nowMs),
    },
  };
}

/** Global indexes are billed as their table is. */
function withIndexes<T extends TableRecord>(
  { globalIndexes, billingMode: before }: T,
  next: (index: GlobalIndex) => GlobalIndex,
  billingMode: BillingMode,
): Pick<TableRecord, "globalIndexes"> {
  if (globalIndexes === undefined || before === billingMode) return {};
  return {
    globalIndexes: globalIndexes.map((index) =>
      indexUnder(index, before, (was) => rebilled(was, { ...next(index), billingMode })),
    ),
  };
}

function taggedWith(before: readonly Tag[], { tag, untag }: TableChange): readonly Tag[] | undefined {
  if (tag === undefined && untag === undefined) return undefined;
  const tags = new Map(before.map((one) => [one.Key, one]));
  for (const key of untag ?? []) tags.delete(key);
  for (const one of tag ?? []) tags.set(one.Key, one);
  if (tags.size > TAGS_MAX) throw validationError(controlMessages.tooManyTags);
  return [...tags.values()];
}

/** @throws ValidationException */
export function assertDeletable({ settings }: TableRecord): void {
  if (settings?.deletionProtection === true) throw validationError(controlMessages.protected);
}

/**
 * The part of a table's description that says so.
 * @param nowMs absent: of no day, and so without what there was on it
 */
export function describedSettings(table: TableRecord, nowMs?: number): Record<string, unknown> {
  const { settings = {}, billingMode, createdAtMs } = table;
  const onDemandSinceMs = settings.onDemandSinceMs ?? (billingMode === "PAY_PER_REQUEST" ? createdAtMs : undefined);
  const { tableClass } = settings;
  const { readUnitsPerSecond, writeUnitsPerSecond } = table;
  return {
    ProvisionedThroughput: describedUnits({ ...settings, readUnitsPerSecond, writeUnitsPerSecond }, nowMs),
    ...(onDemandSinceMs !== undefined && {
      BillingModeSummary: { BillingMode: billingMode, LastUpdateToPayPerRequestDateTime: onDemandSinceMs / 1000 },
    }),
    ...(tableClass !== undefined && {
      TableClassSummary: {
        TableClass: tableClass.name,
        ...(tableClass.sinceMs !== undefined && { LastUpdateDateTime: tableClass.sinceMs / 1000 }),
      },
    }),
    ...describedEncryption(settings.encryption),
    DeletionProtectionEnabled: settings.deletionProtection ?? false,
  };
}
