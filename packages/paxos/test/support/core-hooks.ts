import type { Configuration, RejectReason } from "../../src/core/index.js";
import type { Change } from "../../src/core/members.js";

/** Where a mutant can break a rule inside the core: the modules that hold them are mocked, see mutants.test.ts. */
export interface CoreHooks {
  refusal(change: Change, shipped: (change: Change) => RejectReason | undefined): RejectReason | undefined;
  quorumsMeet(a: Configuration, b: Configuration): boolean;
  /** Whether a candidate counts its promises again under the log that it adopts. */
  readonly countsAgain: boolean;
  /** How an acceptor in doubt fails to be careful. */
  readonly doubt: "asks a quorum" | "helps anybody" | "promises nothing";
  /** Whether it asks only those whom the newest configurations name, chosen or not. */
  readonly asksNewest: boolean;
  /** Whether every member may lead, whatever its role. */
  readonly everybodyLeads: boolean;
  /** Whether a log gives up what is not chosen when another has no room. */
  readonly shedsUnchosen: boolean;
}
