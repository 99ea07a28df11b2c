import type { Ballot, Message } from "../../../src/core/index.js";
import type { Beat } from "./bonded.js";
import { ballotText, type Disk } from "./disks.js";
import type { BirthLetter, Host } from "./newborn.js";
import type { Install, SnapshotLetter } from "./states.js";

export interface Letter {
  readonly from: number;
  readonly to: number;
  readonly message: Message | Beat | SnapshotLetter | BirthLetter;
}

/** One node: its core, taken apart into integers, its disk, and what the invariants want to know of them. */
export interface NodeState {
  readonly node: number;
  readonly core: readonly number[];
  readonly disk: Disk;
  /** The ballot in which it leads, and the one in which it stands. */
  readonly leading: Ballot | undefined;
  readonly standing: Ballot | undefined;
  /** Numbers of its entries, slot 1 first; 0 for one that it holds no longer. In memory, and on disk. */
  readonly log: readonly number[];
  readonly durableLog: readonly number[];
  /** It takes slots through here for chosen, and has told its host so. */
  readonly chosenThrough: number;
  readonly leaseUntilMs: number;
  /** What was chosen before its reign is applied at this leader. */
  readonly ready: boolean;
  /** Who leads, as far as it knows; when its timer is due; which life of its process this is; the group is closed here. (With bonds only.) */
  readonly follows: string | undefined;
  readonly asleep: boolean;
  readonly wakeAtMs: number;
  readonly life: number;
  readonly closed: boolean;
  readonly install: Install | undefined;
  /** Where births are told. */
  readonly host: Host | undefined;
  /** The mark by which its own log knows it. */
  readonly mark: string | undefined;
  /** The storage replicas by its own log. */
  readonly storage: readonly string[];
  /** The ballot of the highest promise or acknowledgement that was ever said, in any life. */
  readonly spoken: Ballot;
  /** Its log may have forgotten its last word: which question it asks, and whether it is silent. */
  readonly doubt: { readonly id: number; readonly open: boolean } | undefined;
  /** Set when what the node did is wrong by itself. */
  readonly wrong: string | undefined;
}

/** In what it leads or stands, if it does. */
export function roleText({ leading, standing }: NodeState): string {
  if (leading !== undefined) return ` leads ${ballotText(leading)}`;
  return standing === undefined ? "" : ` stands ${ballotText(standing)}`;
}

/** What becomes of a node by one event. */
export interface Reaction {
  readonly next: number;
  readonly sent: readonly number[];
  /** Entries reported as chosen: slot, number of the entry. */
  readonly chosen: readonly (readonly [number, number])[];
  /** The read that was asked for may be answered with what is applied through here. */
  readonly readable: number | undefined;
  /** Of a proposal: not taken. */
  readonly refused: boolean;
  /** The disk, or who leads, is another than before; or something is reported, or wrong. */
  readonly notable: boolean;
  /** Costs nothing of what the model allows of its kind. */
  readonly unpaid?: boolean;
}
