import { hex, unhex } from "./hex.js";
import type { SavedHistory } from "./history.js";

const VERSION = 1;

interface Saved {
  readonly replica: string;
  /** Hexadecimal: the key that differs, or where what cannot be read begins. */
  readonly key: string;
  /** Of what cannot be read alone: where it ends; null: at the end of everything. */
  readonly to?: string | null;
  readonly since: { after?: number; by: number };
}

/** A line of JSON and a line with its checksum. */
export function encodeHistory(
  { read, kept, open, openRanges }: SavedHistory,
  checksum: (text: string) => string,
): string {
  const keys = open.map(({ replica, key, since: { after, by } }) => ({ replica, key: hex(key), since: { after, by } }));
  const ranges = openRanges.map(({ replica, range: { from, to }, since: { after, by } }) => ({
    replica,
    key: hex(from),
    to: to === undefined ? null : hex(to),
    since: { after, by },
  }));
  const line = JSON.stringify({ version: VERSION, read, kept, open: [...keys, ...ranges] });
  return `${line}\n${checksum(line)}\n`;
}

/** Undefined for what is damaged or of another version: findings are then dated from this process on. */
export function decodeHistory(text: string, checksum: (text: string) => string): SavedHistory | undefined {
  const [line = "", sum] = text.split("\n");
  if (sum !== checksum(line)) return undefined;
  const { version, read, kept, open } = JSON.parse(line) as Pick<SavedHistory, "read" | "kept"> & {
    version: number;
    open: Saved[];
  };
  if (version !== VERSION) return undefined;
  const since = ({ since: { after, by } }: Saved) => ({ after, by });
  return {
    read,
    kept,
    open: open
      .filter(({ to }) => to === undefined)
      .map((one) => ({ replica: one.replica, key: unhex(one.key), since: since(one) })),
    openRanges: open.flatMap((one) => {
      if (one.to === undefined) return [];
      const range = { from: unhex(one.key), to: one.to === null ? undefined : unhex(one.to) };
      return [{ replica: one.replica, range, since: since(one) }];
    }),
  };
}
