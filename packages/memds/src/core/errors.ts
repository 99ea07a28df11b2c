export type MemdsErrorCode =
  /** An argument or option that cannot be used; thrown at once. */
  | "ERR_MEMDS_ARGUMENT"
  /** The server or client was closed. */
  | "ERR_MEMDS_CLOSED"
  /** The server holds no snapshot yet. */
  | "ERR_MEMDS_NOT_READY"
  /** An update does not follow the version held: something between was lost. Load a snapshot. */
  | "ERR_MEMDS_GAP"
  /** Older than what is held or was seen; versions do not go back. */
  | "ERR_MEMDS_STALE"
  /** The same version with other content: two feeds disagree. Load a snapshot from the one that is right. */
  | "ERR_MEMDS_DIVERGED"
  /** A change of ranges that would leave keys without an owner or give them two, or that was thought for other ranges than there are. */
  | "ERR_MEMDS_RANGE"
  /** More entries than `entriesMax` or bytes than `bytesMax`; what was held is still served. */
  | "ERR_MEMDS_FULL"
  /** Damaged or disordered bytes, named by where they are. */
  | "ERR_MEMDS_CORRUPT"
  /** A format version that this code does not know. */
  | "ERR_MEMDS_UNSUPPORTED"
  /** A frame or message that breaks the protocol. */
  | "ERR_MEMDS_PROTOCOL"
  /** The answer does not fit in one frame; ask for less at a time. */
  | "ERR_MEMDS_TOO_LARGE"
  /** The shared secret is missing, or not the same on both sides. */
  | "ERR_MEMDS_UNAUTHORIZED"
  /** Too many requests wait for this server already. */
  | "ERR_MEMDS_OVERLOADED"
  /** No answer in time. */
  | "ERR_MEMDS_TIMEOUT"
  /** No server could answer; `cause` holds what each one said. */
  | "ERR_MEMDS_UNAVAILABLE";

/** Everything that this package throws or rejects with, apart from the reason of a caller's own `AbortSignal`. */
export class MemdsError extends Error {
  readonly code: MemdsErrorCode;

  constructor(code: MemdsErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MemdsError";
    this.code = code;
  }
}

/** An argument that cannot be used: its name, what it must be, and what was given. */
export function bad(name: string, wanted: string, seen: unknown): MemdsError {
  return new MemdsError("ERR_MEMDS_ARGUMENT", `${name} must be ${wanted}, not ${shown(seen)}`);
}

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkBytes(name: string, given: unknown): void {
  if (!(given instanceof Uint8Array)) throw bad(name, "a Uint8Array", given);
}

/** What was given, in a few characters. Never throws, whatever it is: what has no text of its own, or is long, is given by strangers. */
export function shown(seen: unknown): string {
  if (typeof seen === "string") return JSON.stringify(seen.length > 64 ? `${seen.slice(0, 64)}…` : seen);
  if (seen instanceof Uint8Array) {
    const hex = Array.from(seen.subarray(0, 24), (byte) => byte.toString(16).padStart(2, "0")).join("");
    return seen.length > 24 ? `0x${hex}… (${seen.length} bytes)` : `0x${hex}`;
  }
  return Object(seen) === seen ? Object.prototype.toString.call(seen) : String(seen);
}
