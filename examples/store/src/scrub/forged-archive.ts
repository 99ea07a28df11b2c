import type { SavedText } from "@evenkeel/scrubber";
import { verifyArchive } from "@evenkeel/wal/archive";
import { groupId } from "../metadata/records.js";
import { keyOf } from "../storage-node/archive-mending.js";
import { StoreError } from "../storage-node/errors.js";
import { type Agreement, agreementOf, firstDifference, forgedIn } from "./archive-agreement.js";
import { placeOf } from "./archive-places.js";
import type { RepairParts, StoreRepair } from "./repairs.js";

/** The leader archives by itself, and what an agreement is about ends where the archive ended then. */
const ATTEMPTS_MAX = 5;

export interface ArchiveToRepair {
  readonly partition: number;
  readonly members: readonly string[];
  /** From which entry on it is being archived again: kept while that is under way, for whoever goes on after it was broken off. */
  readonly begun: SavedText;
}

/**
 * An archive whose checksums are all right and which says something else than the replicas: its log was forged, or went bad, before it was archived. Where two logs still agree on what was chosen, it is archived again out of a log
 * that says the same, from the object of the first difference on; otherwise that is refused. Empty where the archive says what the logs say, as far back as two of them go.
 */
export async function repairForged(parts: RepairParts, archive: ArchiveToRepair): Promise<readonly StoreRepair[]> {
  return await attempts(async () => {
    const forged = await forgedIn(parts, archive.partition);
    if (forged === undefined) return [];
    if ("why" in forged)
      return [{ what: `${groupId(archive.partition)}: its archive`, outcome: "refused", why: forged.why }];
    return [await archivedAgain(parts, archive, forged.agreement)];
  });
}

/** Goes on where archiving again was broken off; empty where it was not. */
export async function finishForged(parts: RepairParts, archive: ArchiveToRepair): Promise<readonly StoreRepair[]> {
  const first = Number(await archive.begun.load());
  if (!(first > 0)) return [];
  return await attempts(async () => {
    const agreement = await agreementOf(parts, archive.partition, first);
    if (agreement !== undefined) return [await archivedAgain(parts, archive, agreement)];
    const what = `${groupId(archive.partition)}: ${keyOf(groupId(archive.partition), first)}`;
    return [
      {
        what,
        outcome: "absent",
        why: `no two logs that go back to entry ${first} agree on what follows: ask again`,
      },
    ];
  });
}

/**
 * Where one log is the odd one, and what the replicas hold agrees with the archive, as far as is known: whether the archive has it from that log. It is left as it is, because logs alone are not believed
 * against all that is held; nothing to tell where it says what two logs say.
 */
export async function tellForged(parts: RepairParts, partition: number): Promise<readonly StoreRepair[]> {
  const forged = await forgedIn(parts, partition).catch(() => undefined);
  if (forged === undefined || "why" in forged) return [];
  const { slot, agreement } = forged;
  const why = `entry ${slot} is not what the logs of ${agreement.nodes.join(" and ")} say, and no pass has found an item that tells which is right: it is left as it is`;
  return [{ what: `${groupId(partition)}: its archive`, outcome: "refused", why }];
}

async function archivedAgain(
  parts: RepairParts,
  { partition, members, begun }: ArchiveToRepair,
  agreement: Agreement,
): Promise<StoreRepair> {
  const { nodes, first, through, digest } = agreement;
  const key = keyOf(groupId(partition), first);
  const what = `${groupId(partition)}: ${key}`;
  const order = {
    replica: "archive",
    key: Buffer.from(key),
    value: undefined,
    before: undefined,
    at: first,
    agreed: nodes,
    against: "majority" as const,
  };
  await parts.audit({ ...order, phase: "intended" });
  try {
    await begun.save(String(first));
    await parts.calls.call(partition, members, "archiveAgain", { partition, first, through, digest, nodes });
    const wrong = await firstDifference(parts, partition, agreement);
    if (wrong !== undefined) throw new Error(`entry ${wrong} is still not what the logs of ${nodes.join(" and ")} say`);
    // A leader that has taken over meanwhile may have gone on behind what was there before.
    const { problems } = await verifyArchive({ store: parts.archive, stream: groupId(partition) });
    const problem = problems.find(({ key: at }) => at !== undefined && placeOf(groupId(partition), at)?.kind === "log");
    if (problem !== undefined) throw problem;
    await begun.save("");
  } catch (cause) {
    await parts.audit({ ...order, phase: "done", outcome: "failed", cause });
    throw cause;
  }
  await parts.audit({ ...order, phase: "done", outcome: "repaired" });
  return {
    what,
    outcome: "repaired",
    why: `archived again through entry ${through}, as the logs of ${nodes.join(" and ")} have it`,
  };
}

/** Again where the archive has grown in between: nothing was done then. */
async function attempts<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== "ERR_STORE_CONFLICT" || attempt === ATTEMPTS_MAX)
        throw error;
    }
  }
}
