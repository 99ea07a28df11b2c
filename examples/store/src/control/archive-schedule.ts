import { channel } from "node:diagnostics_channel";
import type { PartitionHost } from "../storage-node/partition-host.js";
import type { Upkeep } from "./upkeep.js";

/** An entry waits at most this long for its archive object, so a restore can reach any moment older than this without asking. */
const ARCHIVE_AFTER_MS = 30_000;
const ARCHIVE_ENTRIES = 20_000;
/** Log is compared with the archive, and let go of, at the latest after so many bytes. */
const COMPARE_AFTER_BYTES = 64 * 1024 * 1024;
/** A snapshot a day where anything was written, so that the window of restorable moments moves on. */
const SNAPSHOT_AFTER_MS = 86_400_000;
/** Retention reads a whole snapshot before it deletes anything: so often in the time for which it keeps. */
const RETAINS_A_WINDOW = 35;
/** Partitions worked on at once: each holds a few objects of 4 MiB in memory. */
const AT_ONCE_MAX = 2;
/** A round waits no longer for what it has begun; the next one finds it still at work. */
const ROUND_MS = 1_000;
const RETRY_AFTER_MS = 1_000;
const RETRY_AFTER_MS_MAX = 60_000;

const failed = channel("evenkeel:store:archive-failed");
const snapshotWritten = channel("evenkeel:store:snapshot-written");
const retained = channel("evenkeel:store:archive-retained");

type Tended = Pick<PartitionHost, "partition" | "group" | "replica" | "archiving" | "status">;

export interface ArchiveScheduleOptions {
  readonly partitions: () => Iterable<Tended>;
  readonly upkeep: Upkeep;
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
  failures: number;
  notBeforeMs: number;
}

/**
 * Decides when a partition's log goes to the archive, when its state is written beside it, what of the archive nobody needs any more, and how much of the
 * log this replica may then forget. Each partition for itself, two at once, each failure with growing patience: one that fails or is slow
 * keeps no other from its turn. Nothing here asks how the other replicas are: one that is away holds nobody's log.
 */
export class ArchiveSchedule {
  readonly #options: ArchiveScheduleOptions;
  readonly #accounts = new Map<number, Account>();
  readonly #running = new Map<number, Promise<void>>();
  #failures: unknown[] = [];
  #next = 0;

  constructor(options: ArchiveScheduleOptions) {
    this.#options = options;
  }

  /** Begins what is due and can be begun. Rejects with what failed since the last round; it is tried again. */
  async round(): Promise<void> {
    const hosts = [...this.#options.partitions()];
    const ids = new Set(hosts.map(({ partition }) => partition));
    for (const partition of this.#accounts.keys()) if (!ids.has(partition)) this.#accounts.delete(partition);
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<"over">((resolve) => {
      timer = setTimeout(resolve, ROUND_MS, "over");
    });
    const first = this.#next;
    for (let i = 0; i < hosts.length; i++) {
      const at = (first + i) % hosts.length;
      const host = hosts[at] as Tended;
      if (!this.#isDue(host)) continue;
      while (this.#running.size >= AT_ONCE_MAX && (await Promise.race([...this.#running.values(), over])) !== "over");
      if (this.#running.size >= AT_ONCE_MAX) break;
      // Whoever did not have its turn is the first of the next round.
      this.#next = at + 1;
      this.#begin(host);
    }
    await Promise.race([Promise.all(this.#running.values()), over]);
    clearTimeout(timer);
    const failures = this.#failures.splice(0);
    if (failures.length > 0) throw new AggregateError(failures, `could not be archived or trimmed: ${failures.length}`);
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  #begin(host: Tended): void {
    const { partition } = host;
    const account = this.#account(partition);
    const work = this.#tend(host, account)
      .then(
        () => {
          account.failures = 0;
        },
        (error: unknown) => {
          const pauseMs = Math.min(RETRY_AFTER_MS * 2 ** account.failures++, RETRY_AFTER_MS_MAX);
          account.notBeforeMs = performance.now() + pauseMs * (0.5 + Math.random() / 2);
          this.#failures.push(error);
          if (failed.hasSubscribers) failed.publish({ partition, error, failures: account.failures });
        },
      )
      .finally(() => this.#running.delete(partition));
    this.#running.set(partition, work);
  }

  #account(partition: number): Account {
    let account = this.#accounts.get(partition);
    if (account === undefined) {
      account = { waitingSince: undefined, comparedAtBytes: 0, retainedAtMs: 0, failures: 0, notBeforeMs: 0 };
      this.#accounts.set(partition, account);
    }
    return account;
  }

  #isDue(host: Tended): boolean {
    const account = this.#account(host.partition);
    const nowMs = performance.now();
    if (this.#running.has(host.partition) || nowMs < account.notBeforeMs) return false;
    if (!host.group.status().ready) {
      account.waitingSince = undefined;
      delete account.snapshot;
    }
    return this.#archiveIsDue(host, account) || this.#snapshotIsDue(host, account) || this.#trimIsDue(host, account);
  }

  async #tend(host: Tended, account: Account): Promise<void> {
    if (this.#archiveIsDue(host, account)) {
      await host.archiving.archive();
      account.waitingSince = undefined;
    }
    // What the archive has need not wait until a snapshot is written, which nobody is in a hurry for.
    if (this.#trimIsDue(host, account)) await this.#trim(host, account);
    if (this.#snapshotIsDue(host, account)) await this.#snapshot(host, account);
  }

  #archiveIsDue(host: Tended, account: Account): boolean {
    const { ready, appliedThrough, archivedThrough } = host.status();
    const waiting = appliedThrough - archivedThrough;
    if (!ready || waiting <= 0) {
      account.waitingSince = undefined;
      return false;
    }
    account.waitingSince ??= performance.now();
    return waiting >= ARCHIVE_ENTRIES || performance.now() - account.waitingSince >= ARCHIVE_AFTER_MS;
  }

  #snapshotIsDue(host: Tended, { snapshot }: Account): boolean {
    const { ready, archivedThrough } = host.status();
    if (!ready || archivedThrough === 0) return false;
    if (snapshot === undefined) return true;
    if (archivedThrough <= snapshot.slot) return false;
    const grown = host.archiving.archivedBytes - snapshot.archivedBytes;
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
    const written = await archiving.snapshot(replica);
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

  #trimIsDue({ group, replica }: Tended, { comparedAtBytes }: Account): boolean {
    const { appliedThrough, trimmedThrough } = group.status();
    const { slotsKept } = this.#options.upkeep;
    return (
      appliedThrough - trimmedThrough > 2 * slotsKept || replica.appliedBytes - comparedAtBytes > COMPARE_AFTER_BYTES
    );
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
