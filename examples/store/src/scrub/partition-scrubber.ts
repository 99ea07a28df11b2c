import { type PassReport, type Reference, type RepairResult, referenceFrom, Scrubber } from "@evenkeel/scrubber";
import { type ObjectStore, restore } from "@evenkeel/wal/archive";
import { groupId } from "../metadata/records.js";
import { LeaderCalls } from "../router/leader-calls.js";
import type { Caller } from "../rpc/protocol.js";
import { decodeCommand } from "../storage-node/command.js";
import { decodeStored, encodeStored } from "../storage-node/stored-value.js";
import { replicaSource } from "./replica-source.js";

/** A partition that holds more cannot be compared: the pass fails with ERR_SCRUBBER_REFERENCE_FULL and counts as incomplete. */
const REFERENCE_BYTES_MAX = 256 * 1024 * 1024;
const DEADLINE_MS = 10_000;

export interface PartitionScrubberOptions {
  readonly partition: number;
  readonly members: readonly string[];
  readonly callerTo: (nodeId: string) => Caller;
  readonly archive: ObjectStore;
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

  private constructor(options: PartitionScrubberOptions, reference: Reference) {
    const { partition, members, callerTo, archive, take } = options;
    this.#options = options;
    this.#calls = new LeaderCalls({ callerTo, deadlineMs: DEADLINE_MS });
    const position = async (): Promise<number> => {
      const { slot } = await this.#calls.call(partition, members, "mark", { partition });
      await this.#calls.call(partition, members, "archive", { partition, throughSlot: slot });
      const stream = groupId(partition);
      await reference.advance(
        restore({ store: archive, stream, from: reference.position + 1, until: { sequence: slot } }),
      );
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
    const reference = await referenceFrom([], {
      bytesMax: REFERENCE_BYTES_MAX,
      apply(store, { sequence, data }) {
        const command = data.length === 0 ? undefined : decodeCommand(data);
        if (command?.kind !== "writes") return;
        for (const write of command.writes) {
          if (write.op === "put")
            store.put(write.key, encodeStored(write.key, sequence, write.itemSizeBytes, write.bytes));
          else store.delete(write.key);
        }
      },
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
  }
}
