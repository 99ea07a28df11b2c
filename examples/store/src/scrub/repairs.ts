import { setTimeout as delay } from "node:timers/promises";
import type { Audit, RepairResult } from "@evenkeel/scrubber";
import {
  ArchiveError,
  type ArchiveReport,
  type ObjectStore,
  restoreState,
  retain,
  verifyArchive,
} from "@evenkeel/wal/archive";
import type { Fleet } from "../control/fleet.js";
import { reachableStatuses } from "../control/reachable-statuses.js";
import { groupId } from "../metadata/records.js";
import { reason } from "../reason.js";
import type { LeaderCalls } from "../router/leader-calls.js";
import { firstOf } from "../storage-node/archive-mending.js";
import { isVouchedForAgain } from "../storage-node/archiving.js";
import type { PartitionStatus } from "../storage-node/status.js";
import { isOldest, nextBeginning, placeOf } from "./archive-places.js";

/** What became of one repair that was asked for. */
export interface StoreRepair {
  /** A key of a partition, an object of the archive, a node with its log. */
  readonly what: string;
  /**
   * As in the package, and `rebuilding`: the node begins anew under another name, and is given what it had by the others; `shortened`: the archive begins later now,
   * because what it began with was damaged and nothing could make it anew. `why` says what that costs.
   */
  readonly outcome: RepairResult["outcome"] | "rebuilding" | "shortened";
  readonly why?: string | undefined;
}

export interface RepairChoices {
  /**
   * Where what an archive begins with is damaged: whether it may begin later, which gives up the moments before that for good. False by default: then it is made sure that there is a
   * later snapshot, and nothing is let go of.
   */
  readonly shortenArchive?: boolean;
}

export interface RepairParts {
  readonly fleet: Fleet;
  readonly archive: ObjectStore;
  readonly calls: Pick<LeaderCalls, "call">;
  readonly audit: Audit;
}

const TELL_MS_MAX = 15_000;
const TELL_AGAIN_MS = 200;
/** With writes going on, who follows is nearly always a heartbeat behind. */
const CATCH_UP_MS_MAX = 5_000;
const LOOK_AGAIN_MS = 100;

/** Sets right what is damaged in the archive of one partition: objects out of the log, while it reaches; snapshots by another one, out of the tree. */
export async function repairArchive(
  { fleet, archive, calls, audit }: RepairParts,
  partition: number,
  members: readonly string[],
  { shortenArchive = false }: RepairChoices = {},
): Promise<StoreRepair[]> {
  const stream = groupId(partition);
  const writeSnapshot = async () => (await calls.call(partition, members, "snapshot", { partition })).slot;
  const report = await verifyArchive({ store: archive, stream });
  const { problems } = report;
  const repairs: StoreRepair[] = [];
  const done = new Set<string>();
  /** Objects that nothing makes anew: their first entries, and those of what is behind them. */
  const gaps: { readonly from: number; readonly next: number }[] = [];
  for (const problem of problems) {
    const key = problem instanceof ArchiveError ? problem.key : undefined;
    const place = key === undefined ? undefined : placeOf(stream, key);
    const what = `${stream}: ${key ?? "its archive"}`;
    if (key === undefined || place === undefined) {
      repairs.push({ what, outcome: "refused", why: `nothing makes it anew: ${problem.message}` });
      continue;
    }
    const name = `${place.kind} ${place.sequence}`;
    if (done.has(name)) continue;
    done.add(name);
    const order = {
      replica: "archive",
      key: Buffer.from(key),
      value: undefined,
      before: undefined,
      at: place.sequence,
      agreed: members,
      against: "majority" as const,
    };
    const isOfLog = place.kind === "log";
    // Said to lack the log around it, and perhaps all that is left of that.
    if (!isOfLog && gaps.some(({ from, next }) => from <= place.sequence && place.sequence < next)) continue;
    const next = isOfLog ? await firstBehind(archive, stream, place.sequence) : undefined;
    const nodes = isOfLog ? await logsFrom(fleet, partition, place.sequence) : members;
    if (isOfLog && (nodes.length === 0 || isOldest(place, report))) {
      await audit({ ...order, phase: "intended" });
      const isWhole = await isVouchedForAgain({ store: archive, stream, first: place.sequence });
      await audit({ ...order, phase: "done", outcome: isWhole ? "repaired" : "refused" });
      if (isWhole) {
        repairs.push({ what, outcome: "repaired" });
        continue;
      }
    }
    const lost = { archive, audit, stream, what, order, report, write: writeSnapshot };
    if (isOldest(place, report)) {
      // One step for whatever is damaged there.
      if (done.has("the beginning")) continue;
      done.add("the beginning");
      repairs.push(await beginLater({ ...lost, shortenArchive }));
      continue;
    }
    if (isOfLog && nodes.length === 0) {
      const isBeginning = place.sequence === report.first;
      const gap = isBeginning ? {} : { gap: { from: place.sequence, next } };
      repairs.push(await beginLater({ ...lost, ...gap, shortenArchive: shortenArchive && isBeginning }));
      gaps.push({ from: place.sequence, next: next ?? Number.POSITIVE_INFINITY });
      continue;
    }
    try {
      await audit({ ...order, phase: "intended" });
      if (isOfLog) {
        const range = { first: place.sequence, ...(next === undefined ? {} : { next }) };
        await calls.call(partition, members, "mendArchive", { partition, ...range, nodes });
      } else {
        // What it stood for can be had from the one before it and the log; the next restore need not go that far back.
        await writeSnapshot();
        await removeSnapshot(archive, stream, place.sequence);
      }
      await audit({ ...order, phase: "done", outcome: "repaired" });
      repairs.push({ what, outcome: "repaired" });
    } catch (error) {
      await audit({ ...order, phase: "done", outcome: "failed", cause: error });
      repairs.push({ what, outcome: "failed", why: reason(error) });
    }
  }
  return repairs;
}

interface Beginning {
  readonly archive: ObjectStore;
  readonly audit: Audit;
  readonly stream: string;
  readonly what: string;
  readonly order: Omit<Parameters<Audit>[0], "phase">;
  readonly report: ArchiveReport;
  /** Writes another snapshot, and resolves with its slot. */
  readonly write: () => Promise<number>;
  /** Where it is in the middle of the log: its first entry, and that of the object behind it; absent: none is. What comes before is whole, and is not let go of. */
  readonly gap?: { readonly from: number; readonly next: number | undefined };
  readonly shortenArchive: boolean;
}

/**
 * What an archive begins with is damaged: a state whose log was let go of. No replica has it any more, and what comes later does not lead back to it. So
 * nothing can make it anew, and what is left to do is to have the archive begin later, with a snapshot that is whole: written now, where there is none. That gives up moments which were promised, though they
 * could not be restored any more: for a person to choose. An object in the middle to which no log goes back any more is a gap: moments behind it can be restored from the next snapshot on.
 */
async function beginLater({
  archive,
  audit,
  stream,
  what,
  order,
  report,
  write,
  gap,
  shortenArchive,
}: Beginning): Promise<StoreRepair> {
  try {
    const behind = gap === undefined ? nextBeginning(report) : gap.next && nextBeginning(report, gap.next - 1);
    const next = behind ?? (await write());
    const { snapshot } = await restoreState({ store: archive, stream, until: { sequence: next } });
    const moment = snapshot === undefined ? "" : ` (${new Date(snapshot.timeMaxMs).toISOString()})`;
    const cost = `moments from slot ${gap?.from ?? report.floor} to before slot ${next}${moment} cannot be restored, those from then on can`;
    if (gap !== undefined)
      return { what, outcome: "refused", why: `no log goes back to it and nothing makes it anew: ${cost}` };
    if (!shortenArchive)
      return {
        what,
        outcome: "refused",
        why: `nothing makes it anew: ${cost}; repair({ shortenArchive: true }) has the archive begin there`,
      };
    await audit({ ...order, phase: "intended" });
    const { floor } = await retain({ store: archive, stream, promise: { sinceSequence: next } });
    if (floor <= report.floor) throw new Error(`the snapshot at slot ${next} is not whole either: ask again`);
    await audit({ ...order, phase: "done", outcome: "repaired" });
    return { what, outcome: "shortened", why: cost };
  } catch (error) {
    if (shortenArchive) await audit({ ...order, phase: "done", outcome: "failed", cause: error });
    return { what, outcome: "failed", why: reason(error) };
  }
}

/** The members that answer and whose logs of a partition go back to this entry. */
async function logsFrom(fleet: RepairParts["fleet"], partition: number, first: number): Promise<string[]> {
  const statuses = await reachableStatuses({ members: fleet.nodeIds(), callerTo: (node) => fleet.callerTo(node) });
  const has = (node: string) => (one: PartitionStatus) =>
    one.partition === partition &&
    one.members.includes(node) &&
    one.trimmedThrough < first &&
    one.appliedThrough >= first;
  return [...statuses].flatMap(([node, { partitions }]) => (partitions.some(has(node)) ? [node] : []));
}

async function firstBehind(archive: ObjectStore, stream: string, first: number): Promise<number | undefined> {
  for await (const key of archive.list(`${stream}/`)) {
    const found = firstOf(stream, key);
    if (found !== undefined && found > first && key.endsWith(".manifest")) return found;
  }
  return undefined;
}

/** Its manifest first: what is left of it then stands for nothing. */
async function removeSnapshot(archive: ObjectStore, stream: string, sequence: number): Promise<void> {
  const prefix = `${stream}/snapshots/${String(sequence).padStart(16, "0")}`;
  await archive.delete(`${prefix}.snapshot`);
  const parts: string[] = [];
  for await (const key of archive.list(`${prefix}-`)) parts.push(key);
  for (const key of parts) await archive.delete(key);
}

/**
 * A node whose log is damaged may have forgotten what others were told of: it must not vote under its name any more. It begins anew under another
 * one, and the others give it what it had. One node at a time, and only where each of its groups has its other members, all of them up to date.
 */
export async function rebuildNode({ fleet, audit }: RepairParts, nodeId: string): Promise<StoreRepair> {
  const what = `${nodeId}: its log`;
  if (fleet.rebuild === undefined)
    return {
      what,
      outcome: "refused",
      why: "where all nodes are in one process (single), none can begin anew: stop the store, open the same directory with a process for each node, ask again, and keep to that",
    };
  const untilMs = performance.now() + CATCH_UP_MS_MAX;
  const due = new Map<number, number>();
  let missing = await missingWithout(fleet, nodeId, due);
  while (missing !== undefined && performance.now() < untilMs) {
    await delay(LOOK_AGAIN_MS);
    missing = await missingWithout(fleet, nodeId, due);
  }
  if (missing !== undefined) return { what, outcome: "absent", why: missing };
  const order = {
    replica: nodeId,
    key: Buffer.from(what),
    value: undefined,
    before: undefined,
    at: 0,
    agreed: fleet.nodeIds().filter((other) => other !== nodeId),
    against: "majority" as const,
  };
  await audit({ ...order, phase: "intended" });
  fleet.rebuild(nodeId);
  await givenUp(fleet, nodeId);
  return { what, outcome: "rebuilding" };
}

/**
 * Who of those that a node would begin anew out of is not there, or has not applied what was chosen when it was asked first (`due`, by partition); undefined where all of
 * them have it.
 */
async function missingWithout(fleet: Fleet, nodeId: string, due: Map<number, number>): Promise<string | undefined> {
  const statuses = await reachableStatuses({ members: fleet.nodeIds(), callerTo: (node) => fleet.callerTo(node) });
  const others = [...statuses.values()].filter((status) => status.nodeId !== nodeId);
  // It may be down already: the others know in which groups it is.
  const known = others.flatMap(({ partitions }) => partitions).filter(({ members }) => members.includes(nodeId));
  if (known.length === 0) return "nobody is there to give it what it had: ask again";
  const chosen = new Map<number, number>();
  for (const { partition, chosenThrough } of known)
    chosen.set(partition, Math.max(chosenThrough, chosen.get(partition) ?? 0));
  for (const [partition, slot] of chosen) if (!due.has(partition)) due.set(partition, slot);
  for (const { partition, members } of known) {
    for (const member of members) {
      if (member === nodeId) continue;
      const held = others
        .find((status) => status.nodeId === member)
        ?.partitions.find((status) => status.partition === partition);
      if (held?.voting !== true || held.appliedThrough < (due.get(partition) as number))
        return `${member} is not there for partition ${partition}, or behind: ask again`;
    }
  }
  return undefined;
}

/**
 * Tells whoever leads the metadata, so that it need not wait for a silence. It may be the very node that has just been stopped: then another one leads soon. Where nobody
 * hears it in time, healing sees it by itself, later.
 */
async function givenUp(fleet: Fleet, nodeId: string): Promise<void> {
  const untilMs = performance.now() + TELL_MS_MAX;
  while (performance.now() < untilMs) {
    for (const node of fleet.nodeIds()) {
      const told = (async () => await fleet.callerTo(node).call("giveUpNode", { nodeId }, { timeoutMs: 2_000 }))();
      if ((await told.catch(() => "not the leader")) === null) return;
    }
    await delay(TELL_AGAIN_MS);
  }
}
