import type { Group } from "@evenkeel/paxos";
import type { ObjectStore } from "@evenkeel/wal/archive";
import type { TableRecord } from "../api/model.js";
import { groupId } from "../metadata/records.js";
import { Archiving } from "./archiving.js";
import { AtOnce } from "./at-once.js";
import { Changes } from "./changes.js";
import { StoreError } from "./errors.js";
import type { GroupMachine } from "./group-machine.js";
import { IndexPropagator, type IndexPropagatorOptions } from "./index-propagator.js";
import { IndexUpkeep } from "./index-upkeep.js";
import { Participant } from "./participant.js";
import { wasSplit } from "./paxos-errors.js";
import type { Replica } from "./replica.js";
import { decodeProgress, SPLIT_KEY } from "./split-progress.js";
import type { PartitionStatus } from "./status.js";
import { Tally } from "./tally.js";
import type { Usage } from "./usage.js";
import { Writer } from "./writer.js";

/** What a partition of a table needs for its indexes. */
export interface IndexParts extends Pick<IndexPropagatorOptions, "partitionsOf" | "calls"> {
  readonly table: () => TableRecord | undefined;
  /** It takes, or took, over from a partition that was split. */
  readonly isPart: boolean;
  readonly usage: Usage;
  readonly collectionBytesMax: number;
}

/** One partition as this node runs it: the group, its state machine, the leader's side, the way to the archive. */
export class PartitionHost {
  readonly partition: number;
  readonly group: Group<number>;
  readonly replica: Replica;
  readonly writer: Writer;
  readonly participant: Participant;
  readonly atOnce: AtOnce;
  readonly archiving: Archiving;
  readonly changes: Changes;
  /** Absent for the metadata's partition. */
  readonly indexes: IndexUpkeep | undefined;
  readonly propagator: IndexPropagator | undefined;
  /** What is spent here; absent for the metadata's partition. */
  readonly usage: Usage | undefined;
  readonly #machine: GroupMachine;
  readonly #ends: (() => void)[] = [];
  #isOpen: boolean;

  constructor(
    group: Group<number>,
    replica: Replica,
    machine: GroupMachine,
    archive: ObjectStore,
    indexes?: IndexParts,
  ) {
    this.partition = replica.partition;
    this.group = group;
    this.replica = replica;
    this.#isOpen = indexes?.isPart !== true;
    this.usage = indexes?.usage;
    this.indexes = indexes && new IndexUpkeep(replica, indexes.table);
    this.writer = new Writer(group, replica, this.indexes, indexes && new Tally(replica, indexes.table, indexes));
    if (indexes !== undefined && this.indexes !== undefined) {
      const { partition, writer, indexes: upkeep } = this;
      const propagator = new IndexPropagator({ ...indexes, partition, group, replica, writer, upkeep });
      this.propagator = propagator;
      this.#ends.push(group.onLeadership(() => propagator.wake()));
      propagator.wake();
    }
    this.participant = new Participant(this.writer, replica);
    this.atOnce = new AtOnce(this.writer, replica);
    this.archiving = new Archiving(group, archive, groupId(replica.partition));
    this.changes = new Changes(group, replica, archive);
    this.#machine = machine;
    machine.vouchedThrough = () => this.archiving.vouchedThrough;
    machine.beforeSnapshot = () => this.archiving.archive();
  }

  /**
   * That this replica has items that stand for themselves: it has applied that it is filled, where it is a part, and not that it is split.
   * @throws StoreError ERR_STORE_SPLIT, ERR_STORE_BEHIND; ERR_STORE_CORRUPT where what says so has rotted
   */
  assertReadable(): void {
    // Once it is open it stays so.
    this.#isOpen ||= decodeProgress(this.replica.get(SPLIT_KEY)?.json)?.sinceMs !== undefined;
    if (this.replica.description.sealed) throw wasSplit(this.partition);
    if (!this.#isOpen) throw new StoreError("ERR_STORE_BEHIND", `partition ${this.partition} is not filled here yet`);
  }

  /** Whether anything is to be done about its items unasked: one that cannot be read from is left alone. */
  get serves(): boolean {
    try {
      this.assertReadable();
      return true;
    } catch {
      return false;
    }
  }

  /** The group must have been left, or closed: nothing is applied any more. */
  async close(): Promise<void> {
    for (const end of this.#ends) end();
    this.propagator?.close();
    await this.archiving.close();
    await this.#machine.close();
    this.replica.close();
  }

  status(): PartitionStatus {
    const { leading, ready, voting, leader, chosenThrough, trimmedThrough } = this.group.status();
    const { appliedThrough, durableThrough, backlog } = this.replica;
    const { archivedThrough } = this.archiving;
    return {
      partition: this.partition,
      leading,
      ready,
      voting,
      leader,
      chosenThrough,
      appliedThrough,
      durableThrough,
      backlog: backlog.writes,
      backlogBytes: backlog.bytes,
      trimmedThrough,
      archivedThrough,
      prepared: ready ? this.participant.preparedItems() : 0,
      members: this.group.members().storage,
    };
  }
}
