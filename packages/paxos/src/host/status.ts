import { type MemberRole, nodesOf } from "../core/configuration.js";
import type { PaxosCore } from "../core/core.js";
import type { PaxosError } from "../core/errors.js";
import type { GroupStorage } from "../storage/storage.js";
import type { Applier } from "./applier.js";
import type { GroupStatus, Leadership } from "./group.js";
import type { HostSettings } from "./options.js";

export interface StatusParts {
  readonly groupId: string;
  readonly settings: HostSettings;
  readonly role: MemberRole;
  readonly core: PaxosCore;
  readonly storage: Pick<GroupStorage, "trimmedThrough">;
  readonly applier: Pick<Applier<unknown>, "appliedThrough" | "behind">;
  readonly clients: number;
  readonly leadership: Leadership;
  readonly outstanding: number;
  readonly failure: PaxosError | undefined;
}

export function statusOf(parts: StatusParts): GroupStatus {
  const { groupId, role, core, storage, applier, failure, outstanding, clients } = parts;
  const { nodeId, zone, now } = parts.settings;
  const { leading, ready, ballot, leader } = parts.leadership;
  return {
    groupId,
    nodeId,
    zone,
    members: nodesOf(core.configuration),
    role,
    leader,
    leading,
    ready,
    ballot,
    chosenThrough: core.chosenThrough,
    appliedThrough: applier.appliedThrough,
    trimmedThrough: storage.trimmedThrough,
    leaseRemainingMs: ready ? core.leaseRemainingMs(now()) : 0,
    awaitsSnapshot: applier.behind,
    voting: core.voting,
    departed: core.departed,
    asleep: failure === undefined && core.asleep,
    outstanding,
    clients,
    failure,
  };
}
