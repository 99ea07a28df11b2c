import {
  type CoreEvent,
  type CoreOptions,
  type Effect,
  EMPTY_STATE,
  type Message,
  PaxosCore,
  type PersistedState,
} from "../../src/core/index.js";
import { Folded } from "./storage.js";

interface Sent {
  readonly from: string;
  readonly to: string;
  readonly message: Message;
}

/** Cores on a table: time stands still unless it is moved, messages arrive at once unless they are held. For tests of single rules. */
export class TableTop {
  readonly cores = new Map<string, PaxosCore>();
  readonly disks = new Map<string, Folded>();
  /** Everything that each core has asked for, in order. */
  readonly effects = new Map<string, Effect[]>();
  readonly sent: Sent[] = [];
  nowMs = 1000;
  /** Messages for which this says false are lost. */
  passes: (sent: Sent) => boolean = () => true;
  /** Nodes whose writes are not confirmed. */
  readonly stalled = new Set<string>();
  readonly #options: Partial<CoreOptions>;
  readonly #members: readonly string[];
  readonly #own = new Map<string, Partial<CoreOptions>>();
  #queue: Sent[] = [];

  constructor(members: readonly string[], options: Partial<CoreOptions> = {}) {
    this.#members = members;
    this.#options = options;
    for (const node of members) {
      this.disks.set(node, new Folded());
      this.start(node, EMPTY_STATE);
    }
  }

  /** One more node, with an empty disk. */
  add(node: string, options: Partial<CoreOptions>): void {
    this.disks.set(node, new Folded());
    this.#own.set(node, options);
    this.start(node, EMPTY_STATE);
  }

  /** (Re)starts a node from what its disk holds. */
  start(node: string, state: PersistedState = this.disk(node).state(), more: Partial<CoreOptions> = {}): void {
    const own = this.#own.get(node);
    const options = { random: () => 0.5, members: this.#members, ...this.#options, ...own, ...more, nodeId: node };
    this.cores.set(node, new PaxosCore(options, state, this.nowMs));
    this.effects.set(node, []);
  }

  core(node: string): PaxosCore {
    return this.cores.get(node) as PaxosCore;
  }

  disk(node: string): Folded {
    return this.disks.get(node) as Folded;
  }

  of<T extends Effect["type"]>(node: string, type: T): Extract<Effect, { type: T }>[] {
    const all = this.effects.get(node) as Effect[];
    return all.filter((effect): effect is Extract<Effect, { type: T }> => effect.type === type);
  }

  step(node: string, event: CoreEvent): void {
    this.#only(node, event);
    this.#deliver();
  }

  propose(node: string, ...ids: number[]): void {
    const proposals = ids.map((id) => ({ id, command: new Uint8Array([id]) }));
    this.step(node, { type: "propose", proposals, nowMs: this.nowMs });
  }

  read(node: string, id: number): void {
    this.step(node, { type: "read", id, nowMs: this.nowMs });
  }

  /** Time passes in small steps; every core ticks. */
  advance(ms: number, nodes: readonly string[] = this.#members): void {
    for (let passed = 0; passed < ms; passed += 5) {
      this.nowMs += 5;
      for (const node of nodes) this.step(node, { type: "tick", nowMs: this.nowMs });
    }
  }

  /** Lets one node win an election while the others sit still. */
  elect(node: string): void {
    this.advance(2000, [node]);
    if (!this.core(node).ready) throw new Error(`${node} was not elected`);
  }

  confirmWrites(node: string): void {
    this.stalled.delete(node);
    const token = Math.max(0, ...this.of(node, "persist").map((effect) => effect.token));
    this.step(node, { type: "persisted", token, nowMs: this.nowMs });
  }

  #only(node: string, event: CoreEvent): void {
    const effects = this.core(node).step(event);
    (this.effects.get(node) as Effect[]).push(...effects);
    for (const effect of effects) {
      if (effect.type === "send") this.#post({ from: node, to: effect.to, message: effect.message });
      else if (effect.type === "persist") {
        this.disk(node).apply(effect.write);
        if (!this.stalled.has(node)) this.#only(node, { type: "persisted", token: effect.token, nowMs: this.nowMs });
      } else if (effect.type === "ship") {
        const disk = this.disk(node);
        const entries = disk.entries.slice(effect.fromSlot - 1 - disk.below, effect.throughSlot - disk.below);
        this.#post({ from: node, to: effect.to, message: { type: "learn", entries } });
      }
    }
  }

  #post(sent: Sent): void {
    this.sent.push(sent);
    this.#queue.push(sent);
  }

  #deliver(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const { from, to, message } = next;
      if (this.passes(next)) this.#only(to, { type: "message", from, message, nowMs: this.nowMs });
    }
  }
}
