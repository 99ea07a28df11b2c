import type { Bonds } from "../core/bonds.js";
import type { Message } from "../core/messages.js";
import type { BirthMarks } from "./birth-marks.js";
import type { GroupHandle } from "./group-handle.js";
import type { HostMessage } from "./host-messages.js";
import type { KeptLogs } from "./kept-logs.js";
import type { Teller } from "./microtask.js";
import type { HostSettings } from "./options.js";
import type { Pace } from "./pace.js";
import type { Replica } from "./replica.js";

export interface Addressed {
  /** The group's id as it stands in envelopes. */
  readonly wireId: Buffer;
}

/** What a replica needs of its host. */
export interface ReplicaHome {
  readonly settings: HostSettings;
  /** What all groups together send of snapshots. */
  readonly pace: Pace;
  /** What all groups together keep of their logs. */
  readonly keptLogs: Pick<KeptLogs<GroupHandle<unknown>>, "weighed" | "forget">;
  /** Puts a message into the envelope for `to` that leaves at the end of the turn. */
  post(to: string, replica: Addressed, message: Message): void;
  /** The same for a part of a snapshot. */
  postHost(to: string, replica: Addressed, message: HostMessage): void;
  /** Of logs that are born in this life of the node. */
  readonly marks: BirthMarks;
  /** How this node stands with the others. */
  readonly bonds: Bonds;
  /** Whether it sleeps, and under whom, may have changed. */
  settle(replica: Replica<unknown>): void;
  /** These are members of a group here: bonds are kept with them. */
  know(nodes: readonly string[]): void;
  /** Has `tick` called when its `wakeAtMs` comes, at the latest. */
  plan(replica: Replica<unknown>): void;
  /** Has it tell behind everything that the log or whoever else calls back just now has to say: what that was about is told to each group once. */
  soon(teller: Teller): void;
  /** Has `turn` called at the end of this turn of the event loop. */
  due(replica: Replica<unknown>): void;
}
