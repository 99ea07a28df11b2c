import { hex, unhex } from "./hex.js";
import type { SavedHistory } from "./history.js";

const VERSION = 1;

/** A line of JSON and a line with its checksum. */
export function encodeHistory({ read, kept, open }: SavedHistory, checksum: (text: string) => string): string {
  const line = JSON.stringify({
    version: VERSION,
    read,
    kept,
    open: open.map(({ replica, key, since: { after, by } }) => ({ replica, key: hex(key), since: { after, by } })),
  });
  return `${line}\n${checksum(line)}\n`;
}

/** Undefined for what is damaged or of another version: findings are then dated from this process on. */
export function decodeHistory(text: string, checksum: (text: string) => string): SavedHistory | undefined {
  const [line = "", sum] = text.split("\n");
  if (sum !== checksum(line)) return undefined;
  const { version, read, kept, open } = JSON.parse(line) as Omit<SavedHistory, "open"> & {
    version: number;
    open: { replica: string; key: string; since: { after?: number; by: number } }[];
  };
  if (version !== VERSION) return undefined;
  return {
    read,
    kept,
    open: open.map(({ replica, key, since: { after, by } }) => ({ replica, key: unhex(key), since: { after, by } })),
  };
}
