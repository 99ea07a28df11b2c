import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  jsonLinesAudit,
  type PassReport,
  type PassRunOptions,
  type RepairResult,
  Scrubber,
  type ScrubberOptions,
} from "@evenkeel/scrubber";
import type { ObjectStore } from "@evenkeel/wal/archive";
import { reachableStatuses } from "../control/reachable-statuses.js";
import { groupId } from "../metadata/records.js";
import { LeaderCalls } from "../router/leader-calls.js";
import type { Caller } from "../rpc/protocol.js";
import { decodeStored } from "../storage-node/stored-value.js";
import { ArchiveReference, type Take } from "./archive-reference.js";
import { replicaSource } from "./replica-source.js";
import { textFile } from "./text-file.js";

const DEADLINE_MS = 10_000;
/** Hashed by all of them for one exchange, in slices with pauses between them. */
const STEP_BYTES = 256 * 1024;
/**
 * What is written to a node's B-tree while it holds a snapshot takes room of its own: a page that is let go of cannot be used anew before nobody sees it any more. Of a store of a million items that is
 * hurriedly written to a pass holds some hundred megabytes a minute.
 */
const MARK_HELD_MS = 30_000;
/** Entries that all nodes together have applied since then: fewer take no room that counts, and where nothing is written marks would be all that is. */
const ENTRIES_SINCE_MIN = 100;

export interface PartitionScrubberOptions {
  readonly partition: number;
  readonly members: readonly string[];
  readonly callerTo: (nodeId: string) => Caller;
  readonly archive: ObjectStore;
  /** Where the reference, and what passes have seen, is kept from one process to the next. Absent: for one life. */
  readonly dir?: string;
  /** Where repairs are written down, as lines of JSON. Absent: nowhere. */
  readonly auditPath?: string;
  /** So long a pass stays at one mark while nodes are written to. Default half a minute. */
  readonly markHeldMs?: number;
}

/**
 * Compares a partition's three replicas with one another and with a fourth, built from the archive through the same commands but with another
 * storage behind it. All of them at exactly one slot: a mark goes through the group's log, every replica takes a snapshot where it meets it,
 * and the archive is brought up to it. A reference that cannot be built takes no part, and the report says why; the replicas are compared all the same.
 */
export class PartitionScrubber {
  readonly #calls: LeaderCalls;
  readonly #options: PartitionScrubberOptions;
  readonly #reference: ArchiveReference;
  #members: readonly string[];
  #scrubber: Scrubber;
  #take: Take | undefined;
  /** Of the mark that the pass is at: when nodes were last asked, and how far they were when it was made. */
  #marked: { lookedAtMs: number; readonly slots: number } | undefined;

  private constructor(options: PartitionScrubberOptions, reference: ArchiveReference) {
    this.#reference = reference;
    this.#options = options;
    this.#members = options.members;
    this.#calls = new LeaderCalls({ callerTo: options.callerTo, deadlineMs: DEADLINE_MS });
    this.#scrubber = this.#scrubberOver(options.members);
  }

  static async open(options: PartitionScrubberOptions): Promise<PartitionScrubber> {
    const { archive, partition, dir } = options;
    if (dir !== undefined) await mkdir(dir, { recursive: true });
    const reference = await ArchiveReference.open({
      archive,
      stream: groupId(partition),
      ...(dir === undefined ? {} : { dir: join(dir, "reference") }),
    });
    return new PartitionScrubber(options, reference);
  }

  /** Who holds a replica, from the next pass on. What was seen of those who stay is remembered. */
  setMembers(members: readonly string[]): void {
    if (members.join() === this.#members.join()) return;
    this.#members = members;
    this.#scrubber = this.#scrubberOver(members);
  }

  async pass(options: PassRunOptions = {}): Promise<PassReport> {
    this.#take = options.take;
    return await this.#scrubber.pass(options);
  }

  /** Sets right what a pass found, through the group's own log, so that it is ordered with the writes; looks again afterwards. */
  async repair({ divergences }: Pick<PassReport, "divergences">): Promise<readonly RepairResult[]> {
    const { partition, auditPath } = this.#options;
    const members = this.#members;
    const audit = auditPath === undefined ? {} : { audit: jsonLinesAudit(auditPath) };
    // One of its own: a pass that keeps its pace may take hours.
    const scrubber = this.#scrubberOver(members, false);
    return await scrubber.repair(
      divergences,
      async ({ key, value, at }) => {
        const stored = value === undefined ? undefined : decodeStored(key, value);
        await this.#calls.call(partition, members, "repair", {
          partition,
          key,
          asOfSlot: at,
          ...(stored === undefined ? {} : { expected: { json: stored.json, itemSizeBytes: stored.itemSizeBytes } }),
        });
      },
      audit,
    );
  }

  /** Builds the reference anew out of the archive, and looks again at what differed from it. */
  async lookAgain(report: Pick<PassReport, "divergences">): Promise<readonly RepairResult[]> {
    await this.#reference.forget();
    // The reference is never repaired: what it says now either agrees, or is refused.
    return await this.repair(report);
  }

  async close(): Promise<void> {
    await this.#scrubber.close();
    await this.#reference.close();
  }

  #scrubberOver(members: readonly string[], remembers = true): Scrubber {
    const { partition, callerTo, dir } = this.#options;
    const options: ScrubberOptions = {
      replicas: members.map((node) => replicaSource(node, () => callerTo(node), partition, remembers)),
      reference: this.#reference,
      position: () => this.#mark(members, remembers ? this.#take : undefined),
      stepBytes: STEP_BYTES,
      ...(remembers && { isStale: () => this.#isStale() }),
    };
    return new Scrubber(dir === undefined || !remembers ? options : { ...options, state: textFile(join(dir, "seen")) });
  }

  async #mark(members: readonly string[], take: Take | undefined): Promise<number> {
    const { partition } = this.#options;
    const { slot } = await this.#calls.call(partition, members, "mark", { partition });
    this.#marked = { lookedAtMs: performance.now(), slots: await this.#slots() };
    try {
      await this.#calls.call(partition, members, "archive", { partition, throughSlot: slot });
      await this.#reference.advance(slot, take);
    } catch (error) {
      this.#reference.fail(error);
    }
    return slot;
  }

  /** It was held for long, and its nodes were written to meanwhile, in whatever partition: they have one B-tree for all. */
  async #isStale(): Promise<boolean> {
    const marked = this.#marked;
    const { markHeldMs = MARK_HELD_MS } = this.#options;
    if (marked === undefined || performance.now() - marked.lookedAtMs < markHeldMs) return false;
    marked.lookedAtMs = performance.now();
    return (await this.#slots()) >= marked.slots + ENTRIES_SINCE_MIN;
  }

  /** Of all logs of all partitions that the members have, together; those of a member that does not answer are not among them. */
  async #slots(): Promise<number> {
    const { callerTo } = this.#options;
    const statuses = await reachableStatuses({ members: this.#members, callerTo });
    const partitions = [...statuses.values()].flatMap((status) => status.partitions);
    return partitions.reduce((sum, { appliedThrough }) => sum + appliedThrough, 0);
  }
}
