import { Random } from "@evenkeel/simulation";
import { vi } from "vitest";
import { decodeMessage } from "../../src/core/index.js";
import { openEnvelope } from "../../src/host/envelope.js";
import { GroupHost, type GroupHostOptions, memoryStorage } from "../../src/index.js";
import type { Transport } from "../../src/transport/index.js";

const names = ["a", "b", "c"];

/**
 * Many groups on three nodes in one process, in virtual time, in which each message takes its receiver as long as it would take a node to work on it: so a node that is sent
 * too much at once falls behind, and what is decided by time-outs meanwhile shows. Between `open` and `close` the timers of this process are not its own.
 */
export class Crowd {
  readonly hosts = new Map<string, GroupHost>();
  readonly ids: readonly string[];
  /** Messages so far, by type. */
  counts: Record<string, number> = {};
  readonly #transports = new Map<string, SlowTransport>();
  readonly #costMs: number;
  readonly #random: Random;
  readonly #options: Partial<GroupHostOptions>;
  readonly #runs: (name: string) => Pick<typeof GroupHost, "open">;

  /** `runs`: what each node runs, where not all are of this release. */
  constructor(
    count: number,
    messageCostMs: number,
    seed = 1,
    options: Partial<GroupHostOptions> = {},
    runs: (name: string) => Pick<typeof GroupHost, "open"> = () => GroupHost,
  ) {
    this.#runs = runs;
    this.ids = Array.from({ length: count }, (_, i) => `group/${i}`);
    this.#costMs = messageCostMs;
    this.#random = new Random(seed);
    this.#options = options;
    vi.useFakeTimers({
      toFake: [
        "setInterval",
        "clearInterval",
        "setTimeout",
        "clearTimeout",
        "setImmediate",
        "clearImmediate",
        "performance",
      ],
    });
  }

  async open(): Promise<void> {
    for (const name of names) {
      const transport = new SlowTransport(name, this.#costMs, this.#transports, (type) => {
        this.counts[type] = (this.counts[type] ?? 0) + 1;
      });
      this.#transports.set(name, transport);
      const random = this.#random.fork(name);
      const host = await this.#runs(name).open({
        transport,
        storage: memoryStorage(),
        now: () => performance.now(),
        random: () => random.next(),
        ...this.#options,
      });
      this.hosts.set(name, host);
    }
    const machine = () => ({ appliedThrough: 0, apply: () => 0 });
    const joins = [...this.hosts.values()].flatMap((host) =>
      this.ids.map((id) => host.join(id, { members: names, stateMachine: machine() })),
    );
    await Promise.all(joins);
  }

  led(): number {
    let led = 0;
    for (const host of this.hosts.values()) for (const id of this.ids) if (host.group(id)?.leadership().ready) led++;
    return led;
  }

  /** How many groups this node takes itself to lead. */
  leads(name: string): number {
    return this.hosts.get(name)?.stats().groupsLed ?? 0;
  }

  get mostLeading(): string {
    const [[name]] = [...this.hosts].sort(([, a], [, b]) => b.stats().groupsLed - a.stats().groupsLed) as [
      [string, GroupHost],
    ];
    return name;
  }

  asleep(): boolean {
    return [...this.hosts.values()].every((host) => host.stats().groupsAsleep === this.ids.length);
  }

  /** As a power cut would: nothing more comes from it, and nothing arrives. */
  async kill(name: string): Promise<void> {
    const host = this.hosts.get(name);
    this.#transports.get(name)?.cut();
    this.#transports.delete(name);
    this.hosts.delete(name);
    await host?.close();
  }

  /** From now on this node hears nobody; the others hear it. */
  deafen(name: string): void {
    this.#transports.get(name)?.deafen();
  }

  /** Lets so much virtual time go by; returns what was said meanwhile, by type. */
  async pass(ms: number): Promise<Readonly<Record<string, number>>> {
    this.counts = {};
    const end = performance.now() + ms;
    await this.until(() => performance.now() >= end, ms + 1000);
    return this.counts;
  }

  /** Virtual milliseconds until the condition holds. */
  async until(condition: () => boolean, maxMs = 60_000): Promise<number> {
    const from = performance.now();
    while (!condition()) {
      if (performance.now() - from > maxMs) throw new Error(`not within ${maxMs} ms`);
      await vi.advanceTimersByTimeAsync(10);
    }
    return performance.now() - from;
  }

  async close(): Promise<void> {
    for (const name of names) await this.kill(name);
    vi.useRealTimers();
  }
}

class SlowTransport implements Transport {
  #handler: ((from: string, bytes: Uint8Array) => void) | undefined;
  #freeAtMs = 0;
  #cut = false;
  #deaf = false;

  constructor(
    readonly nodeId: string,
    readonly costMs: number,
    readonly all: ReadonlyMap<string, SlowTransport>,
    readonly count: (type: string) => void,
  ) {}

  send(to: string, bytes: Uint8Array): void {
    if (!this.#cut) this.all.get(to)?.take(this.nodeId, bytes);
  }

  take(from: string, bytes: Uint8Array): void {
    let messages = 0;
    openEnvelope(bytes, (idAt, start, end) => {
      messages++;
      const type = bytes[start + 1] as number;
      if (bytes[idAt] === 0) this.count("beat");
      else this.count(type >= 64 ? `host ${type}` : decodeMessage(bytes, { from: start, to: end }).type);
    });
    if (this.#deaf) return;
    this.#freeAtMs = Math.max(performance.now(), this.#freeAtMs) + messages * this.costMs;
    setTimeout(() => {
      if (!this.#cut) this.#handler?.(from, bytes);
    }, this.#freeAtMs - performance.now());
  }

  deafen(): void {
    this.#deaf = true;
  }

  cut(): void {
    this.#cut = true;
  }

  onMessage(handler: (from: string, bytes: Uint8Array) => void): void {
    this.#handler = handler;
  }

  stats() {
    return {
      connected: 0,
      messagesSent: 0,
      messagesReceived: 0,
      bytesSent: 0,
      bytesReceived: 0,
      messagesDropped: 0,
      connectionsRefused: 0,
      bytesQueued: 0,
    };
  }

  async close(): Promise<void> {
    this.cut();
  }
}
