import { sameBallot } from "../core/ballot.js";
import type { PaxosCore } from "../core/core.js";
import { PaxosError } from "../core/errors.js";
import type { Leadership } from "./group.js";

export interface HandOverParts {
  readonly groupId: string;
  readonly core: PaxosCore;
  readonly leadership: () => Leadership;
  readonly begin: () => void;
  /** Looks again at each of the group's moments. */
  readonly until: (condition: () => boolean) => Promise<void>;
}

/** Resolves when this node does not lead in its present ballot any more; rejects when it goes on. */
export async function handOver(to: string, { groupId, core, leadership, begin, until }: HandOverParts): Promise<void> {
  const { ballot } = leadership();
  const leads = () => leadership().leading && sameBallot(leadership().ballot, ballot);
  begin();
  await until(() => !leads() || core.heir === undefined);
  if (!leads()) return;
  const message = `group ${groupId}: ${to} could not take over, is it a storage replica that keeps up?`;
  throw new PaxosError("ERR_PAXOS_OVERLOADED", message);
}
