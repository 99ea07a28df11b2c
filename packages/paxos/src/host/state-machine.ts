/** What a group replicates. Lives beside the group; the group calls it, one call at a time, from the event loop's turn. */
export interface StateMachine<R = unknown> {
  /** The slot through which its state is durable at the time of `join`: replay starts behind it. 0 for one that begins anew each time. */
  readonly appliedThrough: number;
  /**
   * Carries out one chosen command and returns what `propose` answers. Synchronous and deterministic; called in slot order, exactly once a
   * slot in one life of the process. `command` is shared with the log: read it, keep it if you like, never write to it.
   * Throwing stops the group on this node (`ERR_PAXOS_APPLY`): a replica that skips a command is no replica any more.
   */
  apply(entry: { readonly slot: number; readonly command: Uint8Array }): R;
  /** Everything through `slot` is applied, among it slots without a command. Called after each run of `apply`. */
  advance?(slot: number): void;
}
