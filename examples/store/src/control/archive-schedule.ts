import { channel } from "node:diagnostics_channel";
import type { Caller } from "../rpc/protocol.js";
import { IS_LOST } from "../storage-node/archiving.js";
import { codeOf } from "../storage-node/errors.js";
import type { PartitionHost } from "../storage-node/partition-host.js";
import { ArchiveLane } from "./archive-lane.js";
import { isInNoLog } from "./lost-log.js";
import type { Upkeep } from "./upkeep.js";

const ARCHIVE_ENTRIES = 20_000;
/** Log is compared with the archive, and let go of, at the latest after so many bytes. */
const COMPARE_AFTER_BYTES = 64 * 1024 * 1024;
/** A snapshot a day where anything was written, so that the window of restorable moments moves on. */
const SNAPSHOT_AFTER_MS = 86_400_000;
/** Retention reads a whole snapshot before it deletes anything: so often in the time for which it keeps. */
const RETAINS_A_WINDOW = 35;
/** Partitions whose logs are worked on at once: each holds a few objects of 4 MiB in memory. */
const LOGS_AT_ONCE_MAX = 2;
/** A damage seen once may have happened on the way from the disk. */
const LOST_TIMES = 3;
/** A round waits no longer for what it has begun; the next one finds it still at work. */
const ROUND_MS = 1_000;

const failed = channel("evenkeel:store:archive-failed");
const snapshotWritten = channel("evenkeel:store:snapshot-written");
const retained = channel("evenkeel:store:archive-retained");
const vouchedAgain = channel("evenkeel:store:archive-vouched-again");
const begunAnew = channel("evenkeel:store:archive-begun-anew");

type Tended = Pick<PartitionHost, "partition" | "group" | "replica" | "archiving">;

export interface ArchiveScheduleOptions {
  readonly partitions: () => Iterable<Tended>;
  readonly upkeep: Upkeep;
  /** To any node; absent: what is lost of an archive may be in another's log, and is not given up. */
  readonly callerTo?: (nodeId: string) => Caller;
  /** Since which moment (Unix time) a partition is kept for backups, beyond the window of restorable moments. */
  readonly keptSinceMs?: (partition: number) => number | undefined;
  readonly nowMs?: () => number;
}

/** What is remembered of a partition between two turns. */
interface Account {
  waitingSince: number | undefined;
  comparedAtBytes: number;
  /** Absent: not led here, or not looked up yet. */
  snapshot?: { slot: number; bytes: number; archivedBytes: number; atMs: number };
  retainedAtMs: number;
  /** How often in a row nothing could be archived, since the archive does not reach to where the log begins. */
  lostTimes: number;
}

interface Work {
  readonly lane: ArchiveLane;
  /** Whose turn it is first in the next round. */
  next: number;
  isDue(host: Tended, account: Account): boolean;
  tend(host: Tended, account: Account): Promise<void>;
}

/**
 * Decides when a partition's log goes to the archive, when its state is written beside it, what of the archive nobody needs any more, and how much of the
 * log this replica may then forget. Each partition for itself, two logs at once, each failure with growing patience: one that fails or is slow
 * keeps no other from its turn. States are written one at a time, each for half a minute: no log waits for that, and the archive reaches on meanwhile. Nothing here asks how the other replicas are: one that is away holds nobody's log.
 */
export class ArchiveSchedule {
  readonly #options: ArchiveScheduleOptions;
  readonly #accounts = new Map<number, Account>();
  readonly #logs: Work;
  readonly #states: Work;
  #failures: unknown[] = [];

  constructor(options: ArchiveScheduleOptions) {
    this.#options = options;
    const onFailure = (partition: number, error: unknown, failures: number) => {
      this.#failures.push(error);
      if (failed.hasSubscribers) failed.publish({ partition, error, failures });
    };
    this.#logs = {
      lane: new ArchiveLane(LOGS_AT_ONCE_MAX, onFailure),
      next: 0,
      isDue: (host, account) => this.#logIsDue(host, account),
      tend: (host, account) => this.#tendLog(host, account),
    };
    this.#states = {
      lane: new ArchiveLane(1, onFailure),
      next: 0,
      isDue: (host, account) => this.#snapshotIsDue(host, account),
      tend: (host, account) => this.#snapshot(host, account),
    };
  }

  /** Begins what is due and can be begun. Rejects with what failed since the last round; it is tried again. */
  async round(): Promise<void> {
    const hosts = [...this.#options.partitions()];
    const ids = new Set(hosts.map(({ partition }) => partition));
    for (const partition of this.#accounts.keys()) if (!ids.has(partition)) this.#accounts.delete(partition);
    for (const { lane } of [this.#logs, this.#states]) lane.keep(ids);
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<"over">((resolve) => {
      timer = setTimeout(resolve, ROUND_MS, "over");
    });
    await this.#beginDue(this.#logs, hosts, over);
    // What was archived just now may be what a state was to wait for.
    await this.#beginDue(this.#states, hosts, over);
    await Promise.race([Promise.all([...this.#logs.lane.work, ...this.#states.lane.work]), over]);
    clearTimeout(timer);
    const failures = this.#failures.splice(0);
    if (failures.length > 0) throw new AggregateError(failures, `could not be archived or trimmed: ${failures.length}`);
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all([...this.#logs.lane.work, ...this.#states.lane.work]);
  }

  async #beginDue(work: Work, hosts: readonly Tended[], over: Promise<"over">): Promise<void> {
    const { lane, next, isDue, tend } = work;
    for (let i = 0; i < hosts.length; i++) {
      const at = (next + i) % hosts.length;
      const host = hosts[at] as Tended;
      const account = this.#account(host.partition);
      if (!lane.takes(host.partition) || !isDue(host, account)) continue;
      while (lane.isFull && (await Promise.race([...lane.work, over])) !== "over");
      if (lane.isFull) break;
      // Whoever did not have its turn is the first of the next round.
      work.next = at + 1;
      lane.begin(host.partition, () => tend(host, account));
    }
  }

  #account(partition: number): Account {
    let account = this.#accounts.get(partition);
    if (account === undefined) {
      account = { waitingSince: undefined, comparedAtBytes: 0, retainedAtMs: 0, lostTimes: 0 };
      this.#accounts.set(partition, account);
    }
    return account;
  }

  #logIsDue(host: Tended, account: Account): boolean {
    if (!host.group.leadership().ready) {
      account.waitingSince = undefined;
      delete account.snapshot;
    }
    return this.#archiveIsDue(host, account) || this.#trimIsDue(host, account);
  }

  async #tendLog(host: Tended, account: Account): Promise<void> {
    if (this.#archiveIsDue(host, account)) {
      await this.#archive(host, account);
      account.waitingSince = undefined;
    }
    if (this.#trimIsDue(host, account)) await this.#trim(host, account);
  }

  async #archive(host: Tended, account: Account): Promise<void> {
    try {
      await host.archiving.archive();
    } catch (error) {
      if (!IS_LOST.has(codeOf(error)) || !(await this.#goesOn(host, account))) throw error;
      await host.archiving.archive();
    }
    account.lostTimes = 0;
  }

  /**
   * What the archive ends with is damaged or gone, and no log goes back to it: waiting mends nothing, and meanwhile no log could be trimmed and no replica be given the state. So the
   * archive goes on: with the object as it is where that is whole and its manifest is not, else behind what is lost. Where one member's log still has it, or may have it, it is for a repair.
   */
  async #goesOn(host: Tended, account: Account): Promise<boolean> {
    const { callerTo } = this.#options;
    const from = await host.archiving.lostFrom();
    if (from === undefined) account.lostTimes = 0;
    if (from === undefined || callerTo === undefined) return false;
    if (++account.lostTimes < LOST_TIMES || !(await isInNoLog(host, from, callerTo))) return false;
    if (await host.archiving.vouchAgain(from)) {
      if (vouchedAgain.hasSubscribers) vouchedAgain.publish({ partition: host.partition, from });
      return true;
    }
    const gap = await host.archiving.beginAnew(host.replica.lastTimeMs);
    if (begunAnew.hasSubscribers) begunAnew.publish({ partition: host.partition, ...gap });
    return true;
  }

  #archiveIsDue({ group, replica, archiving }: Tended, account: Account): boolean {
    const waiting = replica.appliedThrough - archiving.archivedThrough;
    if (waiting <= 0 || !group.leadership().ready) {
      account.waitingSince = undefined;
      return false;
    }
    account.waitingSince ??= performance.now();
    return (
      waiting >= ARCHIVE_ENTRIES || performance.now() - account.waitingSince >= this.#options.upkeep.archiveAfterMs
    );
  }

  #snapshotIsDue({ group, archiving }: Tended, { snapshot }: Account): boolean {
    const { archivedThrough } = archiving;
    if (archivedThrough === 0 || !group.leadership().ready) return false;
    if (snapshot === undefined) return true;
    if (archivedThrough <= snapshot.slot) return false;
    if (snapshot.slot < archiving.beganAnewAt) return true;
    const grown = archiving.archivedBytes - snapshot.archivedBytes;
    if (grown >= Math.max(this.#options.upkeep.snapshotAfterBytes, snapshot.bytes)) return true;
    return this.#nowMs() - snapshot.atMs >= Math.min(SNAPSHOT_AFTER_MS, this.#options.upkeep.restorableMs);
  }

  async #snapshot(host: Tended, account: Account): Promise<void> {
    const { partition, archiving, replica } = host;
    if (account.snapshot === undefined) {
      // Led here from now on: what there is was written by others, and how much log there is behind it is not known. It counts from here.
      const last = await archiving.lastSnapshot();
      const atMs = last.slot === 0 ? this.#nowMs() : last.timeMs;
      account.snapshot = { ...last, archivedBytes: archiving.archivedBytes, atMs };
      return;
    }
    const { archivedBytes } = archiving;
    const written = await archiving.snapshot(replica, { isAwaited: false });
    account.snapshot = { ...written, archivedBytes, atMs: this.#nowMs() };
    if (snapshotWritten.hasSubscribers) snapshotWritten.publish({ partition, ...written });
    const { restorableMs } = this.#options.upkeep;
    const nowMs = this.#nowMs();
    if (nowMs - account.retainedAtMs < restorableMs / RETAINS_A_WINDOW) return;
    const report = await archiving.retain(
      Math.min(nowMs - restorableMs, this.#options.keptSinceMs?.(partition) ?? Number.POSITIVE_INFINITY),
    );
    account.retainedAtMs = nowMs;
    if (report.deleted.length > 0 && retained.hasSubscribers) retained.publish({ partition, ...report });
  }

  /** The group's whole status is asked for only where something may be due: of thousands of groups that sleep each would be woken up to say it, each second. */
  #trimIsDue({ group, replica }: Tended, { comparedAtBytes }: Account): boolean {
    const { appliedThrough, appliedBytes } = replica;
    if (appliedBytes - comparedAtBytes > COMPARE_AFTER_BYTES) return true;
    const slotsMax = 2 * this.#options.upkeep.slotsKept;
    return appliedThrough > slotsMax && appliedThrough - group.status().trimmedThrough > slotsMax;
  }

  /** A slot is forgotten where the archive vouches for it, this replica's log agrees, and its B-tree has it on disk. */
  async #trim({ group, replica, archiving }: Tended, account: Account): Promise<void> {
    account.comparedAtBytes = replica.appliedBytes;
    const { durableThrough } = replica;
    const vouched = await archiving.compare(durableThrough);
    const through = Math.min(vouched, durableThrough) - this.#options.upkeep.slotsKept;
    if (through > group.status().trimmedThrough) await group.trim(through);
  }

  #nowMs(): number {
    return (this.#options.nowMs ?? Date.now)();
  }
}
