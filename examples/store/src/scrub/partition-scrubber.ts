import { type PassReport, type RepairResult, Scrubber } from "@evenkeel/scrubber";
import type { ObjectStore } from "@evenkeel/wal/archive";
import { groupId } from "../metadata/records.js";
import { LeaderCalls } from "../router/leader-calls.js";
import type { Caller } from "../rpc/protocol.js";
import { decodeStored } from "../storage-node/stored-value.js";
import { ArchiveReference } from "./archive-reference.js";
import { replicaSource } from "./replica-source.js";

const DEADLINE_MS = 10_000;

export interface PartitionScrubberOptions {
  readonly partition: number;
  readonly members: readonly string[];
  readonly callerTo: (nodeId: string) => Caller;
  readonly archive: ObjectStore;
  /** Where the reference's files lie meanwhile. */
  readonly scratchDir?: string;
  /** Waits until this many more bytes of each source may be read. */
  readonly take?: (bytes: number) => Promise<void> | void;
}

/**
 * Compares a partition's three replicas with one another and with a fourth, built from the archive through the same commands but with another
 * storage behind it. All of them at exactly one slot: a mark goes through the group's log, every replica takes a snapshot where it meets it,
 * and the archive is brought up to it.
 */
export class PartitionScrubber {
  readonly #scrubber: Scrubber;
  readonly #calls: LeaderCalls;
  readonly #options: PartitionScrubberOptions;
  readonly #reference: ArchiveReference;

  private constructor(options: PartitionScrubberOptions, reference: ArchiveReference) {
    this.#reference = reference;
    const { partition, members, callerTo, take } = options;
    this.#options = options;
    this.#calls = new LeaderCalls({ callerTo, deadlineMs: DEADLINE_MS });
    const position = async (): Promise<number> => {
      const { slot } = await this.#calls.call(partition, members, "mark", { partition });
      await this.#calls.call(partition, members, "archive", { partition, throughSlot: slot });
      await reference.advance(slot);
      return slot;
    };
    this.#scrubber = new Scrubber({
      replicas: members.map((node) => replicaSource(node, () => callerTo(node), partition)),
      reference,
      position,
      ...(take === undefined ? {} : { take }),
    });
  }

  static async open(options: PartitionScrubberOptions): Promise<PartitionScrubber> {
    const { archive, partition, scratchDir } = options;
    const reference = await ArchiveReference.open({
      archive,
      stream: groupId(partition),
      ...(scratchDir === undefined ? {} : { scratchDir }),
    });
    return new PartitionScrubber(options, reference);
  }

  async pass(): Promise<PassReport> {
    return await this.#scrubber.pass();
  }

  /** Sets right what a pass found, through the group's own log, so that it is ordered with the writes; looks again afterwards. */
  async repair({ divergences }: PassReport): Promise<readonly RepairResult[]> {
    const { partition, members } = this.#options;
    return await this.#scrubber.repair(divergences, async ({ key, value, at }) => {
      const stored = value === undefined ? undefined : decodeStored(key, value);
      await this.#calls.call(partition, members, "repair", {
        partition,
        key,
        asOfSlot: at,
        ...(stored === undefined ? {} : { expected: { json: stored.json, itemSizeBytes: stored.itemSizeBytes } }),
      });
    });
  }

  async close(): Promise<void> {
    await this.#scrubber.close();
    await this.#reference.close();
  }
}
