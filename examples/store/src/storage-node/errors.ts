export type StoreErrorCode =
  /** This replica does not lead the partition; `leader` may say who does. Nothing was written. */
  | "ERR_STORE_NOT_LEADER"
  /** The node has no such partition (yet, or any more). Nothing was written. */
  | "ERR_STORE_UNKNOWN_PARTITION"
  /** The partition was split, or is about to be: others have its items, or will in a moment; or its table is being deleted. Nothing was written. */
  | "ERR_STORE_SPLIT"
  /** Leadership or the connection was lost on the way: the write may or may not happen. */
  | "ERR_STORE_UNKNOWN_OUTCOME"
  /** A bound was reached; nothing was written. */
  | "ERR_STORE_OVERLOADED"
  /** A stored value or page does not match its checksum. */
  | "ERR_STORE_CORRUPT"
  /** The B-tree's file could not be written. */
  | "ERR_STORE_TREE"
  /** The peer cannot be reached or did not answer in time. */
  | "ERR_STORE_UNREACHABLE"
  /** The replica has not reached the asked-for position yet. */
  | "ERR_STORE_BEHIND"
  /** What was asked for was let go of: neither log nor archive reach back so far. */
  | "ERR_STORE_TRIMMED"
  /** Bytes of a newer format, or not of this store at all. */
  | "ERR_STORE_FORMAT"
  /** The address is taken, or not to be had. */
  | "ERR_STORE_LISTEN"
  /** Other nodes have taken this one's place while it was away: under its name it is of no use any more. */
  | "ERR_STORE_REPLACED"
  /** Nothing can be done until a person has done what the message says. */
  | "ERR_STORE_OUT"
  | "ERR_STORE_CLOSED"
  | "ERR_STORE_CONFLICT"
  | "ERR_STORE_ARGUMENT";

/** Every failure inside the store that is not an answer of the DynamoDB protocol. Travels between processes with its code. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  /** With ERR_STORE_NOT_LEADER: the node that leads as far as this one knows. */
  readonly leader: string | undefined;

  constructor(code: StoreErrorCode, message: string, options: { cause?: unknown; leader?: string | undefined } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "StoreError";
    this.code = code;
    this.leader = options.leader;
  }
}

/** Of an error of whatever origin, if it has one. */
export const codeOf = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;

const ARCHIVE_DAMAGE: ReadonlySet<unknown> = new Set([
  "ERR_ARCHIVE_CORRUPT",
  "ERR_ARCHIVE_HOLE",
  "ERR_ARCHIVE_UNSUPPORTED",
  "ERR_STORE_CORRUPT",
  "ERR_STORE_FORMAT",
]);

/** What is archived is damaged, or is not what this program reads. */
export const isArchiveDamage = (error: unknown): boolean => ARCHIVE_DAMAGE.has(codeOf(error));
