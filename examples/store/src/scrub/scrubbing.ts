import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type Absent,
  type Divergence,
  jsonLinesAudit,
  type PassReport,
  type SavedText,
  type ScheduleClock,
  ScrubSchedule,
  type ScrubScheduleStats,
  type ScrubUnit,
} from "@evenkeel/scrubber";
import { TokenBucket } from "@evenkeel/token-bucket";
import type { ObjectStore } from "@evenkeel/wal/archive";
import type { Fleet } from "../control/fleet.js";
import { reachableStatuses } from "../control/reachable-statuses.js";
import { groupId } from "../metadata/records.js";
import { reason } from "../reason.js";
import { LeaderCalls } from "../router/leader-calls.js";
import { codeOf, StoreError } from "../storage-node/errors.js";
import { REFERENCE } from "./archive-reference.js";
import { archiveUnit } from "./archive-unit.js";
import { chosenLogsUnit } from "./chosen-logs.js";
import { findingsOf } from "./findings.js";
import { type ArchiveToRepair, finishForged, repairForged, tellForged } from "./forged-archive.js";
import { logUnit } from "./log-unit.js";
import { PartitionScrubber } from "./partition-scrubber.js";
import { type RepairChoices, type RepairParts, rebuildNode, repairArchive, type StoreRepair } from "./repairs.js";
import { textFile } from "./text-file.js";

/** What a pass may read of each replica: a small part of what a disk or a core can do, whatever the load. */
const BYTES_PER_SECOND = 16 * 1024 * 1024;
const BURST_BYTES = 1024 * 1024;
/** The longest pause for the sake of the foreground; in a period that is short for a test's sake, a short one. */
const YIELD_MS_MAX = 1_000;
const YIELDS_A_ROUND_MIN = 100;
/** How long a step takes says little of the work in it, most of it is pauses: whoever does the work, in whatever process, keeps a gentle pace by itself. */
const DUTY_MAX = 1;
const DEADLINE_MS = 30_000;
/** Before each pass it is asked which partitions there are, three times as often as there are partitions; so seldom are all of all nodes told anew, or so many times in a period. */
const LOOK_EVERY_MS = 10_000;
const LOOKS_A_PERIOD = 360;
const AUDIT = "repairs.jsonl";

export interface ScrubbingOptions {
  readonly fleet: Fleet;
  readonly archive: ObjectStore;
  /** Where references, what passes have seen, and the schedule's position are kept from one process to the next. */
  readonly dir: string;
  /** Everything is compared once in this time, if the pace allows. */
  readonly fullPassEveryMs: number;
  readonly onFinding: (line: string) => void;
  /** Time and waiting of the schedule, for whoever measures what it costs; absent: the machine's. */
  readonly clock?: ScheduleClock;
}

export interface ScrubbingStats extends ScrubScheduleStats {
  /** Lines told. */
  readonly findings: number;
}

interface Partition {
  readonly scrubber: PartitionScrubber;
  members: readonly string[];
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
  readonly #rottenArchives = new Set<number>();
  /** Whose archive has a snapshot that is not what its log says. A pass finds that once, and later ones begin behind it: so it is kept from life to life. */
  readonly #contradicted = new Set<number>();
  readonly #rottenLogs = new Set<string>();
  /** Whose logs say something else than those of the others, of which partitions. */
  readonly #oddLogs = new Map<number, ReadonlySet<string>>();
  /** How often the archive of each was made anew: what is seen of it in between is neither the old one nor the new. */
  readonly #archivedAgain = new Map<number, number>();
  readonly #changes = new Map<number, Promise<unknown>>();
  readonly #logs = new Map<string, ScrubUnit>();
  readonly #parts: RepairParts;
  #swept = false;
  #findings = 0;
  /** As of the last look. */
  #known: readonly ScrubUnit[] = [];
  #lookAtMs = 0;

  constructor(options: ScrubbingOptions) {
    this.#options = options;
    const { fleet, archive } = options;
    this.#parts = {
      fleet,
      archive,
      calls: new LeaderCalls({ callerTo: (node) => fleet.callerTo(node), deadlineMs: DEADLINE_MS }),
      audit: jsonLinesAudit(join(options.dir, AUDIT)),
    };
    this.#schedule = new ScrubSchedule({
      units: () => this.#units(),
      fullPassEveryMs: options.fullPassEveryMs,
      dutyMax: DUTY_MAX,
      yieldMsMax: Math.min(YIELD_MS_MAX, options.fullPassEveryMs / YIELDS_A_ROUND_MIN),
      bucket: {
        capacity: BURST_BYTES,
        take: (bytes, { signal }) => this.#bucket.take(bytes, { signal }),
      },
      state: textFile(join(options.dir, "schedule")),
      ...(options.clock === undefined ? {} : { clock: options.clock }),
      onReport: (unit, report) => {
        for (const line of findingsOf(report)) this.#tell(`${unitText(unit)}: ${line}`);
      },
    });
  }

  stats(): ScrubbingStats {
    return { ...this.#schedule.stats(), findings: this.#findings };
  }

  /**
   * Repairs what the last pass over everything found, and says what came of it: items through their partition's own log, objects of the archive out of the log (those that say something else than two logs that
   * agree: with all that is behind them), a node with a damaged log by having it begin anew (one node each time). Everything is written down in `repairs.jsonl` before it is done.
   */
  async repair(choices: RepairChoices = {}): Promise<readonly StoreRepair[]> {
    const repairs: StoreRepair[] = [];
    const doubted = new Map<number, readonly Divergence[]>();
    for (const [partition, divergences] of this.#found) {
      const scrubber = this.#partitions.get(partition)?.scrubber;
      const ofReference = divergences.filter(({ replica, against }) => replica === REFERENCE && against === "majority");
      if (ofReference.length > 0) doubted.set(partition, ofReference);
      const others = divergences.filter((one) => !ofReference.includes(one));
      for (const { key, replica, outcome, cause } of (await scrubber?.repair({ divergences: others })) ?? []) {
        const what = `${groupId(partition)}: ${Buffer.from(key).toString("hex")} on ${replica}`;
        repairs.push({ what, outcome, why: cause === undefined ? undefined : String(cause) });
      }
    }
    // Before the archive: who cannot read its log cannot make an object of it anew, and leads no more afterwards.
    const odd = [...this.#oddLogs.values()].flatMap((nodes) => [...nodes]);
    for (const nodeId of new Set([...this.#rottenLogs, ...odd])) {
      if (repairs.some(({ outcome }) => outcome === "rebuilding"))
        repairs.push({ what: `${nodeId}: its log`, outcome: "absent", why: "another node begins anew: ask again" });
      else repairs.push(await rebuildNode(this.#parts, nodeId));
    }
    for (const [partition, { members }] of this.#partitions) {
      const archive = { partition, members, begun: this.#begun(partition) };
      const isBegun = Boolean(await archive.begun.load());
      const goneOn = isBegun ? await this.#changing(partition, () => this.#finish(archive)) : [];
      repairs.push(...goneOn);
      if (goneOn.length > 0 || this.#rottenArchives.has(partition))
        repairs.push(...(await repairArchive(this.#parts, partition, members, choices)));
      const divergences = doubted.get(partition);
      if (divergences !== undefined || this.#contradicted.has(partition))
        repairs.push(
          ...(await this.#changing(partition, () => this.#repairDoubted(archive, divergences ?? [], choices))),
        );
      else if ((this.#oddLogs.get(partition)?.size ?? 0) > 0)
        repairs.push(...(await tellForged(this.#parts, partition)));
    }
    return repairs;
  }

  async #finish(archive: ArchiveToRepair): Promise<readonly StoreRepair[]> {
    const finished = await finishForged(this.#parts, archive);
    // What the reference has of it is the old one.
    await this.#partitions.get(archive.partition)?.scrubber.lookAgain({ divergences: [] });
    return finished;
  }

  /** What the archive says is not what the replicas hold. */
  async #repairDoubted(
    archive: ArchiveToRepair,
    divergences: readonly Divergence[],
    choices: RepairChoices,
  ): Promise<StoreRepair[]> {
    const { partition, members } = archive;
    const [again] = await repairForged(this.#parts, archive);
    if (again !== undefined && again.outcome !== "repaired") return [again];
    // Snapshots say from which log they were made.
    const snapshots = again === undefined ? [] : await repairArchive(this.#parts, partition, members, choices);
    if (again !== undefined) await this.#isContradicted(partition, false);
    const looked = (await this.#partitions.get(partition)?.scrubber.lookAgain({ divergences })) ?? [];
    const [still] = looked.filter(({ outcome }) => outcome !== "healed");
    const key = still === undefined ? "" : Buffer.from(still.key).toString("hex");
    if (again !== undefined)
      return [
        still === undefined ? again : { ...again, outcome: "failed", why: `key ${key} still differs` },
        ...snapshots,
      ];
    const what = `${groupId(partition)}: its archive`;
    if (this.#contradicted.has(partition)) {
      const why =
        "a snapshot is not what the log before it says, and as far back as two logs go that says what they say";
      return [{ what, outcome: "refused", why }];
    }
    if (still === undefined) return [{ what, outcome: "healed", why: "the reference was built anew" }];
    const why = `key ${key} differs from what the replicas hold, and as far back as two logs go it says what they say`;
    return [{ what, outcome: still.outcome === "absent" ? "absent" : "refused", why }];
  }

  /** Passes that run meanwhile are not believed, and others wait: they would have more archived. */
  async #changing(partition: number, work: () => Promise<readonly StoreRepair[]>): Promise<readonly StoreRepair[]> {
    const count = () => this.#archivedAgain.set(partition, (this.#archivedAgain.get(partition) ?? 0) + 1);
    count();
    const done = work()
      .catch((error: unknown): StoreRepair[] => [
        { what: `${groupId(partition)}: its archive`, outcome: "failed", why: reason(error) },
      ])
      .finally(() => {
        this.#changes.delete(partition);
        count();
      });
    this.#changes.set(partition, done);
    return await done;
  }

  async #isContradicted(partition: number, is: boolean): Promise<void> {
    if (is) this.#contradicted.add(partition);
    else this.#contradicted.delete(partition);
    await this.#contradiction(partition).save(is ? CONTRADICTED : "");
  }

  #contradiction(partition: number): SavedText {
    return textFile(join(this.#dirOf(partition), "contradicted"));
  }

  #begun(partition: number): SavedText {
    return textFile(join(this.#dirOf(partition), "archived-again"));
  }

  /** The same for a node that its log keeps from starting, of which no pass can say so. */
  async rebuild(nodeId: string): Promise<StoreRepair> {
    return await rebuildNode(this.#parts, nodeId);
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

  async #units(): Promise<readonly ScrubUnit[]> {
    const nowMs = performance.now();
    if (nowMs >= this.#lookAtMs) {
      this.#known = await this.#unitsNow();
      this.#lookAtMs = nowMs + Math.min(LOOK_EVERY_MS, this.#options.fullPassEveryMs / LOOKS_A_PERIOD);
    }
    return this.#known;
  }

  /** Which partitions there are now. Rejects while fewer than a majority of the nodes say so: what nobody speaks of need not be gone. */
  async #unitsNow(): Promise<readonly ScrubUnit[]> {
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
      else {
        known.members = held;
        known.scrubber.setMembers(held);
      }
    }
    for (const [partition, { scrubber }] of this.#partitions) {
      if (members.has(partition)) continue;
      this.#partitions.delete(partition);
      this.#found.delete(partition);
      this.#rottenArchives.delete(partition);
      this.#contradicted.delete(partition);
      this.#oddLogs.delete(partition);
      await scrubber.close();
      await rm(this.#dirOf(partition), { recursive: true, force: true });
    }
    await this.#sweep();
    this.#tellNodes(nodes);
    return [...[...this.#partitions.values()].flatMap(({ units }) => units), ...this.#logs.values()];
  }

  #tellNodes(nodes: readonly string[]): void {
    for (const nodeId of this.#logs.keys()) {
      if (nodes.includes(nodeId)) continue;
      this.#logs.delete(nodeId);
      this.#rottenLogs.delete(nodeId);
    }
    for (const nodeId of nodes) {
      if (this.#logs.has(nodeId)) continue;
      const log = logUnit(`log/${nodeId}`, nodeId, () => this.#options.fleet.callerTo(nodeId));
      this.#logs.set(nodeId, noting(log, this.#rottenLogs, nodeId));
    }
  }

  async #open(partition: number, members: readonly string[]): Promise<Partition> {
    const { fleet, archive, dir } = this.#options;
    const name = groupId(partition);
    if ((await this.#contradiction(partition).load()) === CONTRADICTED) this.#contradicted.add(partition);
    const scrubber = await PartitionScrubber.open({
      partition,
      members,
      callerTo: (node) => fleet.callerTo(node),
      archive,
      dir: this.#dirOf(partition),
      auditPath: join(dir, AUDIT),
    });
    const replicas: ScrubUnit = {
      name,
      pass: async (options) => {
        const report = await this.#unlessChanged(partition, () => scrubber.pass(options));
        // One that went on where another was interrupted has not looked at what came before.
        const before = options.from === undefined ? [] : (this.#found.get(partition) ?? []);
        this.#found.set(partition, [...before, ...report.divergences]);
        if (report.absent.some(isContradicted)) await this.#isContradicted(partition, true);
        return report;
      },
    };
    const whole = archiveUnit(`${name}/archive`, archive, name);
    const archived: ScrubUnit = {
      name: whole.name,
      pass: (options) => this.#unlessChanged(partition, () => whole.pass(options)),
    };
    const compared = chosenLogsUnit({
      name: `${name}/log`,
      partition,
      members: () => this.#partitions.get(partition)?.members ?? members,
      callerTo: (node) => fleet.callerTo(node),
    });
    const logs: ScrubUnit = {
      name: compared.name,
      pass: async (options) => {
        const report = await compared.pass(options);
        const convicted = report.divergences.filter(({ against }) => against !== "none").map(({ replica }) => replica);
        const before = options.from === undefined ? [] : (this.#oddLogs.get(partition) ?? []);
        this.#oddLogs.set(partition, new Set([...before, ...convicted]));
        return report;
      },
    };
    return { scrubber, members, units: [replicas, noting(archived, this.#rottenArchives, partition), logs] };
  }

  /** A pass during which the archive was made anew has compared two different ones: nothing of it is told, and it is not complete. */
  async #unlessChanged(partition: number, pass: () => Promise<PassReport>): Promise<PassReport> {
    await this.#changes.get(partition);
    const before = this.#archivedAgain.get(partition);
    const report = await pass();
    if (this.#archivedAgain.get(partition) === before) return report;
    return { ...report, complete: false, absent: [], divergences: [], unreadable: [], unexamined: [], unstable: [] };
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

const CONTRADICTED = "a snapshot of the archive is not what its log says";

const isContradicted = ({ replica, cause }: Absent): boolean =>
  replica === REFERENCE && codeOf(cause) === "ERR_STORE_CORRUPT";

/** Remembers whose unit had something that cannot be read, as of its last pass. */
function noting<T>(unit: ScrubUnit, rotten: Set<T>, of: T): ScrubUnit {
  return {
    name: unit.name,
    async pass(options) {
      const report = await unit.pass(options);
      if (report.unreadable.length > 0) rotten.add(of);
      else if (options.from === undefined) rotten.delete(of);
      return report;
    },
  };
}

function unitText(unit: string): string {
  const prefix = groupId(0).slice(0, -1);
  return unit.startsWith(prefix) ? `partition ${unit.slice(prefix.length)}` : unit;
}
