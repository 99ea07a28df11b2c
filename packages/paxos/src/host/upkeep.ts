import { type Configuration, type MemberRole, markIn, nodesOf } from "../core/configuration.js";
import type { PaxosCore } from "../core/core.js";
import type { CoreEvent, Effect, Members } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import type { Applier } from "./applier.js";
import type { Arrears } from "./arrears.js";
import { Births, isMute } from "./births.js";
import { Changes } from "./changes.js";
import { asFailure } from "./failure.js";
import type { GroupHandle } from "./group-handle.js";
import type { ReplicaHome } from "./home.js";
import type { HostMessage } from "./host-messages.js";
import type { ReplicaMemory } from "./memory.js";
import type { Recovered } from "./recover.js";
import { Snapshots } from "./snapshots.js";
import type { StateMachine } from "./state-machine.js";
import { Trimmer } from "./trimmer.js";
import type { Writer } from "./writer.js";

export interface UpkeepParts<R> {
  readonly ids: { readonly nodeId: string; readonly groupId: string };
  readonly home: ReplicaHome;
  readonly role: MemberRole;
  readonly handle: GroupHandle<unknown>;
  readonly founders: Configuration;
  readonly core: PaxosCore;
  readonly storage: GroupStorage;
  readonly writer: Writer;
  readonly machine: StateMachine<R>;
  readonly applier: Applier<R>;
  readonly recovered: Recovered;
  /** Of one that was packed. */
  readonly memory?: ReplicaMemory;
  readonly post: (to: string, message: HostMessage) => void;
  readonly step: (event: CoreEvent) => void;
  readonly fail: (error: Error) => void;
  readonly refuseIfNotLeading: () => void;
  readonly arrears: () => Arrears<R>;
  readonly propose: (members: Members) => Promise<unknown>;
  readonly trim: (throughSlot: number) => Promise<void>;
  /** `wakeAtMs` may have come nearer. */
  readonly plan: () => void;
}

/** What goes on in a group beside its commands: whose disks these are, who lags, who is a member, how much log is kept. */
export class Upkeep<R> {
  readonly changes: Changes;
  readonly snapshots: Snapshots<R>;
  readonly #births: Births;
  readonly #trimmer: Trimmer;
  /** Of a log replica: through here it may let go. */
  #releasable = 0;

  readonly #parts: UpkeepParts<R>;

  constructor(parts: UpkeepParts<R>) {
    this.#parts = parts;
    const { ids, home, role, founders, core, storage, writer, machine, applier, post, step, fail } = parts;
    const { now, logKeptBytesMax } = home.settings;
    const failed = (what: string) => (cause: unknown) => fail(asFailure("ERR_PAXOS_STORAGE", ids.groupId, what, cause));
    this.#births = new Births({
      ids,
      births: parts.recovered.state.births ?? new Map(),
      mute: isMute(parts.recovered.state),
      done: parts.memory !== undefined,
      born: (mark) => core.born(mark),
      stranger: () => core.stranger,
      remembered: (by) => step({ type: "remembered", by, nowMs: now() }),
      marked: () => core.marked,
      markOf: (node) => markIn(core.configuration, node),
      founders: founders.storage,
      remember: (node, birth, done) => {
        // Twice when what it leads to throws: then that is what went wrong.
        writer
          .during(storage.remember(node, birth))
          .then(() => done())
          .catch(done);
      },
      blank: () => core.promised.round === 0,
      members: () => nodesOf(core.configuration),
      mark: () => home.marks.next(),
      post,
      voice: () => step({ type: "voice", nowMs: now() }),
      fail: failed("its log failed"),
    });
    this.snapshots = new Snapshots({
      ids,
      home,
      core,
      storage,
      machine,
      applier,
      post,
      step,
      arrears: parts.arrears,
      markInstall: (position) => writer.during(storage.markInstall(position)),
      fail: failed("a snapshot could not be taken over"),
    });
    this.changes = new Changes({
      groupId: ids.groupId,
      configuration: () => core.configuration,
      chosenThrough: () => core.chosenThrough,
      readyFor: (node, role) => core.readyFor(node, role),
      markOf: (node) => this.#births.markOf(node),
      refuseIfNotLeading: parts.refuseIfNotLeading,
      setLearners: (learners) => step({ type: "learners", learners, nowMs: now() }),
      propose: parts.propose,
      waits: parts.plan,
    });
    this.#releasable = parts.memory?.releasable ?? 0;
    this.#trimmer = new Trimmer({
      kept: parts.memory?.kept ?? storage.weight,
      keptBytesMax: logKeptBytesMax,
      chosenThrough: () => core.chosenThrough,
      trimmedThrough: () => storage.trimmedThrough,
      letGoThrough: () => (role === "log" ? this.#releasable : machine.durableThrough),
      pinnedSlot: () => this.snapshots.sender.pinnedSlot,
      trim: (throughSlot) => parts.trim(Math.min(throughSlot, applier.appliedThrough)),
      weighs: (bytes) => home.keptLogs.weighed(parts.handle, bytes),
    });
  }

  /** What all of this knows; undefined while anything is going on. */
  get memory(): Pick<ReplicaMemory, "births" | "kept" | "releasable"> | undefined {
    const births = this.#births.memory;
    const { sender } = this.snapshots;
    if (births === undefined || this.snapshots.active || sender.starting || this.changes.underWay) return undefined;
    return { births, kept: this.#trimmer.kept, releasable: this.#releasable };
  }

  /** No tick is needed before this time. */
  get wakeAtMs(): number {
    return this.snapshots.active || this.changes.waiting ? Number.NEGATIVE_INFINITY : this.#births.wakeAtMs;
  }

  tick(nowMs: number, leader: string | undefined): void {
    this.#births.tick(nowMs);
    this.snapshots.tick(nowMs, leader);
    this.changes.tick();
  }

  receive(from: string, message: Exclude<HostMessage, { readonly question: number }>): void {
    if (message.type === "knock") this.#births.onKnock(from, message.birth);
    else if (message.type === "known") this.#births.onKnown(from, message);
    else this.snapshots.receive(from, message);
  }

  /** Before anything is written into the log. */
  writes(): void {
    this.#births.writes();
  }

  chosen(entries: Extract<Effect, { type: "chosen" }>["entries"]): void {
    this.#trimmer.chosen(entries);
  }

  releasable(throughSlot: number): void {
    this.#releasable = Math.max(this.#releasable, throughSlot);
    this.#trimmer.look();
  }

  /** Of the log that is kept the older half goes, as far as it may; undefined when nothing may go now. */
  halveLog(): Promise<void> | undefined {
    return this.#trimmer.halve();
  }

  /** What this log may have lost is made good. */
  assured(): void {
    const { storage, writer, fail, ids } = this.#parts;
    if (storage.assured === undefined) return;
    const failed = (cause: unknown) => fail(asFailure("ERR_PAXOS_STORAGE", ids.groupId, "its log failed", cause));
    writer.during(storage.assured()).catch(failed);
  }

  close(): void {
    this.#parts.home.keptLogs.forget(this.#parts.handle);
    this.#births.close();
    this.snapshots.close();
    this.changes.tick();
  }

  settled(): Promise<void> {
    return this.snapshots.settled();
  }
}
