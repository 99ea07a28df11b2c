import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import { expect, vi } from "vitest";
import { freePort } from "../../../../scripts/free-port.js";
import { type Group, GroupHost, type GroupHostOptions, type StateMachine } from "../../src/index.js";
import { walStorage } from "../../src/storage/index.js";
import { type TcpTransport, tcpTransport } from "../../src/transport/index.js";

/** Keeps every command that was applied, in order: what a replicated log is, seen from its state machine. */
export class Journal implements StateMachine<number> {
  appliedThrough = 0;
  readonly commands: string[] = [];
  readonly slots: number[] = [];
  onApply: ((slot: number) => void) | undefined;

  apply({ slot, command }: { slot: number; command: Uint8Array }): number {
    this.onApply?.(slot);
    this.commands.push(Buffer.from(command).toString("utf8"));
    this.slots.push(slot);
    return this.commands.length;
  }
}

export const bytes = (text: string): Uint8Array => Buffer.from(text, "utf8");

export const until = (condition: () => boolean, timeout = 60_000): Promise<void> =>
  vi.waitFor(() => expect(condition()).toBe(true), { timeout, interval: 5 });

/** Short enough for a test, long enough for two busy cores. */
export const tuning = { leaseMs: 300, heartbeatMs: 50, packAfterMs: 0 } as const;

export interface TcpNode {
  readonly nodeId: string;
  readonly transport: TcpTransport;
  readonly host: GroupHost;
  readonly group: Group<number>;
  readonly journal: Journal;
  readonly wal: Wal;
}

/** Three nodes over TCP on loopback, each with a log in a directory of its own; any of them can be dropped and opened again. */
export class TcpCluster {
  readonly names: readonly string[];
  readonly nodes = new Map<string, TcpNode>();
  readonly #options: Partial<GroupHostOptions>;
  #dir = "";
  readonly #ports = new Map<string, number>();

  constructor(names: readonly string[] = ["a", "b", "c"], options: Partial<GroupHostOptions> = {}) {
    this.names = names;
    this.#options = options;
  }

  async open(): Promise<this> {
    this.#dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-"));
    for (const name of this.names) await this.start(name);
    // Until then it is a group of fewer, and can spare none of them.
    await until(() => [...this.nodes.values()].every(({ group }) => group.status().voting));
    return this;
  }

  async start(nodeId: string): Promise<TcpNode> {
    const transport = await tcpTransport({
      nodeId,
      port: this.#ports.get(nodeId) ?? (await freePort()),
      backoffMinMs: 5,
      backoffMaxMs: 50,
    });
    this.#ports.set(nodeId, transport.port);
    for (const [name, port] of this.#ports) transport.setPeer(name, { host: "127.0.0.1", port });
    for (const node of this.nodes.values()) node.transport.setPeer(nodeId, { host: "127.0.0.1", port: transport.port });
    const wal = await Wal.open({ dir: join(this.#dir, nodeId), segmentBytes: 1024 * 1024 });
    const host = await GroupHost.open({ ...tuning, ...this.#options, transport, storage: walStorage(wal) });
    const journal = new Journal();
    const group = await host.join("g", { members: this.names, stateMachine: journal });
    const node = { nodeId, transport, host, group, journal, wal };
    this.nodes.set(nodeId, node);
    return node;
  }

  /** As a kill would: no word to anybody. What the log has not acknowledged may or may not be there afterwards. */
  async drop(nodeId: string): Promise<void> {
    const node = this.node(nodeId);
    this.nodes.delete(nodeId);
    await node.transport.close();
    await node.host.close();
    await node.wal.close();
  }

  node(nodeId: string): TcpNode {
    const node = this.nodes.get(nodeId);
    if (!node) throw new Error(`${nodeId} does not run`);
    return node;
  }

  async leader(): Promise<TcpNode> {
    let found: TcpNode | undefined;
    await until(() => {
      found = [...this.nodes.values()].find((node) => node.group.status().ready);
      return found !== undefined;
    });
    return found as TcpNode;
  }

  async close(): Promise<void> {
    for (const name of [...this.nodes.keys()]) await this.drop(name);
    await rm(this.#dir, { recursive: true, force: true });
  }
}
