import type { Configuration } from "../core/configuration.js";
import { checkInteger, type PaxosError } from "../core/errors.js";
import type { Entry } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import type { Applier } from "./applier.js";
import { appliedEntries } from "./entries.js";
import { asFailure } from "./failure.js";
import type { Writer } from "./writer.js";

export interface OwnLogParts {
  readonly groupId: string;
  readonly storage: GroupStorage;
  readonly writer: Writer;
  readonly applier: Pick<Applier<unknown>, "appliedThrough">;
  readonly founders: Configuration;
  /** Throws when the group has stopped here. */
  readonly refuseIfStopped: () => void;
  readonly fail: (failure: PaxosError) => void;
  readonly trimmed: (throughSlot: number) => void;
}

/** What its owner may do with a group's log: read it, and let go of it. */
export class OwnLog {
  readonly #parts: OwnLogParts;

  constructor(parts: OwnLogParts) {
    this.#parts = parts;
  }

  /** `log`: where they are read from, piece by piece. */
  entries(
    range: { readonly from?: number; readonly through?: number } = {},
    log: Pick<GroupStorage, "read"> = this.#parts.storage,
  ): AsyncIterable<Entry> {
    const { appliedThrough } = this.#parts.applier;
    const { trimmedThrough } = this.#parts.storage;
    return appliedEntries(log, { trimmedThrough, appliedThrough }, range);
  }

  async trim(throughSlot: number): Promise<void> {
    const { groupId, storage, writer, applier, founders, refuseIfStopped, fail, trimmed } = this.#parts;
    checkInteger("throughSlot", throughSlot, 0, applier.appliedThrough);
    refuseIfStopped();
    if (throughSlot <= storage.trimmedThrough) return;
    try {
      await writer.during(storage.trim(throughSlot, founders));
    } catch (cause) {
      const failure = asFailure("ERR_PAXOS_STORAGE", groupId, "the log could not be trimmed", cause);
      fail(failure);
      throw failure;
    }
    trimmed(throughSlot);
  }
}
