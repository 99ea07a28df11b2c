import { tableArn } from "../tables.js";

const LABEL = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}$/;
const ARN = /^(arn:[^/]*:table\/([a-zA-Z0-9_.-]{3,255}))\/stream\/(.+)$/;

export const streamArn = (tableName: string, label: string): string => `${tableArn(tableName)}/stream/${label}`;

/** Undefined for what is no stream's name here. */
export function parseStreamArn(arn: string): { tableName: string; label: string } | undefined {
  const [, table, tableName, label] = ARN.exec(arn) ?? [];
  if (tableName === undefined || label === undefined || !LABEL.test(label) || table !== tableArn(tableName))
    return undefined;
  return { tableName, label };
}

/** @param createdAtMs the stream's */
export function shardId(createdAtMs: number, partition: number): string {
  return `shardId-${String(Math.floor(createdAtMs)).padStart(20, "0")}-${partition.toString(16).padStart(8, "0")}`;
}
