import { type Configuration, founded } from "./configuration.js";
import { badArgument, checkInteger } from "./errors.js";
import { Tails } from "./tails.js";
import type { CoreOptions } from "./types.js";

/** `CoreOptions` with every default filled in, and what follows from them. */
export interface Settings extends Required<Omit<CoreOptions, "nodeId" | "members" | "tails">> {
  readonly nodeId: string;
  readonly tails: Tails | undefined;
  readonly founders: Configuration;
  /** How much of a grant the leader may use, by its own clock, from the moment it sent the message that was answered. */
  readonly leaseUsableMs: number;
}

export const coreDefaults = {
  heartbeatMs: 50,
  leaseMs: 300,
  leaseReads: true,
  clockDriftMax: 0.1,
  electionJitterMs: 100,
  voteTimeoutMs: 150,
  pipelineSlotsMax: 4096,
  pipelineBytesMax: 8 << 20,
  queueMax: 8192,
  queueBytesMax: 16 << 20,
  readsMax: 65536,
  commandBytesMax: 1 << 20,
  messageBytesMax: 1 << 20,
  tailBytesMax: 4 << 20,
  candidateLagMax: 4096,
  sleepAfterMs: 100,
} as const;

type Compared = Exclude<keyof CoreOptions, "members">;

const others = {
  quorumLostMs: 0,
  diskStallMs: 0,
  nodeId: 0,
  role: 0,
  awaitsState: 0,
  mute: 0,
  doubtful: 0,
  takesRequests: 0,
  random: 0,
  tails: 0,
};
/** Of all options but `members`. */
const names = Object.keys({ ...coreDefaults, ...others } satisfies Record<Compared, unknown>) as readonly Compared[];

const hour = 3_600_000;
const gigabyte = 2 ** 30;

/** Nodes of one process whose last settings are kept. */
const keptMax = 16;
/** What was asked for last on behalf of each node, and what came out. */
const kept = new Map<string, { readonly options: CoreOptions; readonly settings: Settings }>();

/**
 * Nearly all groups of a node are given the same, thousands of times in a second when they begin or are woken: they share one object, and it is worked out once.
 *
 * @throws PaxosError ERR_PAXOS_ARGUMENT
 */
export function settings(options: CoreOptions): Settings {
  const last = kept.get(options.nodeId);
  if (last !== undefined && alike(options, last.options)) return last.settings;
  const found = checked(options);
  if (kept.size >= keptMax) kept.clear();
  kept.set(options.nodeId, { options: { ...options, members: [...options.members] }, settings: found });
  return found;
}

function alike(a: CoreOptions, b: CoreOptions): boolean {
  if (!Array.isArray(a.members) || a.members.length !== b.members.length) return false;
  for (let i = 0; i < b.members.length; i++) if (a.members[i] !== b.members[i]) return false;
  for (const name of names) if (a[name] !== b[name]) return false;
  return true;
}

function checked(options: CoreOptions): Settings {
  const { nodeId, members, random } = options;
  if (typeof nodeId !== "string" || nodeId.length === 0) throw badArgument("nodeId", "a non-empty string", nodeId);
  if (!Array.isArray(members) || members.some((node) => typeof node !== "string" || node.length === 0)) {
    throw badArgument("members", "an array of node ids", members);
  }
  if (members.length === 0) throw badArgument("members", "the group's founders, one at least", members);
  const role = options.role ?? "storage";
  if (role !== "storage" && role !== "log") throw badArgument("role", '"storage" or "log"', role);
  const awaitsState = options.awaitsState ?? false;
  if (typeof awaitsState !== "boolean") throw badArgument("awaitsState", "a boolean", awaitsState);
  const { tails } = options;
  if (tails !== undefined && !(tails instanceof Tails)) throw badArgument("tails", "Tails", tails);
  if (typeof random !== "function") throw badArgument("random", "a function", random);
  const o = { ...coreDefaults, ...defined(options) };
  const leaseMs = checkInteger("leaseMs", o.leaseMs, 2, hour);
  if (typeof o.leaseReads !== "boolean") throw badArgument("leaseReads", "a boolean", o.leaseReads);
  const drift = o.clockDriftMax;
  if (!(drift >= 0 && drift <= 0.5)) throw badArgument("clockDriftMax", "a fraction from 0 to 0.5", drift);
  const pipelineBytesMax = checkInteger("pipelineBytesMax", o.pipelineBytesMax, 1, gigabyte);
  return {
    nodeId,
    founders: founded(members),
    role,
    awaitsState,
    mute: options.mute ?? false,
    doubtful: options.doubtful ?? false,
    takesRequests: role === "log" || options.takesRequests === true,
    random,
    tails,
    // Two beats in a lease at least, or one lost message would cost the lease.
    heartbeatMs: checkInteger("heartbeatMs", o.heartbeatMs, 1, Math.floor(leaseMs / 2)),
    leaseMs,
    leaseReads: o.leaseReads,
    clockDriftMax: drift,
    leaseUsableMs: (leaseMs * (1 - drift)) / (1 + drift),
    electionJitterMs: checkInteger("electionJitterMs", o.electionJitterMs, 1, hour),
    voteTimeoutMs: checkInteger("voteTimeoutMs", o.voteTimeoutMs, 1, hour),
    quorumLostMs: checkInteger("quorumLostMs", o.quorumLostMs ?? 2 * leaseMs, leaseMs, 2 * hour),
    diskStallMs: checkInteger("diskStallMs", o.diskStallMs ?? 10 * leaseMs, leaseMs, 24 * hour),
    pipelineSlotsMax: checkInteger("pipelineSlotsMax", o.pipelineSlotsMax, 1, 1 << 20),
    pipelineBytesMax,
    queueMax: checkInteger("queueMax", o.queueMax, 0, 1 << 24),
    queueBytesMax: checkInteger("queueBytesMax", o.queueBytesMax, 0, gigabyte),
    readsMax: checkInteger("readsMax", o.readsMax, 1, 1 << 24),
    commandBytesMax: checkInteger("commandBytesMax", o.commandBytesMax, 1, pipelineBytesMax),
    messageBytesMax: checkInteger("messageBytesMax", o.messageBytesMax, 1, gigabyte),
    tailBytesMax: checkInteger("tailBytesMax", o.tailBytesMax, 0, gigabyte),
    sleepAfterMs: checkInteger("sleepAfterMs", o.sleepAfterMs, 0, Number.MAX_SAFE_INTEGER),
    candidateLagMax: checkInteger("candidateLagMax", o.candidateLagMax, 0, Number.MAX_SAFE_INTEGER),
  };
}

/** An option that is present but undefined means its default. */
function defined(options: CoreOptions): CoreOptions {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as unknown as CoreOptions;
}
