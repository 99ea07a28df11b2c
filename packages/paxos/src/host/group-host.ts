import { channel } from "node:diagnostics_channel";
import { decodeBondMessage, encodeBondMessage } from "../core/bond-codec.js";
import type { BondEffect, Bonds } from "../core/bonds.js";
import { decodeMessage } from "../core/codec.js";
import { founded } from "../core/configuration.js";
import { PaxosCore } from "../core/core.js";
import { badArgument, PaxosError } from "../core/errors.js";
import type { Message } from "../core/messages.js";
import { coreDefaults } from "../core/options.js";
import type { Transport } from "../transport/transport.js";
import { Agenda } from "./agenda.js";
import { BirthMarks } from "./birth-marks.js";
import { isMute } from "./births.js";
import { Candidates } from "./candidates.js";
import { Dormitory } from "./dormitory.js";
import { Addressees, openEnvelope, wireGroupId } from "./envelope.js";
import { Executor } from "./executor.js";
import type { Group } from "./group.js";
import { type GroupHandle, handlesOf } from "./group-handle.js";
import { GroupTable } from "./group-table.js";
import type { ReplicaHome } from "./home.js";
import { decodeHostMessage, encodeHostMessage, type HostMessage, isHostMessage } from "./host-messages.js";
import type { GroupHostStats } from "./host-stats.js";
import { checkedJoin, type JoinOptions } from "./join-options.js";
import { KeptLogs } from "./kept-logs.js";
import { LeftAsleep } from "./left-asleep.js";
import { inOneMicrotask } from "./microtask.js";
import { Neighbours, newBonds } from "./neighbours.js";
import { checkHostOptions, type GroupHostOptions, type HostSettings, hostSettings } from "./options.js";
import { Outbox } from "./outbox.js";
import { Pace } from "./pace.js";
import { PackedGroups } from "./packed-groups.js";
import { recover } from "./recover.js";
import { Replica } from "./replica.js";
import type { StateMachine } from "./state-machine.js";

/** In an envelope, in the place of a group: what is said from node to node. */
const noGroup = Buffer.of(0);

const unreadable = channel("evenkeel:paxos:message-unreadable");

/** All replicas that live on one node: they share its transport, its timer and the turns of the event loop. */
export class GroupHost implements AsyncDisposable {
  readonly nodeId: string;
  readonly #settings: HostSettings;
  readonly #transport: Transport;
  readonly #outbox: Outbox;
  readonly #home: ReplicaHome;
  readonly #pace: Pace;
  readonly #keptLogs: KeptLogs<GroupHandle<unknown>>;
  readonly #groups = new GroupTable<GroupHandle<unknown>>();
  /** Those that are in memory as a whole. */
  readonly #replicas = new Set<Replica<unknown>>();
  /** The same, by their ids on the wire. */
  readonly #addressees = new Addressees<Replica<unknown>>();
  readonly #packed: PackedGroups;
  readonly #handle: (groupId: string, machine: StateMachine<unknown>) => GroupHandle<unknown>;
  readonly #bonds: Bonds;
  readonly #leaseMs: number;
  readonly #neighbours: Neighbours;
  readonly #dormitory: Dormitory<GroupHandle<unknown>>;
  readonly #candidates: Candidates<Replica<unknown>>;
  readonly #leftAsleep: LeftAsleep;
  readonly #joining = new Set<string>();
  /** Who waits until nobody is joining. */
  readonly #joined: (() => void)[] = [];
  /** Whose turn comes at the end of this one of the event loop. Each knows of itself whether it is among them (`isDue`). */
  #due: Replica<unknown>[] = [];
  readonly #agenda = new Agenda<Replica<unknown>>();
  readonly #timer: NodeJS.Timeout;
  #turnScheduled = false;
  #closing: Promise<void> | undefined;
  #appliedBefore = 0;
  #beatsSent = 0;
  #messagesReceived = 0;
  #messagesForNobody = 0;
  #messagesUnreadable = 0;

  /** @throws PaxosError ERR_PAXOS_ARGUMENT */
  static async open(options: GroupHostOptions): Promise<GroupHost> {
    options = checkHostOptions(options);
    const transport = await options.transport;
    if (typeof transport?.send !== "function") throw badArgument("transport", "a Transport", transport);
    return new GroupHost(transport, hostSettings(options, transport));
  }

  private constructor(transport: Transport, settings: HostSettings) {
    this.#transport = transport;
    this.#settings = settings;
    this.nodeId = settings.nodeId;
    this.#outbox = new Outbox(transport);
    this.#pace = new Pace(settings.snapshotBytesPerSecondMax, settings.now);
    this.#keptLogs = new KeptLogs({
      bytesMax: settings.logsKeptBytesMax,
      halve: ({ replica }) => replica.halveLog(),
    });
    this.#bonds = newBonds(settings);
    this.#leftAsleep = new LeftAsleep((node) => this.#carryOut(this.#bonds.breakWith(node)));
    this.#leaseMs = settings.tuning.leaseMs ?? coreDefaults.leaseMs;
    this.#neighbours = new Neighbours(this.#bonds, 10 * this.#leaseMs);
    const voteTimeoutMs = settings.tuning.voteTimeoutMs ?? coreDefaults.voteTimeoutMs;
    this.#candidates = new Candidates(this.nodeId, voteTimeoutMs);
    this.#dormitory = new Dormitory({
      self: this.nodeId,
      successionMs: voteTimeoutMs,
      packAfterMs: settings.packAfterMs,
      all: () => this.#groups.values(),
      pack: (handle) => !(handle.state as Replica<unknown>).isDue && this.#packed.pack(handle),
    });
    this.#home = {
      settings,
      bonds: this.#bonds,
      marks: new BirthMarks(settings.random),
      settle: (replica) => {
        this.#dormitory.settle(replica.handle);
        this.#candidates.settle(replica);
      },
      know: (nodes) => {
        for (const node of nodes) if (node !== this.nodeId) this.#neighbours.know(node);
      },
      post: (to, replica, message) => {
        this.#outbox.put(to, replica.wireId, message);
        this.#schedule();
      },
      pace: this.#pace,
      keptLogs: this.#keptLogs,
      postHost: (to, replica, message) => {
        this.#outbox.putBytes(to, replica.wireId, encodeHostMessage(message));
        this.#schedule();
      },
      soon: inOneMicrotask(),
      plan: (replica) => this.#agenda.plan(replica, replica.wakeAtMs),
      due: (replica) => {
        if (!replica.isDue) this.#due.push(replica);
        replica.isDue = true;
        this.#schedule();
      },
    };
    this.#packed = new PackedGroups({
      home: this.#home,
      arrived: (replica) => {
        this.#replicas.add(replica);
        this.#addressees.add(replica);
        this.#dormitory.unpacked(replica.handle);
      },
      gone: (replica) => this.#forget(replica),
    });
    this.#handle = handlesOf(this.#packed);
    transport.onMessage((from, bytes) => this.#receive(from, bytes));
    this.#timer = setInterval(() => this.#tick(), settings.tickMs);
    this.#timer.unref();
  }

  /**
   * Opens this node's replica of a group: reads its log, replays into the state machine what that lacks, and takes part from then on.
   * Rejects with `ERR_PAXOS_STORAGE` or the log's own error when the log cannot be read, with `ERR_PAXOS_CORRUPT` when it lacks slots that the
   * state machine has applied, with `ERR_PAXOS_TRIMMED` when the state machine lacks slots that the log has let go of and cannot install a snapshot.
   */
  async join<R>(groupId: string, options: JoinOptions<R>): Promise<Group<R>> {
    const wireId = wireGroupId(groupId);
    const { members, role, machine } = checkedJoin(options, this.nodeId);
    this.#refuseIfClosed();
    if (this.#groups.has(groupId) || this.#joining.has(groupId)) {
      throw badArgument("groupId", "a group that is not open on this node", groupId);
    }
    this.#joining.add(groupId);
    try {
      const storage = this.#settings.storage(groupId);
      const { clientsMax } = options;
      const executor = new Executor(groupId, machine, clientsMax);
      const recovered = await recover(groupId, storage, machine, role, executor);
      this.#refuseIfClosed();
      const { tuning, random, now } = this.#settings;
      const awaitsState = recovered.behind;
      // An empty log may be one that has forgotten: it votes only after it has asked.
      const mute = isMute(recovered.state);
      const doubtful = recovered.state.doubtful === true;
      const takesRequests = clientsMax !== undefined;
      const own = { nodeId: this.nodeId, members, role, awaitsState, mute, doubtful, takesRequests, random };
      this.#leftAsleep.opens(groupId);
      const core = new PaxosCore({ ...tuning, ...own }, recovered.state, now(), this.#bonds);
      const handle = this.#handle(groupId, machine as StateMachine<unknown>) as GroupHandle<R>;
      const replica = new Replica<R>(this.#home, {
        handle,
        groupId,
        wireId,
        role,
        founders: founded(members),
        core,
        storage,
        machine,
        executor,
        clientsMax,
        recovered,
      });
      handle.state = replica;
      this.#replicas.add(replica as Replica<unknown>);
      this.#addressees.add(replica as Replica<unknown>);
      this.#groups.add(handle as GroupHandle<unknown>);
      return handle;
    } finally {
      this.#joining.delete(groupId);
      if (this.#joining.size === 0) for (const resolve of this.#joined.splice(0)) resolve();
    }
  }

  /** Closes this node's replica and gives up its leadership; its log stays where it is. Nothing happens when it is not open. */
  async leave(groupId: string): Promise<void> {
    const handle = this.#groups.get(groupId);
    if (!handle) return;
    const { state, under } = handle;
    // One that has stopped sleeps no more; what it was counted on for as a sleeper it has not taken back.
    const sleptUnder = under ?? (typeof state === "number" ? undefined : state.sleptUnder);
    if (sleptUnder !== undefined) this.#leftAsleep.closed(groupId, sleptUnder);
    await this.#leave(handle);
  }

  async #leave(handle: GroupHandle<unknown>): Promise<void> {
    const { groupId, state: replica } = handle;
    const reason = new PaxosError("ERR_PAXOS_CLOSED", `group ${groupId} is closed on this node`);
    this.#dormitory.forget(handle);
    if (typeof replica === "number") {
      this.#keptLogs.forget(handle);
      this.#packed.end(handle, reason);
      this.#outbox.flush();
      this.#groups.delete(groupId);
      return;
    }
    replica.stop(reason);
    this.#outbox.flush();
    await replica.settled();
    if (this.#groups.get(groupId) !== handle) return;
    this.#groups.delete(groupId);
    this.#forget(replica);
  }

  /** It is not in memory any more. */
  #forget(replica: Replica<unknown>): void {
    replica.core.letGo();
    this.#replicas.delete(replica);
    this.#addressees.remove(replica);
    if (replica.isDue) this.#due = this.#due.filter((other) => other !== replica);
    this.#agenda.forget(replica);
    this.#candidates.forget(replica);
    this.#appliedBefore += replica.applied;
  }

  /** The group of that name that is open on this node, if one is. */
  group(groupId: string): Group | undefined {
    return this.#groups.get(groupId);
  }

  stats(): GroupHostStats {
    let groupsLed = this.#packed.led;
    let outstanding = 0;
    let commandsApplied = this.#appliedBefore;
    for (const replica of this.#replicas) {
      if (replica.leading) groupsLed++;
      outstanding += replica.outstanding;
      commandsApplied += replica.applied;
    }
    return {
      groups: this.#groups.size,
      groupsLed,
      outstanding,
      commandsApplied,
      groupsAsleep: this.#dormitory.size + this.#packed.count,
      groupsPacked: this.#packed.count,
      packedBytes: this.#packed.bytes,
      tailBytes: this.#settings.tails.bytes,
      logKeptBytes: this.#keptLogs.bytes,
      beatsSent: this.#beatsSent,
      messagesSent: this.#outbox.messagesSent - this.#beatsSent,
      envelopesSent: this.#outbox.envelopesSent,
      messagesReceived: this.#messagesReceived,
      messagesForNobody: this.#messagesForNobody,
      messagesUnreadable: this.#messagesUnreadable,
    };
  }

  /** Leaves every group and closes the transport; nobody is left waiting, no write is left under way. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#pace.close();
    await Promise.all([...this.#groups.values()].map((handle) => this.#leave(handle)));
    // A replay under way still calls its state machine, and reads the log.
    if (this.#joining.size > 0) await new Promise<void>((resolve) => this.#joined.push(resolve));
    await this.#transport.close();
  }

  #schedule(): void {
    if (this.#turnScheduled) return;
    this.#turnScheduled = true;
    // After the sockets of this turn have been read: what they all asked for goes out together.
    setImmediate(this.#turn);
  }

  /** Made once: a function made where it is scheduled has its surroundings made for it each time that one asks whether it is scheduled. */
  readonly #turn = (): void => {
    const due = this.#due;
    this.#due = [];
    for (const replica of due) replica.turn();
    this.#turnScheduled = false;
    // Who has found a leader makes room for the next.
    if (this.#candidates.waiting > 0) this.#candidates.tick(this.#settings.now());
    this.#outbox.flush();
    // What a turn brought about (an applied command's caller asks for the next) is for the next turn.
    if (this.#due.length > 0) this.#schedule();
  };

  #tick(): void {
    const nowMs = this.#settings.now();
    if (this.#groups.size > 0) this.#carryOut(this.#bonds.tick(nowMs));
    this.#neighbours.tick(nowMs, () => this.#groups.values());
    this.#dormitory.tick(nowMs);
    this.#agenda.due(nowMs, (replica) => this.#candidates.due(replica, nowMs));
    this.#candidates.tick(nowMs);
    this.#keptLogs.tick(nowMs);
  }

  #carryOut(effects: readonly BondEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "send") {
        this.#beatsSent++;
        this.#outbox.putBytes(effect.to, noGroup, encodeBondMessage(effect.message));
        this.#schedule();
      } else if (effect.type === "released") {
        const { ballot } = effect;
        this.#groups.get(effect.group)?.replica.receive(effect.node, { type: "resign", ballot });
      } else if (effect.type === "lost") {
        this.#dormitory.lost(effect.node, effect.renewed ? 2 * this.#leaseMs : 0);
        this.#leftAsleep.lost(effect.node);
      } else this.#dormitory.changed(effect.node);
    }
  }

  #receive(from: string, bytes: Uint8Array): void {
    try {
      openEnvelope(bytes, (idAt, start, end) => this.#deliver(from, bytes, idAt, start, end));
    } catch (problem) {
      this.#unreadable(from, problem);
    }
  }

  #deliver(from: string, bytes: Uint8Array, idAt: number, start: number, end: number): void {
    if (bytes[idAt] === 0) {
      this.#hearNode(from, bytes.subarray(start, end));
      return;
    }
    const replica = this.#addressees.find(bytes, idAt) ?? this.#unpacked(bytes, idAt);
    if (!replica) {
      this.#messagesForNobody++;
      return;
    }
    if (isHostMessage(bytes, start, end)) {
      this.#deliverHost(from, replica, bytes.subarray(start, end));
      return;
    }
    let message: Message;
    try {
      message = decodeMessage(bytes, { given: true, from: start, to: end });
    } catch (problem) {
      this.#unreadable(from, problem);
      return;
    }
    this.#messagesReceived++;
    replica.receive(from, message);
  }

  /** Only those that are in memory as a whole are found without making a string of their id. */
  #unpacked(bytes: Uint8Array, idAt: number): Replica<unknown> | undefined {
    const id = Buffer.from(bytes.buffer, bytes.byteOffset + idAt + 1, bytes[idAt]).toString();
    return this.#groups.get(id)?.replica;
  }

  #hearNode(from: string, bytes: Uint8Array): void {
    try {
      this.#carryOut(this.#bonds.receive(from, decodeBondMessage(bytes), this.#settings.now()));
    } catch (problem) {
      this.#unreadable(from, problem);
    }
  }

  #deliverHost(from: string, replica: Replica<unknown>, bytes: Uint8Array): void {
    let message: HostMessage;
    try {
      message = decodeHostMessage(bytes);
    } catch (problem) {
      this.#unreadable(from, problem);
      return;
    }
    this.#messagesReceived++;
    replica.receiveHost(from, message);
  }

  /** A message that cannot be read is a lost message; that it happened is news for who watches (a newer release among the peers, most likely). */
  #unreadable(from: string, problem: unknown): void {
    this.#messagesUnreadable++;
    if (unreadable.hasSubscribers) unreadable.publish({ nodeId: this.nodeId, from, problem });
  }

  #refuseIfClosed(): void {
    if (this.#closing) throw new PaxosError("ERR_PAXOS_CLOSED", `host ${this.nodeId} is closed`);
  }
}
