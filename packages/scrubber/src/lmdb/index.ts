export { LmdbReplica, type LmdbReplicaOptions, type LmdbReplicaStats, type LmdbChange } from "./lmdb-replica.js";
export type { LmdbLike, LmdbReadTransaction } from "./lmdb-like.js";
