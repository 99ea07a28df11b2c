import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Divergence,
  type RepairResult,
  ScrubSchedule,
  type ScrubScheduleStats,
  type ScrubUnit,
} from "@evenkeel/scrubber";
import { TokenBucket } from "@evenkeel/token-bucket";
import type { ObjectStore } from "@evenkeel/wal/archive";
import type { Fleet } from "../control/fleet.js";
import { reachableStatuses } from "../control/reachable-statuses.js";
import { groupId } from "../metadata/records.js";
import { StoreError } from "../storage-node/errors.js";
import { archiveUnit } from "./archive-unit.js";
import { findingsOf } from "./findings.js";
import { PartitionScrubber } from "./partition-scrubber.js";
import { textFile } from "./text-file.js";

/** What a pass may read of each replica: a small part of what a disk or a core can do, whatever the load. */
const BYTES_PER_SECOND = 16 * 1024 * 1024;
const BURST_BYTES = 1024 * 1024;
/** The longest pause for the sake of the foreground; in a period that is short for a test's sake, a short one. */
const YIELD_MS_MAX = 1_000;
const YIELDS_A_ROUND_MIN = 100;

export interface ScrubbingOptions {
  readonly fleet: Fleet;
  readonly archive: ObjectStore;
  /** Where references, what passes have seen, and the schedule's position are kept from one process to the next. */
  readonly dir: string;
  /** Everything is compared once in this time, if the pace allows. */
  readonly fullPassEveryMs: number;
  readonly onFinding: (line: string) => void;
}

export interface ScrubbingStats extends ScrubScheduleStats {
  /** Lines told. */
  readonly findings: number;
}

interface Partition {
  readonly scrubber: PartitionScrubber;
  readonly units: readonly ScrubUnit[];
}

/** Constant work over everything that the store keeps: each partition's replicas, and its archive. Finds and tells; repairs only when asked. */
export class Scrubbing {
  readonly #options: ScrubbingOptions;
  readonly #bucket = new TokenBucket({ ratePerSecond: BYTES_PER_SECOND, capacity: BURST_BYTES });
  readonly #schedule: ScrubSchedule;
  readonly #partitions = new Map<number, Partition>();
  /** What the last pass over each partition found. */
  readonly #found = new Map<number, readonly Divergence[]>();
  #swept = false;
  #findings = 0;

  constructor(options: ScrubbingOptions) {
    this.#options = options;
    this.#schedule = new ScrubSchedule({
      units: () => this.#units(),
      fullPassEveryMs: options.fullPassEveryMs,
      yieldMsMax: Math.min(YIELD_MS_MAX, options.fullPassEveryMs / YIELDS_A_ROUND_MIN),
      bucket: {
        capacity: BURST_BYTES,
        take: (bytes, { signal }) => this.#bucket.take(bytes, { signal }),
      },
      state: textFile(join(options.dir, "schedule")),
      onReport: (unit, report) => {
        for (const line of findingsOf(report)) this.#tell(`${unitText(unit)}: ${line}`);
      },
    });
  }

  stats(): ScrubbingStats {
    return { ...this.#schedule.stats(), findings: this.#findings };
  }

  /** Repairs what the last pass over each partition found, through the partitions' own logs, and says what came of it. */
  async repair(): Promise<readonly RepairResult[]> {
    const results: RepairResult[] = [];
    for (const [partition, divergences] of this.#found) {
      const scrubber = this.#partitions.get(partition)?.scrubber;
      if (scrubber !== undefined) results.push(...(await scrubber.repair({ divergences })));
    }
    return results;
  }

  /** Stops after the step that runs, and remembers where it was. */
  async close(): Promise<void> {
    await this.#schedule.close();
    this.#bucket.close();
    for (const { scrubber } of this.#partitions.values()) await scrubber.close();
  }

  #tell(line: string): void {
    this.#findings++;
    this.#options.onFinding(line);
  }

  /** Which partitions there are now. Rejects while fewer than a majority of the nodes say so: what nobody speaks of need not be gone. */
  async #units(): Promise<ScrubUnit[]> {
    const { fleet } = this.#options;
    const nodes = fleet.nodeIds();
    const statuses = await reachableStatuses({ members: nodes, callerTo: (node) => fleet.callerTo(node) });
    if (statuses.size <= nodes.length / 2)
      throw new StoreError("ERR_STORE_UNREACHABLE", `${statuses.size} of ${nodes.length} nodes answer`);
    // Whoever has come furthest knows best who the members are.
    const members = new Map<number, readonly string[]>();
    const found = [...statuses.values()].flatMap(({ partitions }) => partitions);
    for (const one of found.sort((a, b) => a.chosenThrough - b.chosenThrough)) members.set(one.partition, one.members);

    for (const [partition, held] of members) {
      const known = this.#partitions.get(partition);
      if (known === undefined) this.#partitions.set(partition, await this.#open(partition, held));
      else known.scrubber.setMembers(held);
    }
    for (const [partition, { scrubber }] of this.#partitions) {
      if (members.has(partition)) continue;
      this.#partitions.delete(partition);
      this.#found.delete(partition);
      await scrubber.close();
      await rm(this.#dirOf(partition), { recursive: true, force: true });
    }
    await this.#sweep();
    return [...this.#partitions.values()].flatMap(({ units }) => units);
  }

  async #open(partition: number, members: readonly string[]): Promise<Partition> {
    const { fleet, archive, dir } = this.#options;
    const name = groupId(partition);
    const scrubber = await PartitionScrubber.open({
      partition,
      members,
      callerTo: (node) => fleet.callerTo(node),
      archive,
      dir: this.#dirOf(partition),
      auditPath: join(dir, "repairs.jsonl"),
    });
    const replicas: ScrubUnit = {
      name,
      pass: async (options) => {
        const report = await scrubber.pass(options);
        // One that went on where another was interrupted has not looked at what came before.
        const before = options.from === undefined ? [] : (this.#found.get(partition) ?? []);
        this.#found.set(partition, [...before, ...report.divergences]);
        return report;
      },
    };
    return { scrubber, units: [replicas, archiveUnit(`${name}${ARCHIVE}`, archive, name)] };
  }

  #dirOf(partition: number): string {
    return join(this.#options.dir, groupId(partition));
  }

  /** Once in a life: what partitions left behind that were dropped while the store was down. */
  async #sweep(): Promise<void> {
    if (this.#swept) return;
    this.#swept = true;
    const kept = new Set([...this.#partitions.keys()].map(groupId));
    const prefix = groupId(0).slice(0, -1);
    for (const entry of await readdir(this.#options.dir, { withFileTypes: true }))
      if (entry.isDirectory() && entry.name.startsWith(prefix) && !kept.has(entry.name))
        await rm(join(this.#options.dir, entry.name), { recursive: true, force: true });
  }
}

const ARCHIVE = "/archive";

function unitText(unit: string): string {
  const prefix = groupId(0).slice(0, -1);
  return unit.startsWith(prefix) ? `partition ${unit.slice(prefix.length)}` : unit;
}
