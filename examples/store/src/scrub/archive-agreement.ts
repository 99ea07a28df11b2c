import { setTimeout as delay } from "node:timers/promises";
import { type Digest, keySequence, sequenceKey } from "@evenkeel/scrubber";
import { type ArchiveEntry, Archiver, type ObjectStore, restore, verifyArchive } from "@evenkeel/wal/archive";
import type { Fleet } from "../control/fleet.js";
import { reachableStatuses } from "../control/reachable-statuses.js";
import { groupId } from "../metadata/records.js";
import type { Caller } from "../rpc/protocol.js";
import { firstOf } from "../storage-node/archive-mending.js";
import { archivedForm, EVERYTHING, sameDigest } from "../storage-node/chosen-log.js";
import { StoreError } from "../storage-node/errors.js";

const TIMEOUT_MS = 30_000;
/** A whole log is read for one digest. */
const DIGEST_TIMEOUT_MS = 300_000;
const ENTRIES_BYTES_MAX = 256 * 1024;
/** With writes going on, who follows is nearly always a heartbeat behind; and who leads may just have gone. */
const CATCH_UP_MS_MAX = 5_000;
const LOOK_AGAIN_MS = 100;

/** What the logs of two nodes or more say of a stretch of slots, each for itself, and all alike. */
export interface Agreement {
  readonly nodes: readonly string[];
  readonly first: number;
  /** The archive's end. */
  readonly through: number;
  readonly digest: Digest;
}

export interface AgreementParts {
  readonly fleet: Pick<Fleet, "callerTo" | "nodeIds">;
  readonly archive: ObjectStore;
}

interface Held {
  readonly node: string;
  readonly trimmedThrough: number;
}

/**
 * What the archive has to say from one slot to its end, in the eyes of the replicas' own logs. The archive itself has no vote: it was made out of one of these logs, and would say the same as that one whatever
 * that is. Undefined where no two logs that go back so far agree, and then nobody can say what is right. Rejects with ERR_STORE_CONFLICT where one of them was trimmed meanwhile.
 */
export async function agreementOf(
  parts: AgreementParts,
  partition: number,
  first: number,
  held?: readonly Held[],
): Promise<Agreement | undefined> {
  const through = await archivedThrough(parts, partition);
  const logs = (held ?? (await logsThrough(parts, partition, through))).filter((one) => one.trimmedThrough < first);
  const window = { partition, first, through };
  const said = await Promise.allSettled(
    logs.map(async ({ node }) => {
      const options = { timeoutMs: DIGEST_TIMEOUT_MS };
      const { digests } = await parts.fleet
        .callerTo(node)
        .call("logDigests", { ...window, ranges: [EVERYTHING] }, options);
      return { node, digest: digests[0] as Digest };
    }),
  );
  const known = said.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const letGo = said.find((one) => one.status === "rejected" && isBehind(one.reason));
  if (letGo !== undefined)
    throw new StoreError("ERR_STORE_CONFLICT", `slots from ${first} on were let go of by a log meanwhile: ask again`);
  const groups = known.map(({ digest }) => known.filter((other) => sameDigest(other.digest, digest)));
  const most = groups.reduce<typeof known>((one, other) => (other.length > one.length ? other : one), []);
  const [witness] = most;
  // Of four logs (members change) two may say one thing and two another.
  if (witness === undefined || most.length < 2 || 2 * most.length <= known.length) return undefined;
  return { nodes: most.map(({ node }) => node), first, through, digest: witness.digest };
}

/** An object of the archive that is whole and says something else than the logs do. */
export interface Forged {
  /** The first entry of which that is so. */
  readonly slot: number;
  /** Made of as much of the logs as lies behind the beginning of its object, and what is to be archived again. */
  readonly agreement: Agreement;
}

/** Where the archive says something else than two logs that agree, or why that cannot be said; undefined where it says the same as far back as they go. */
export async function forgedIn(
  parts: AgreementParts,
  partition: number,
): Promise<Forged | { readonly why: string } | undefined> {
  const stream = groupId(partition);
  const logs = await logsThrough(parts, partition, await archivedThrough(parts, partition));
  const [, second] = [...logs].sort((a, b) => a.trimmedThrough - b.trimmedThrough);
  if (second === undefined)
    return { why: "fewer than two nodes have a log that goes as far as the archive does: ask again" };
  const { problems, first: begins, floor } = await verifyArchive({ store: parts.archive, stream });
  if (problems.length > 0) return { why: `it is damaged elsewhere, which comes first: ${problems[0]?.message}` };
  const from = Math.max(begins, second.trimmedThrough + 1);
  const agreement = await agreementOf(parts, partition, from, logs);
  if (agreement === undefined) return { why: `no two logs agree on what it has from slot ${from} on` };
  const slot = await firstDifference(parts, partition, agreement);
  if (slot === undefined) return undefined;
  const first = await beginningOf(parts.archive, stream, slot);
  const wrong = `entry ${slot} is not what the logs of ${agreement.nodes.join(" and ")} say`;
  if (first < from)
    return {
      why: `${wrong}; its object begins with entry ${first}, and what it has before entry ${from} nobody else has`,
    };
  if (floor > 0 && first === begins)
    return { why: `${wrong}; the archive begins with its object, and nothing makes that anew` };
  const whole = first === from ? agreement : await agreementOf(parts, partition, first, logs);
  return whole === undefined
    ? { why: `no two logs agree on what it has from slot ${first} on` }
    : { slot, agreement: whole };
}

const isBehind = (error: unknown): boolean => error instanceof StoreError && error.code === "ERR_STORE_BEHIND";

/** The first slot of which the archive says something else than the logs that agree; undefined where there is none. */
export async function firstDifference(
  { fleet, archive }: AgreementParts,
  partition: number,
  { nodes, first, through }: Agreement,
): Promise<number | undefined> {
  const caller = () => fleet.callerTo(nodes[0] as string);
  const archived = restore({ store: archive, stream: groupId(partition), from: first, until: { sequence: through } });
  try {
    for await (const { slot, form } of logged(caller, partition, first, through)) {
      const { done, value } = await archived.next();
      const entry = value as ArchiveEntry | undefined;
      if (done === true || entry?.sequence !== slot || Buffer.compare(entry.data, form) !== 0) return slot;
    }
    return undefined;
  } finally {
    await archived.return();
  }
}

async function* logged(caller: () => Caller, partition: number, first: number, through: number) {
  for (let next = first; next <= through; ) {
    const range = { from: sequenceKey(next), to: undefined };
    const params = { partition, first, through, range, bytesMax: ENTRIES_BYTES_MAX };
    const { entries } = await caller().call("logEntries", params, { timeoutMs: TIMEOUT_MS });
    // Of what is not compared nobody may say that it is the same.
    if (entries.length === 0) throw new StoreError("ERR_STORE_BEHIND", `a log has nothing at slot ${next}`);
    for (const { key, value } of entries) {
      const slot = keySequence(key);
      yield { slot, form: archivedForm(value) };
      next = slot + 1;
    }
  }
}

async function archivedThrough({ archive }: AgreementParts, partition: number): Promise<number> {
  return (await Archiver.open({ store: archive, stream: groupId(partition) })).archivedThrough;
}

/** The nodes that have applied the log through this slot, members or not; waits a moment for those that have not: the log of one of them may be the one that goes back furthest. */
async function logsThrough({ fleet }: AgreementParts, partition: number, through: number): Promise<Held[]> {
  const untilMs = performance.now() + CATCH_UP_MS_MAX;
  for (;;) {
    const callerTo = (node: string) => fleet.callerTo(node);
    const statuses = await reachableStatuses({ members: fleet.nodeIds(), callerTo, only: [partition] });
    const held = [...statuses].flatMap(([node, { partitions }]) =>
      partitions
        .filter((one) => one.partition === partition)
        .map(({ trimmedThrough, appliedThrough }) => ({ node, trimmedThrough, appliedThrough })),
    );
    const logs = held.filter(({ appliedThrough }) => appliedThrough >= through);
    if ((logs.length >= 2 && logs.length === held.length) || performance.now() >= untilMs) return logs;
    await delay(LOOK_AGAIN_MS);
  }
}

async function beginningOf(archive: ObjectStore, stream: string, slot: number): Promise<number> {
  let found = 0;
  for await (const key of archive.list(`${stream}/`)) {
    const first = firstOf(stream, key) ?? 0;
    if (first <= slot) found = Math.max(found, first);
  }
  return found;
}
