/** What can be said of a table beside its keys, and changed while it is used: figures and words in the metadata, and nothing else. */
import { ApiError, validationError } from "../errors.js";
import { messages } from "../messages.js";
import type { TableRecord } from "../model.js";
import { controlMessages } from "./messages.js";

export type BillingMode = "PROVISIONED" | "PAY_PER_REQUEST";
export type TableClass = "STANDARD" | "STANDARD_INFREQUENT_ACCESS";

export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

/** Absent: as the service has it for a new table. */
export interface TableSettings {
  readonly deletionProtection?: boolean;
  readonly tableClass?: { readonly name: TableClass; readonly sinceMs?: number };
  /** When it was last put under PAY_PER_REQUEST. */
  readonly onDemandSinceMs?: number;
  readonly throughputIncreasedAtMs?: number;
  readonly throughputDecreasedAtMs?: number;
  readonly tags?: readonly Tag[];
  /** Turned off: the archive is there all the same, and nobody is let at it. */
  readonly pointInTimeRecovery?: boolean;
}

export const TAGS_MAX = 50;

/** One wish or several; what is absent stays as it is. */
export interface TableChange {
  readonly billingMode?: BillingMode;
  readonly throughput?: { readonly readUnits: number; readonly writeUnits: number };
  readonly deletionProtection?: boolean;
  readonly tableClass?: TableClass;
  readonly tag?: readonly Tag[];
  readonly untag?: readonly string[];
  readonly pointInTimeRecovery?: boolean;
}

/** @throws ApiError ValidationException or LimitExceededException where the change does not fit the table */
export function changedTable<T extends TableRecord>(table: T, change: TableChange, nowMs: number): T {
  const { deletionProtection, tableClass, pointInTimeRecovery } = change;
  const tags = taggedWith(table.settings?.tags ?? [], change);
  const settings: TableSettings = {
    ...table.settings,
    ...(deletionProtection !== undefined && { deletionProtection }),
    ...(tableClass !== undefined && { tableClass: { name: tableClass, sinceMs: nowMs } }),
    ...(pointInTimeRecovery !== undefined && { pointInTimeRecovery }),
    ...(tags !== undefined && { tags }),
  };
  return billed({ ...table, settings }, change, nowMs);
}

function billed<T extends TableRecord>(table: T, { billingMode, throughput }: TableChange, nowMs: number): T {
  const mode = billingMode ?? table.billingMode;
  const settings = table.settings ?? {};
  if (mode === "PAY_PER_REQUEST") {
    if (throughput !== undefined) throw validationError(messages.throughputUnderOnDemand);
    if (table.billingMode === mode) return table;
    return {
      ...table,
      billingMode: mode,
      readUnitsPerSecond: 0,
      writeUnitsPerSecond: 0,
      settings: { ...settings, onDemandSinceMs: nowMs, throughputDecreasedAtMs: nowMs },
    };
  }
  if (throughput === undefined) return table;
  const { readUnits, writeUnits } = throughput;
  const { readUnitsPerSecond, writeUnitsPerSecond } = table;
  if (table.billingMode === mode && readUnits === readUnitsPerSecond && writeUnits === writeUnitsPerSecond) {
    throw validationError(
      controlMessages.throughputUnchanged(readUnitsPerSecond, readUnits, writeUnitsPerSecond, writeUnits),
    );
  }
  const more = readUnits > readUnitsPerSecond || writeUnits > writeUnitsPerSecond;
  const less = readUnits < readUnitsPerSecond || writeUnits < writeUnitsPerSecond;
  return {
    ...table,
    billingMode: mode,
    readUnitsPerSecond: readUnits,
    writeUnitsPerSecond: writeUnits,
    settings: {
      ...settings,
      // A table that was never on demand says nothing of it; one that was goes on to say since when.
      ...(table.billingMode === "PAY_PER_REQUEST" && {
        onDemandSinceMs: settings.onDemandSinceMs ?? table.createdAtMs,
      }),
      ...(more && { throughputIncreasedAtMs: nowMs }),
      ...(less && { throughputDecreasedAtMs: nowMs }),
    },
  };
}

function taggedWith(before: readonly Tag[], { tag, untag }: TableChange): readonly Tag[] | undefined {
  if (tag === undefined && untag === undefined) return undefined;
  const tags = new Map(before.map((one) => [one.Key, one]));
  for (const key of untag ?? []) tags.delete(key);
  for (const one of tag ?? []) tags.set(one.Key, one);
  if (tags.size > TAGS_MAX) throw new ApiError("LimitExceededException", controlMessages.tooManyTags);
  return [...tags.values()];
}

/** @throws ValidationException */
export function assertDeletable({ settings }: TableRecord): void {
  if (settings?.deletionProtection === true) throw validationError(controlMessages.protected);
}

/** The part of a table's description that says so. */
export function describedSettings(table: TableRecord): Record<string, unknown> {
  const { settings = {}, billingMode, createdAtMs } = table;
  const onDemandSinceMs = settings.onDemandSinceMs ?? (billingMode === "PAY_PER_REQUEST" ? createdAtMs : undefined);
  const { throughputIncreasedAtMs: increasedAtMs, throughputDecreasedAtMs: decreasedAtMs, tableClass } = settings;
  return {
    ProvisionedThroughput: {
      ...(increasedAtMs !== undefined && { LastIncreaseDateTime: increasedAtMs / 1000 }),
      ...(decreasedAtMs !== undefined && { LastDecreaseDateTime: decreasedAtMs / 1000 }),
      NumberOfDecreasesToday: 0,
      ReadCapacityUnits: table.readUnitsPerSecond,
      WriteCapacityUnits: table.writeUnitsPerSecond,
    },
    ...(onDemandSinceMs !== undefined && {
      BillingModeSummary: { BillingMode: billingMode, LastUpdateToPayPerRequestDateTime: onDemandSinceMs / 1000 },
    }),
    ...(tableClass !== undefined && {
      TableClassSummary: {
        TableClass: tableClass.name,
        ...(tableClass.sinceMs !== undefined && { LastUpdateDateTime: tableClass.sinceMs / 1000 }),
      },
    }),
    DeletionProtectionEnabled: settings.deletionProtection ?? false,
  };
}
