import { randomUUID } from "node:crypto";
import { MemdsServer } from "@evenkeel/memds";
import { type Group, GroupHost, type MemberRole, type Transport } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { Wal } from "@evenkeel/wal";
import { type ObjectStore, PatientObjectStore } from "@evenkeel/wal/archive";
import { Controller } from "../control/controller.js";
import type { Upkeep } from "../control/upkeep.js";
import { BackupService } from "../metadata/backup-service.js";
import { MemdsFeed } from "../metadata/feed.js";
import { groupId, METADATA_PARTITION, type PartitionRecord, roleOf } from "../metadata/records.js";
import { MetadataService } from "../metadata/service.js";
import { SplitService } from "../metadata/split-service.js";
import { StreamService } from "../metadata/stream-service.js";
import { MetadataView } from "../metadata/view.js";
import { LeaderCalls } from "../router/leader-calls.js";
import { localCaller } from "../rpc/local.js";
import type { Caller, Handlers } from "../rpc/protocol.js";
import { Recovery } from "../transactions/recovery.js";
import { Applier } from "./applier.js";
import { decodeCommand } from "./command.js";
import { StoreError } from "./errors.js";
import { GroupMachine } from "./group-machine.js";
import { indexPartsOf } from "./index-parts.js";
import { Leftovers } from "./leftovers.js";
import { nodeMethods } from "./methods.js";
import { PartitionHost } from "./partition-host.js";
import { Replica } from "./replica.js";
import type { NodeStatus } from "./status.js";
import { Tree } from "./tree.js";

/**
 * Largest entry of a group's log. An item of 400 KB by the service's count may be 7.5 times that in JSON: a list of booleans counts two bytes
 * an element and is written in fifteen. Where changes are recorded the item as it was stands beside it.
 */
const COMMAND_BYTES_MAX = 8 * 1024 * 1024;
/** Each group's log is a stream of the node's one log, under this prefix. */
const STREAM_PREFIX = "group/";
/** A partition of an index that has no leader for so long is tried again, with growing patience. */
const TELL_DEADLINE_MS = 5_000;
const TIMES_LOOKED_AT = 100;

export interface StorageNodeOptions {
  readonly nodeId: string;
  readonly zone: string;
  /** Holds the node's log and B-tree; one process at a time. */
  readonly dir: string;
  /** With which nodes the store was founded: the first members of the metadata's group. Any other node becomes one of them once it is seen. */
  readonly founders: readonly string[];
  /** All nodes that are known to be somewhere, this one included. */
  readonly nodeIds: () => readonly string[];
  readonly transport: Transport;
  readonly archive: ObjectStore;
  /** The way to another node. */
  readonly callerTo: (nodeId: string) => Caller;
  readonly partitionsPerTable: number;
  readonly upkeep: Upkeep;
  readonly host?: string;
  /** The node cannot go on (its log is poisoned, its B-tree refuses to commit): end the process and start it again. */
  readonly onFailure: (error: unknown) => void;
}

/** One storage node: a log, a B-tree, a replica of each of its partitions, and a member of the memds fleet. */
export class StorageNode {
  readonly nodeId: string;
  readonly handlers: Handlers;
  readonly memds: MemdsServer;
  readonly #options: StorageNodeOptions;
  readonly #wal: Wal;
  readonly #tree: Tree;
  readonly #applier: Applier;
  readonly #host: GroupHost;
  /** What passes by itself is tried again, a few attempts at once for all partitions together. */
  readonly #archive: ObjectStore;
  /** To the leaders of partitions of global indexes. */
  readonly #calls: LeaderCalls;
  readonly #partitions = new Map<number, PartitionHost>();
  /** Groups whose log is kept here, and nothing else. */
  readonly #logReplicas = new Set<number>();
  readonly #leftovers: Leftovers;
  #view!: MetadataView;
  #metadata!: MetadataService;
  #backups!: BackupService;
  #streams!: StreamService;
  #controller!: Controller;
  #recovery: Recovery | undefined;
  #reconciling: Promise<void> | undefined;
  #reconcileAgain = false;
  #failed = false;
  #closed = false;

  private constructor(options: StorageNodeOptions, wal: Wal, tree: Tree, host: GroupHost, memds: MemdsServer) {
    this.nodeId = options.nodeId;
    this.#options = options;
    this.#wal = wal;
    this.#tree = tree;
    this.#host = host;
    this.memds = memds;
    this.#archive = new PatientObjectStore(options.archive);
    this.#applier = new Applier(tree, (error) => this.#fail(error));
    this.#leftovers = new Leftovers({
      wal,
      tree,
      applier: this.#applier,
      streamPrefix: STREAM_PREFIX + groupId(0).slice(0, -1),
      replica: () => this.#partition(METADATA_PARTITION).replica,
      isGone: (partition) => this.#isGone(partition),
      // New partitions first: what is left is in nobody's way.
      goesOn: () => !this.#reconcileAgain,
      isOver: () => this.#closed || this.#failed,
    });
    const { callerTo, nodeId } = options;
    this.#calls = new LeaderCalls({
      callerTo: (id) => (id === nodeId ? localCaller(this.handlers) : callerTo(id)),
      deadlineMs: TELL_DEADLINE_MS,
    });
    this.handlers = nodeMethods({
      memds,
      partitionOf: (partition) => this.#partition(partition),
      metadata: () => this.#metadata,
      backups: () => this.#backups,
      streams: () => this.#streams,
      archive: () => this.#archive,
      controller: () => this.#controller,
      status: ({ only }) => this.status(only),
      timeToLiveCooldownMs: options.upkeep.timeToLiveCooldownMs,
      wal,
      calls: this.#calls,
    });
  }

  /** Recovers from the directory and joins every group that this node is a member of. */
  static async open(options: StorageNodeOptions): Promise<StorageNode> {
    const opened: (() => Promise<unknown>)[] = [];
    try {
      const wal = await Wal.open({ dir: `${options.dir}/log` });
      opened.push(() => wal.close());
      const tree = Tree.open(`${options.dir}/tree`);
      opened.push(() => tree.close());
      const memds = await MemdsServer.listen({ host: options.host ?? "127.0.0.1", port: 0 });
      opened.push(() => memds.close());
      const host = await GroupHost.open({
        nodeId: options.nodeId,
        zone: options.zone,
        transport: options.transport,
        storage: walStorage(wal, { prefix: STREAM_PREFIX }),
        commandBytesMax: COMMAND_BYTES_MAX,
      });
      opened.push(() => host.close());
      const node = new StorageNode(options, wal, tree, host, memds);
      opened.push(() => node.#applier.drain());
      await node.#start();
      return node;
    } catch (error) {
      // Whoever opens it again in this process must not find its lock and port taken.
      for (const close of opened.reverse()) await close().catch(() => undefined);
      throw error;
    }
  }

  async #start(): Promise<void> {
    const { founders, nodeIds, partitionsPerTable, callerTo, nodeId, upkeep } = this.#options;
    const meta = await this.#open(METADATA_PARTITION, founders, (replica) => {
      const feed = new MemdsFeed(this.memds, replica);
      this.#view = new MetadataView(replica, {
        changed: (slot, changes) => {
          feed.apply(slot, changes);
          if (changes.length > 0) this.#reconcile();
        },
        replaced: () => {
          feed.load();
          this.#reconcile();
        },
      });
    });
    const { group } = meta;
    this.#metadata = new MetadataService({
      group,
      writer: meta.writer,
      view: this.#view,
      members: () => this.#controller.placement(),
      partitionsPerTable,
      newIndexId: randomUUID,
      nowMs: () => Date.now(),
    });
    this.#backups = new BackupService({
      metadata: this.#metadata,
      view: this.#view,
      archive: (partitions) => this.#controller.archive(partitions),
      newDistinction: () => randomUUID().slice(0, 8),
    });
    const splits = new SplitService({ metadata: this.#metadata });
    this.#streams = new StreamService({ metadata: this.#metadata, nowMs: () => Date.now() });
    const self = localCaller(this.handlers);
    this.#controller = new Controller({
      metadata: this.#metadata,
      streams: this.#streams,
      splits,
      view: this.#view,
      archive: this.#archive,
      keptSinceMs: (partition) => this.#view.keptSinceMs(partition),
      partitions: () => this.#partitions.values(),
      group,
      founders,
      nodeIds,
      onReplaced: () =>
        this.#fail(new StoreError("ERR_STORE_REPLACED", `other nodes have taken the place of ${nodeId}`)),
      callerTo: (id) => (id === nodeId ? self : callerTo(id)),
      upkeep,
    });
    this.#recovery = new Recovery({
      partitions: () => this.#partitions.values(),
      view: this.#view,
      callerTo: (id) => (id === nodeId ? self : callerTo(id)),
      afterMs: upkeep.recoverTransactionsAfterMs,
      nowMs: () => Date.now(),
    });
    this.#reconcile();
    await this.#reconciling;
  }

  async #open(
    partition: number,
    founders: readonly string[],
    beforeJoining: (replica: Replica) => void = () => undefined,
    record?: PartitionRecord,
  ): Promise<PartitionHost> {
    const replica = new Replica(partition, this.#tree, this.#applier);
    const machine = new GroupMachine(replica, this.#tree, this.#applier);
    beforeJoining(replica);
    const group = await this.#host.join(groupId(partition), {
      ...this.#joining(founders, "storage"),
      stateMachine: machine,
    });
    await this.#opened(group, replica);
    const parts = { upkeep: this.#options.upkeep, view: this.#view, calls: this.#calls };
    const indexes = record && indexPartsOf(record, parts);
    const host = new PartitionHost(group, replica, machine, this.#archive, indexes);
    this.#partitions.set(partition, host);
    return host;
  }

  /** Whoever was not there at the beginning waits until the leader makes it a member. */
  #joining(founders: readonly string[], role: MemberRole): { members: readonly string[]; role?: MemberRole } {
    const isFounder = role === "storage" && founders.includes(this.nodeId);
    return isFounder ? { members: founders } : { members: founders, role };
  }

  async #opened(group: Group<number>, replica: Replica): Promise<void> {
    this.#watch(group);
    // Where nothing was left to replay, the log alone knows how late it was; the clock may have been set back since.
    const { appliedThrough, trimmedThrough } = group.status();
    if (replica.lastTimeMs > 0 || appliedThrough === 0) return;
    const from = Math.max(trimmedThrough + 1, appliedThrough - TIMES_LOOKED_AT);
    try {
      for await (const { kind, command } of group.entries({ from, through: appliedThrough }))
        if (kind === "command") replica.noteTime(decodeCommand(command).timeMs);
    } catch {
      // Damage in old entries, or none left: that costs nobody more than the right to set the clock back.
    }
  }

  /** A group that stops unasked (its log failed, its state machine threw) never comes back on its own. */
  #watch(group: Group<unknown>): void {
    group.onLeadership(() => {
      const { failure } = group.status();
      if (failure !== undefined && failure.code !== "ERR_PAXOS_CLOSED") this.#fail(failure);
    });
  }

  /** A node that is half there is worse than one that is not: it takes no further part, so that the others can go on, until it is started again. */
  #fail(error: unknown): void {
    if (this.#failed || this.#closed) return;
    this.#failed = true;
    void this.#host.close().catch(() => undefined);
    for (const { replica } of this.#partitions.values()) replica.endMarks();
    this.#options.onFailure(error);
  }

  /** Why its B-tree has refused a commit, if it did: this process cannot open it again. */
  get treeRefusal(): StoreError | undefined {
    return this.#tree.refusal;
  }

  /** @throws StoreError ERR_STORE_CLOSED where the node takes no further part. */
  status(only: Iterable<number> = this.#partitions.keys()): NodeStatus {
    if (this.#failed) throw new StoreError("ERR_STORE_CLOSED", `${this.#options.nodeId} takes no further part`);
    const { nodeId, zone } = this.#options;
    return {
      nodeId,
      zone,
      partitions: [...only].flatMap((partition) => this.#partitions.get(partition)?.status() ?? []),
      logReplicas: [...this.#logReplicas],
    };
  }

  /** Whether this node's member of the memds fleet knows the metadata, if a moment late: a node that is new does not, until it was given them. */
  get knowsMetadata(): boolean {
    const { group, replica } = this.#partition(METADATA_PARTITION);
    return (
      this.#options.founders.includes(this.nodeId) ||
      (replica.appliedThrough > 0 && group.members().storage.includes(this.nodeId))
    );
  }

  #partition(partition: number): PartitionHost {
    const host = this.#partitions.get(partition);
    if (host === undefined)
      throw new StoreError("ERR_STORE_UNKNOWN_PARTITION", `${this.nodeId} has no partition ${partition}`);
    return host;
  }

  /** Joins and leaves groups until this node has what the metadata says. One run at a time; a change meanwhile starts another. */
  #reconcile(): void {
    this.#reconcileAgain = true;
    this.#reconciling ??= this.#reconcileLoop()
      .catch((error: unknown) => {
        this.#fail(error);
      })
      .finally(() => {
        this.#reconciling = undefined;
        // A change that came after the loop's last look and before this.
        if (this.#reconcileAgain && !this.#closed && !this.#failed) this.#reconcile();
      });
  }

  async #reconcileLoop(): Promise<void> {
    while (this.#reconcileAgain && !this.#closed && !this.#failed) {
      this.#reconcileAgain = false;
      for (const record of [...this.#view.partitions.values()]) {
        const role = roleOf(record, this.nodeId);
        // A log replica that becomes a replica leaves first; its log stays, and is that of the replica.
        if (role !== "log" && this.#logReplicas.has(record.partition)) await this.#leaveLog(record.partition);
        if (role !== "storage" && this.#partitions.has(record.partition)) await this.#leave(record.partition);
        if (role === "storage" && !this.#partitions.has(record.partition)) await this.#join(record);
        if (role === "log" && !this.#logReplicas.has(record.partition)) await this.#joinLog(record);
      }
      for (const partition of [...this.#partitions.keys()]) {
        if (partition !== METADATA_PARTITION && !this.#view.partitions.has(partition)) await this.#leave(partition);
      }
      for (const partition of [...this.#logReplicas])
        if (!this.#view.partitions.has(partition)) await this.#leaveLog(partition);
      await this.#leftovers.erase();
    }
  }

  #isGone(partition: number): boolean {
    if (partition === METADATA_PARTITION || this.#partitions.has(partition)) return false;
    if (this.#logReplicas.has(partition)) return false;
    return partition < this.#view.nextPartition && !this.#view.partitions.has(partition);
  }

  async #join(record: PartitionRecord): Promise<void> {
    const { partition, members, founders = members } = record;
    await this.#open(partition, founders, undefined, record);
  }

  async #joinLog({ partition, members, founders = members }: PartitionRecord): Promise<void> {
    const group = await this.#host.join(groupId(partition), this.#joining(founders, "log"));
    this.#watch(group);
    this.#logReplicas.add(partition);
  }

  async #leaveLog(partition: number): Promise<void> {
    this.#logReplicas.delete(partition);
    await this.#host.leave(groupId(partition));
    this.#leftovers.left(partition);
  }

  async #leave(partition: number): Promise<void> {
    const host = this.#partition(partition);
    this.#partitions.delete(partition);
    await this.#host.leave(groupId(partition));
    await host.close();
    this.#leftovers.left(partition);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const partitions = [...this.#partitions.values()];
    await Promise.all([
      this.#controller.close(),
      this.#recovery?.close(),
      ...partitions.map(({ archiving }) => archiving.close()),
    ]);
    await this.#reconciling;
    await this.#host.close();
    await this.#applier.close();
    for (const partition of this.#partitions.values()) await partition.close();
    await this.#tree.close();
    await this.#wal.close();
    await this.memds.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
