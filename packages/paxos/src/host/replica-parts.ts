import type { Configuration, MemberRole } from "../core/configuration.js";
import type { PaxosCore } from "../core/core.js";
import type { GroupStorage } from "../storage/storage.js";
import type { Executor } from "./executor.js";
import type { GroupHandle } from "./group-handle.js";
import type { LeadershipNews } from "./leadership.js";
import type { ReplicaMemory } from "./memory.js";
import type { Recovered } from "./recover.js";
import type { StateMachine } from "./state-machine.js";

/** What a replica is put together from, once its log has been read. */
export interface ReplicaParts<R> {
  readonly groupId: string;
  /** The id as it stands in envelopes. */
  readonly wireId: Buffer;
  readonly role: MemberRole;
  readonly founders: Configuration;
  readonly core: PaxosCore;
  readonly storage: GroupStorage;
  readonly machine: StateMachine<R>;
  readonly executor: Executor<R>;
  readonly clientsMax: number | undefined;
  readonly recovered: Recovered;
  /** Of one that was packed, and goes on where it was. */
  readonly memory?: ReplicaMemory;
  readonly listeners?: LeadershipNews["listeners"] | undefined;
  readonly handle: GroupHandle<R>;
}
