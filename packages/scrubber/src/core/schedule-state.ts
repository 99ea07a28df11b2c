import { hex, unhex } from "./hex.js";

/** What a schedule remembers of one unit from one process to the next. Times are of the wall clock: monotonic ones end with their process. */
export interface SavedUnit {
  readonly name: string;
  readonly verifiedAtMs: number;
  /** How far the pass that was running had come, and when it began. */
  readonly through?: Uint8Array;
  readonly startedAtMs?: number;
}

export interface SavedSchedule {
  readonly units: readonly SavedUnit[];
  readonly roundBytes: number;
}

const VERSION = 1;

/** A line of JSON and a line with its checksum. */
export function encodeSchedule({ units, roundBytes }: SavedSchedule, checksum: (text: string) => string): string {
  const line = JSON.stringify({
    version: VERSION,
    roundBytes,
    units: units.map(({ through, ...unit }) => ({
      ...unit,
      ...(through === undefined ? {} : { through: hex(through) }),
    })),
  });
  return `${line}\n${checksum(line)}\n`;
}

/** Undefined for what is damaged or of another version: the schedule then begins anew, which costs a pass and loses nothing. */
export function decodeSchedule(text: string, checksum: (text: string) => string): SavedSchedule | undefined {
  const [line = "", sum] = text.split("\n");
  if (sum !== checksum(line)) return undefined;
  const { version, units, roundBytes } = JSON.parse(line) as {
    version: number;
    roundBytes: number;
    units: (Omit<SavedUnit, "through"> & { through?: string })[];
  };
  if (version !== VERSION) return undefined;
  return {
    roundBytes,
    units: units.map(({ through, ...unit }) => ({
      ...unit,
      ...(through === undefined ? {} : { through: unhex(through) }),
    })),
  };
}
