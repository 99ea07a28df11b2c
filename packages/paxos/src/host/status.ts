import { type MemberRole, nodesOf } from "../core/configuration.js";
import type { PaxosCore } from "../core/core.js";
import type { PaxosError } from "../core/errors.js";
import type { GroupStorage } from "../storage/storage.js";
import type { Applier } from "./applier.js";
import type { Callers } from "./callers.js";
import type { GroupStatus } from "./group.js";
import type { ReplicaHome } from "./home.js";

export interface StatusParts<R> {
  readonly groupId: string;
  readonly home: ReplicaHome;
  readonly role: MemberRole;
  readonly core: PaxosCore;
  readonly storage: GroupStorage;
  readonly applier: Applier<R>;
  readonly callers: Callers<R>;
  readonly failure: PaxosError | undefined;
}

export function statusOf<R>(parts: StatusParts<R>): GroupStatus {
  const { groupId, role, core, storage, applier, callers, failure } = parts;
  const { nodeId, zone, now } = parts.home.settings;
  const { leading, ready, ballot, leader } = callers.leadership.now;
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
    outstanding: callers.submissions.under.count,
    clients: applier.executor.clients?.size ?? 0,
    failure,
  };
}
