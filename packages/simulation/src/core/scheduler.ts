/** What the network and the disks need of the world: its time, and a way to make something happen later. */
export interface Scheduler {
  /** Virtual milliseconds since the world began. */
  readonly now: number;
  /** Calls `action` once, `delayMs` from now. The function returned takes it back. */
  timer(delayMs: number, action: () => void): () => void;
}
