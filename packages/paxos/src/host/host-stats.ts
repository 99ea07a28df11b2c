export interface GroupHostStats {
  readonly groups: number;
  readonly groupsLed: number;
  readonly outstanding: number;
  readonly commandsApplied: number;
  /** Groups that sleep here: no messages, no timer. */
  readonly groupsAsleep: number;
  /** Those of them that have slept for a while: nothing is left of them in memory but some bytes. */
  readonly groupsPacked: number;
  /** In which they are kept, all together. */
  readonly packedBytes: number;
  /** Entries that are in memory for laggards, in all groups together, as `tailsBytesMax` bounds them: commands and 32 bytes each. */
  readonly tailBytes: number;
  /** What the logs of all groups that let go by themselves keep for laggards, in groups of 16 KiB or more, as `logsKeptBytesMax` bounds it. */
  readonly logKeptBytes: number;
  /** Beats from node to node, one a heartbeat and node, whatever the number of groups. */
  readonly beatsSent: number;
  /** About single groups. */
  readonly messagesSent: number;
  readonly envelopesSent: number;
  readonly messagesReceived: number;
  /** Messages for groups that are not here. */
  readonly messagesForNobody: number;
  /** Envelopes or messages that could not be read. */
  readonly messagesUnreadable: number;
}
