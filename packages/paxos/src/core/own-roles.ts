/** What an acceptor needs to know of the leader or candidate that lives in the same replica. */
export interface OwnRoles {
  /** Whether this replica leads and its lease, by its own careful count, still runs. */
  leaseHeld(): boolean;
  /** Somebody else's ballot stands above ours: stop leading or standing. */
  yield(): void;
}

/** The same of the election alone, which is asked for each of a leader's messages. */
export interface OwnElection {
  /** A leader's message came: no reason to stand before `waitMs` and its grant are over. */
  heard(waitMs?: number): void;
  /** Nothing is to be expected of the leader any more, as long as its node lives. */
  sleep(): void;
}
