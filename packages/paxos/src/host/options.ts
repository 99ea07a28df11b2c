import { checkOptions } from "../core/check-options.js";
import { badArgument, checkInteger } from "../core/errors.js";
import { settings } from "../core/options.js";
import { Tails } from "../core/tails.js";
import type { CoreOptions } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import type { Transport } from "../transport/transport.js";

/** Times and bounds of every group's core, see `CoreOptions`. */
export type GroupTuning = Omit<
  CoreOptions,
  | "nodeId"
  | "members"
  | "random"
  | "role"
  | "awaitsState"
  | "mute"
  | "doubtful"
  | "takesRequests"
  | "tails"
  // What `outstandingMax` and `outstandingBytesMax` are to a core.
  | "queueMax"
  | "queueBytesMax"
>;

export interface GroupHostOptions extends GroupTuning {
  /** Name of this node, the transport's unless told. A name is never given to another node, nor to this one with an emptied disk. */
  readonly nodeId?: string;
  /** Where the node stands; only said in `status()`. */
  readonly zone?: string;
  /** Closed together with the host. */
  readonly transport: Transport | Promise<Transport>;
  /** Where each group's log lives, `walStorage(wal)` or `memoryStorage()`. What is behind it is closed by who opened it, after the host. */
  readonly storage: (groupId: string) => GroupStorage;
  /** Monotonic, in milliseconds. `performance.now` unless told. */
  readonly now?: () => number;
  /** Uniform in [0, 1). `Math.random` unless told. */
  readonly random?: () => number;
  /** How often the groups look at the clock, one timer for all. 10 unless told; a fraction of `heartbeatMs`. */
  readonly tickMs?: number;
  /** Commands submitted in one group and not yet applied; beyond it `ERR_PAXOS_OVERLOADED`. 8,192 unless told. */
  readonly outstandingMax?: number;
  /** Their bytes. 16 MiB unless told. */
  readonly outstandingBytesMax?: number;
  /**
   * What was submitted in that many turns of the event loop may be under way in one group; what comes meanwhile gathers into one larger write and message. More
   * is for nodes far apart, where waiting costs more than writing. 2 unless told.
   */
  readonly batchesMax?: number;
  /**
   * A group that has slept for this long is packed: its replica is let go of but for a hundred bytes or two, and put together again when something concerns it. Where more than a thousand
   * sleep unpacked, the eldest are packed after a second, so that they are some twenty megabytes; there is room for more, up to 17,384, where those are asked for again before they would have been packed by their age. 30,000 unless told: code that ran for one object is compiled anew for the next, so what is
   * asked again soon after it was packed is served slower for a while. `Number.MAX_SAFE_INTEGER`: never, however many they are.
   */
  readonly packAfterMs?: number;
  /**
   * Log that is kept for replicas that lag, in each group that lets go of its log by itself (see `StateMachine.durableThrough`; log replicas always do).
   * Whoever lags further gets a snapshot. 256 MiB unless told.
   */
  readonly logKeptBytesMax?: number;
  /**
   * The same of all groups of this node together: beyond it those that keep most let go of the older half, as far as each may (`GroupHostStats.logKeptBytes`). Groups that keep less than
   * 16 KiB are left alone and not counted. In bytes, from 0 (every log goes as soon as it may); 4 GiB unless told. The files of a `walStorage` are some more than twice as much at most.
   */
  readonly logsKeptBytesMax?: number;
  /**
   * Chosen entries kept in memory for laggards, of all groups of this node together. Beyond it the groups in which nothing was chosen for the longest time give theirs up, and who lags there is sent what is
   * read from the log. 256 MiB unless told.
   */
  readonly tailsBytesMax?: number;
  /** What all groups of this node together send of snapshots, in bytes a second. 64 MiB unless told. */
  readonly snapshotBytesPerSecondMax?: number;
  /** One piece of a snapshot on the wire. 256 KiB unless told. */
  readonly snapshotPieceBytes?: number;
  /**
   * Where pieces of a snapshot that is on its way here are kept until it is taken over, all but the newest 2 MiB durable before the next is asked for: after a restart of this node it goes on where it
   * was, as long as its sender still has it (30 s). A directory of this node alone, made when needed, as large as a snapshot a group on its way. Without it a restart begins the snapshot anew.
   */
  readonly snapshotDir?: string;
}

const optionNames: Record<keyof GroupHostOptions, unknown> = {
  heartbeatMs: 0,
  leaseMs: 0,
  leaseReads: 0,
  clockDriftMax: 0,
  electionJitterMs: 0,
  voteTimeoutMs: 0,
  pipelineSlotsMax: 0,
  pipelineBytesMax: 0,
  readsMax: 0,
  commandBytesMax: 0,
  messageBytesMax: 0,
  tailBytesMax: 0,
  candidateLagMax: 0,
  sleepAfterMs: 0,
  nodeId: 0,
  zone: 0,
  transport: 0,
  storage: 0,
  now: 0,
  random: 0,
  tickMs: 0,
  outstandingMax: 0,
  outstandingBytesMax: 0,
  batchesMax: 0,
  packAfterMs: 0,
  quorumLostMs: 0,
  diskStallMs: 0,
  logKeptBytesMax: 0,
  logsKeptBytesMax: 0,
  tailsBytesMax: 0,
  snapshotBytesPerSecondMax: 0,
  snapshotPieceBytes: 0,
  snapshotDir: 0,
};

/** @throws PaxosError ERR_PAXOS_ARGUMENT */
export function checkHostOptions(options: GroupHostOptions): GroupHostOptions {
  return checkOptions("GroupHost.open", options, optionNames);
}

export interface HostSettings {
  readonly nodeId: string;
  readonly zone: string | undefined;
  readonly storage: (groupId: string) => GroupStorage;
  readonly now: () => number;
  readonly random: () => number;
  readonly tickMs: number;
  readonly outstandingMax: number;
  readonly outstandingBytesMax: number;
  readonly logKeptBytesMax: number;
  readonly logsKeptBytesMax: number;
  readonly snapshotBytesPerSecondMax: number;
  readonly snapshotPieceBytes: number;
  readonly snapshotDir: string | undefined;
  readonly batchesMax: number;
  readonly packAfterMs: number;
  readonly commandBytesMax: number;
  readonly readsMax: number;
  readonly tails: Tails;
  /** With the above. */
  readonly tuning: GroupTuning & Pick<CoreOptions, "tails">;
}

export function hostSettings(options: GroupHostOptions, transport: Transport): HostSettings {
  const {
    nodeId = transport.nodeId,
    zone,
    transport: _,
    storage,
    now = () => performance.now(),
    random = Math.random,
    tickMs = 10,
    outstandingMax = 8192,
    outstandingBytesMax = 16 * 1024 * 1024,
    logKeptBytesMax = 256 * 1024 * 1024,
    logsKeptBytesMax = 4 * 1024 * 1024 * 1024,
    snapshotBytesPerSecondMax = 64 * 1024 * 1024,
    snapshotPieceBytes = 256 * 1024,
    snapshotDir,
    batchesMax = 2,
    tailsBytesMax = 256 * 1024 * 1024,
    packAfterMs = 30_000,
    ...tuning
  } = options;
  if (nodeId !== transport.nodeId) throw badArgument("nodeId", `the transport's, ${transport.nodeId}`, nodeId);
  if (typeof storage !== "function") throw badArgument("storage", "a function from group id to storage", storage);
  if (snapshotDir !== undefined && (typeof snapshotDir !== "string" || snapshotDir === "")) {
    throw badArgument("snapshotDir", "the path of a directory", snapshotDir);
  }
  if (typeof now !== "function") throw badArgument("now", "a function", now);
  if (typeof random !== "function") throw badArgument("random", "a function", random);
  const tails = new Tails(checkInteger("tailsBytesMax", tailsBytesMax, 0, Number.MAX_SAFE_INTEGER));
  const checked = {
    tickMs: checkInteger("tickMs", tickMs, 1, 60_000),
    outstandingMax: checkInteger("outstandingMax", outstandingMax, 1, 1 << 20),
    outstandingBytesMax: checkInteger("outstandingBytesMax", outstandingBytesMax, 1, 2 ** 30),
    logKeptBytesMax: checkInteger("logKeptBytesMax", logKeptBytesMax, 0, Number.MAX_SAFE_INTEGER),
    logsKeptBytesMax: checkInteger("logsKeptBytesMax", logsKeptBytesMax, 0, Number.MAX_SAFE_INTEGER),
    snapshotBytesPerSecondMax: checkInteger("snapshotBytesPerSecondMax", snapshotBytesPerSecondMax, 1, 2 ** 40),
    snapshotPieceBytes: checkInteger("snapshotPieceBytes", snapshotPieceBytes, 1, 2 ** 24),
    packAfterMs: checkInteger("packAfterMs", packAfterMs, 0, Number.MAX_SAFE_INTEGER),
    batchesMax: checkInteger("batchesMax", batchesMax, 1, 1 << 20),
  };
  // Whatever the group's own bound lets in must find room in the core's queue: a submitted command has its slot already.
  const ofEachGroup = { ...tuning, tails, queueMax: outstandingMax, queueBytesMax: outstandingBytesMax };
  // What is for the groups is refused here already, not when the first of them is joined.
  settings({ ...ofEachGroup, nodeId, members: [nodeId], random });
  return {
    nodeId,
    zone,
    storage,
    now,
    random,
    ...checked,
    snapshotDir,
    commandBytesMax: tuning.commandBytesMax ?? 1024 * 1024,
    readsMax: tuning.readsMax ?? 65_536,
    tails,
    tuning: ofEachGroup,
  };
}
