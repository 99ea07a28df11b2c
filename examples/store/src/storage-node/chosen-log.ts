import type { Group } from "@evenkeel/paxos";
import { type Digest, type Entry, type KeyRange, keySequence, sequenceKey } from "@evenkeel/scrubber";
import { StoreError } from "./errors.js";
import { inTurns, type Pace } from "./gentle-pace.js";

/** Which slots of a partition's log are compared: those that every node still has, and has applied. */
export interface LogWindow {
  readonly first: number;
  readonly through: number;
}

/** Of an entry, what must be the same on every node: not the ballot under which this one happened to accept it. */
const KINDS = { command: 1, noop: 2, config: 3, once: 4 } as const;

/** All slots of a window. */
export const EVERYTHING: KeyRange = { from: new Uint8Array(0), to: undefined };

export function sameDigest(a: Digest, b: Digest): boolean {
  return a.version === b.version && a.keys === b.keys && a.bytes === b.bytes && Buffer.compare(a.hash, b.hash) === 0;
}

/** What the archive has of an entry that `chosenEntries` gave: a command's bytes, and of anything else that it was there. */
export function archivedForm(value: Uint8Array): Uint8Array {
  return value.subarray(value[0] === KINDS.command ? 1 : value.length);
}

/** Throws ERR_STORE_BEHIND where this node has not applied the window's last slot, or has let go of its first one. */
export function assertHeld(group: Pick<Group, "status">, { first, through }: LogWindow): void {
  const { appliedThrough, trimmedThrough } = group.status();
  if (appliedThrough >= through && trimmedThrough < first) return;
  throw new StoreError(
    "ERR_STORE_BEHIND",
    `slots ${first} to ${through} were asked for; this log has ${trimmedThrough + 1} to ${appliedThrough}`,
  );
}

/**
 * The chosen entries of a stretch of slots as this node's log holds them, each under its slot, in a form that is the same on every node: kind (u8), the command's bytes.
 * Rejects as `assertHeld` throws.
 */
export async function* chosenEntries(
  group: Pick<Group, "entries" | "status">,
  { first, through }: LogWindow,
  range: KeyRange,
  pace: Pace = inTurns(),
): AsyncGenerator<Entry, void, undefined> {
  assertHeld(group, { first, through });
  const from = Math.max(first, keySequence(range.from));
  const last = range.to === undefined ? through : Math.min(through, keySequence(range.to) - 1);
  if (from > last) return;
  try {
    for await (const { slot, kind, command } of group.entries({ from, through: last })) {
      const value = new Uint8Array(1 + command.length);
      value[0] = KINDS[kind];
      value.set(command, 1);
      yield { key: sequenceKey(slot), value };
      if (pace.isOver(value.length)) await pace.pause();
    }
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ERR_PAXOS_TRIMMED") throw error;
    throw new StoreError("ERR_STORE_BEHIND", "what was asked for was let go of meanwhile", { cause: error });
  }
}
