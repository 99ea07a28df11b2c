export interface PartitionStatus {
  readonly partition: number;
  readonly leading: boolean;
  readonly ready: boolean;
  /** False on a disk that is empty, until the other members have said that they know of no other one. */
  readonly voting: boolean;
  readonly leader?: string | undefined;
  readonly chosenThrough: number;
  readonly appliedThrough: number;
  /** Applied and on disk in the B-tree. */
  readonly durableThrough: number;
  /** Writes that are applied in memory and on their way to the B-tree. */
  readonly backlog: number;
  readonly backlogBytes: number;
  readonly trimmedThrough: number;
  readonly archivedThrough: number;
  /** Items that transactions have prepared, where this node leads; 0 elsewhere. */
  readonly prepared: number;
  /** Who holds a replica, as this node's log has it. */
  readonly members: readonly string[];
}

export interface NodeStatus {
  readonly nodeId: string;
  readonly zone: string;
  readonly partitions: readonly PartitionStatus[];
  /** Partitions of which the node keeps the log, and nothing else. */
  readonly logReplicas: readonly number[];
}
