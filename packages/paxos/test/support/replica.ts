import type { Random, SimNode } from "@evenkeel/simulation";
import {
  type CoreEvent,
  type CoreOptions,
  decodeMessage,
  type Effect,
  encodeMessage,
  type Message,
  PaxosCore,
  type PersistWrite,
} from "../../src/core/index.js";
import { type Answer, encodeSwap, Machine, type Op } from "./machine.js";
import { honest, type Mutation } from "./mutation.js";
import type { Observer } from "./observer.js";
import { SimStorage } from "./storage.js";
import type { Tally } from "./tally.js";

export type Reply =
  | { readonly kind: "ok"; readonly answer: Answer }
  | { readonly kind: "refused"; readonly leader: string | undefined }
  | { readonly kind: "unknown" };

export type Respond = (reply: Reply) => void;

interface Waiting {
  readonly op: Op;
  readonly respond: Respond;
}

export interface ReplicaParts {
  readonly node: SimNode<Uint8Array>;
  readonly random: Random;
  readonly options: Omit<CoreOptions, "nodeId" | "random">;
  readonly observer: Observer;
  readonly tally: Tally;
  readonly mutation?: Mutation | undefined;
}

/** Drives the shipped core on a simulated node as the host does on a real one: the same events, the same effects. */
export class SimReplica {
  readonly name: string;
  readonly node: SimNode<Uint8Array>;
  readonly storage: SimStorage;
  machine = new Machine();
  core: PaxosCore | undefined;
  readonly #parts: ReplicaParts;
  readonly #mutation: Mutation;
  #ids = 0;
  #gathered: (Waiting & { id: number })[] = [];
  #asked = new Map<number, Waiting>();
  #proposed = new Map<number, Waiting & { ballot: string }>();
  #wakeAtMs = Number.POSITIVE_INFINITY;
  #cancelWake: () => void = () => {};

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    this.#mutation = parts.mutation ?? honest;
    this.node = parts.node;
    this.name = parts.node.name;
    this.storage = new SimStorage(parts.node);
    parts.observer.replicas.push(this);
  }

  get leaseRemainingMs(): number {
    if (!this.node.up || this.core === undefined) return 0;
    return this.core.leaseRemainingMs(this.node.now);
  }

  start(): void {
    const { tally, options, random } = this.#parts;
    const state = this.#mutation.load(this.storage);
    this.machine = new Machine();
    this.#gathered = [];
    this.#asked.clear();
    this.#proposed.clear();
    for (const entry of state.entries.slice(0, state.chosenThrough)) this.machine.apply(entry);
    if (this.node.life > 0) tally.add("restarts");
    this.node.start((from, bytes) => this.#receive(from, bytes));
    const all = { ...options, nodeId: this.name, random: () => random.next() };
    this.core = new PaxosCore(this.#mutation.options(all), state, this.#mutation.bornAtMs(this.node.now));
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
    this.#wake();
  }

  crash(): void {
    if (!this.node.up) return;
    if (this.core?.leading) this.#parts.tally.add("leader crashes");
    if (this.leaseRemainingMs > 0) this.#parts.tally.add("crashes with a lease");
    // Connections break: whoever waits cannot know.
    for (const waiting of [...this.#gathered, ...this.#asked.values(), ...this.#proposed.values()]) {
      waiting.respond({ kind: "unknown" });
    }
    this.#gathered = [];
    this.#asked.clear();
    this.#proposed.clear();
    this.node.crash();
    this.core = undefined;
  }

  /** A request has arrived. Those of one moment are proposed together. */
  request(op: Op, respond: Respond): void {
    const core = this.core as PaxosCore;
    const id = ++this.#ids;
    if (op.kind === "read") {
      if (this.#mutation.readsAtOnce(core, this.node.now)) {
        respond({ kind: "ok", answer: this.machine.get(op.key) });
        return;
      }
      this.#asked.set(id, { op, respond });
      if (core.leading && core.leaseRemainingMs(this.node.now) === 0) this.#parts.tally.add("reads without a lease");
      this.#step({ type: "read", id, nowMs: this.node.now });
      return;
    }
    this.#gathered.push({ id, op, respond });
    if (this.#gathered.length === 1) this.node.timer(0.05, () => this.#propose());
  }

  resign(): void {
    if (this.core?.leading) this.#step({ type: "resign", nowMs: this.node.now });
  }

  #propose(): void {
    const proposals = this.#gathered.map(({ id, op, respond }) => {
      this.#asked.set(id, { op, respond });
      const { key, value } = op as Extract<Op, { kind: "swap" }>;
      return { id, command: encodeSwap(key, value, value % 40) };
    });
    this.#gathered = [];
    if (proposals.length > 1) this.#parts.tally.add("batches");
    this.#step({ type: "propose", proposals, nowMs: this.node.now });
  }

  #receive(from: string, bytes: Uint8Array): void {
    const message = decodeMessage(bytes);
    for (const [sender, received] of this.#mutation.receive(from, message, this.node.now)) {
      this.#step({ type: "message", from: sender, message: received, nowMs: this.node.now });
    }
  }

  #wake(): void {
    const { core } = this;
    if (core === undefined || core.wakeAtMs >= this.#wakeAtMs) return;
    if (core.wakeAtMs === Number.POSITIVE_INFINITY) return;
    this.#cancelWake();
    this.#wakeAtMs = core.wakeAtMs;
    this.#cancelWake = this.node.timer(Math.max(0.1, core.wakeAtMs - this.node.now), () => {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      this.#step({ type: "tick", nowMs: this.node.now });
    });
  }

  #step(event: CoreEvent): void {
    const { core } = this;
    if (core === undefined) return;
    const life = this.node.life;
    const nowMs = this.#mutation.clock(event.nowMs);
    for (const effect of core.step({ ...event, nowMs })) {
      this.#carryOut(effect);
      if (this.node.life !== life || !this.node.up) return;
    }
    this.#parts.observer.afterStep();
    this.#wake();
  }

  #carryOut(effect: Effect): void {
    const { observer, tally } = this.#parts;
    switch (effect.type) {
      case "send":
        return this.#send(effect.to, effect.message);
      case "persist":
        return this.#persist(effect.token, effect.write);
      case "chosen":
        observer.onChosen(this.name, effect.entries);
        for (const entry of effect.entries) {
          const answer = this.machine.apply(entry);
          const waiting = this.#proposed.get(entry.slot);
          if (waiting === undefined) continue;
          this.#proposed.delete(entry.slot);
          const ours = waiting.ballot === JSON.stringify(entry.ballot);
          waiting.respond(ours && answer !== undefined ? { kind: "ok", answer } : { kind: "unknown" });
        }
        return;
      case "proposed": {
        const waiting = this.#asked.get(effect.id) as Waiting;
        this.#asked.delete(effect.id);
        this.#proposed.set(effect.slot, { ...waiting, ballot: JSON.stringify(effect.ballot) });
        return;
      }
      case "rejected": {
        const waiting = this.#asked.get(effect.id);
        this.#asked.delete(effect.id);
        if (effect.reason === "overloaded") tally.add("overloaded");
        waiting?.respond({ kind: "refused", leader: effect.leader });
        return;
      }
      case "readable": {
        const waiting = this.#asked.get(effect.id) as Waiting;
        this.#asked.delete(effect.id);
        if (this.machine.appliedThrough < effect.slot) throw new Error("readable before its slot was reported");
        tally.add(this.leaseRemainingMs > 0 ? "reads by lease" : "reads by round");
        waiting.respond({ kind: "ok", answer: this.machine.get(waiting.op.key) });
        return;
      }
      case "leadership":
        if (effect.leading) {
          tally.add("reigns");
          observer.onLeading(this, effect.ballot);
        } else this.#lost();
        return;
      case "ship":
        tally.add("ships");
        this.storage.read(
          effect.fromSlot,
          this.#mutation.shipsThrough(effect.throughSlot, this.storage),
          effect.bytesMax,
          (entries) => {
            this.#send(effect.to, { type: "learn", entries });
          },
        );
        return;
      case "snapshotNeeded":
        throw new Error("nothing was trimmed, and yet a snapshot is asked for");
    }
  }

  #send(to: string, message: Message): void {
    const { observer, tally } = this.#parts;
    tally.sent(message);
    if (!this.#mutation.unobserved) observer.onSend(this, message);
    this.node.send(to, encodeMessage(message));
  }

  #persist(token: number, write: PersistWrite): void {
    const { observer, tally } = this.#parts;
    if (write.truncateFrom !== undefined) tally.add("suffixes cut");
    if (!this.#mutation.unobserved) observer.onWrite(this, write);
    const life = this.node.life;
    const writes = this.#mutation.writes(write);
    for (const [index, part] of writes.entries()) {
      this.storage.append(part, (error) => {
        if (life !== this.node.life || index < writes.length - 1) return;
        if (error !== undefined && !this.#mutation.ignoresFailedSync) {
          tally.add("failed writes");
          this.#step({ type: "persistFailed", nowMs: this.node.now });
          this.#restartLater();
        } else {
          this.#step({ type: "persisted", token, nowMs: this.node.now });
        }
      });
    }
    if (this.#mutation.confirmsEarly)
      this.node.timer(0, () => this.#step({ type: "persisted", token, nowMs: this.node.now }));
  }

  /** A supervisor restarts a node that has given up. */
  #restartLater(): void {
    const { life } = this.node;
    this.node.scheduler.timer(100, () => {
      if (this.node.life !== life || !this.node.up) return;
      this.crash();
      this.start();
    });
  }

  #lost(): void {
    for (const [slot, waiting] of this.#proposed) {
      this.#proposed.delete(slot);
      this.#parts.tally.add("unknown outcomes");
      if (this.#mutation.proposesAgain) this.node.timer(50, () => this.request(waiting.op, waiting.respond));
      else waiting.respond({ kind: "unknown" });
    }
  }
}
