import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { MemdsMember } from "@evenkeel/memds";
import { RpcClient } from "../rpc/client.js";
import type { Caller } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";
import { type Fleet, type FleetOptions, NODE_IDS } from "./fleet.js";
import type { FromNode, NodeAddresses, NodeSettings, ToNode } from "./node-messages.js";

const HOST = "127.0.0.1";
const RESTART_AFTER_MS = 100;
const RESTART_AFTER_MS_MAX = 5_000;
/** A node that ran this long before it died starts again without delay. */
const STEADY_AFTER_MS = 10_000;
const STOP_TIMEOUT_MS = 20_000;
/** With this many nodes every partition can be led and written. */
const QUORUM = Math.floor(NODE_IDS.length / 2) + 1;
/** How long a start waits for a node that neither listens nor has failed, once a quorum listens. */
const STRAGGLER_MS = 5_000;

export interface ProcessFleetOptions extends FleetOptions {
  /** The node's program; absent: beside this one. */
  readonly program?: string;
  /** Arguments of the node's Node.js; absent: those of this process. */
  readonly execArgv?: readonly string[];
  /** Told of every exit that nobody asked for. */
  readonly onExit?: (nodeId: string, reason: string) => void;
}

/** What a person has to set right, and would not hear of if the store ran on without the node. */
const OBSTACLES: ReadonlySet<unknown> = new Set(["EACCES", "EPERM", "ENOENT", "ENOTDIR", "EEXIST", "ERR_WAL_LOCKED"]);

interface Supervised {
  readonly nodeId: string;
  readonly client: RpcClient;
  child: ChildProcess | undefined;
  addresses: NodeAddresses | undefined;
  startedAtMs: number;
  delayMs: number;
  timer: NodeJS.Timeout | undefined;
  lastFailure: string | undefined;
  /** Restarts wait until this is false again: a test or a tour wants the node down. */
  held: boolean;
}

/** Each node a process of its own; one that dies is started again, with growing patience. */
export class ProcessFleet implements Fleet {
  readonly #options: ProcessFleetOptions;
  readonly #nodes = new Map<string, Supervised>();
  readonly #moved = new Set<() => void>();
  /** Exits during the start: told when it has succeeded. Where it fails, its own reason says it all. */
  #untold: [nodeId: string, reason: string][] | undefined = [];
  #closing = false;

  private constructor(options: ProcessFleetOptions) {
    this.#options = options;
  }

  /**
   * Resolves when every node listens, or a quorum does and the others have failed or are slow: those are told of, and started again and again.
   * Rejects, with the first node's reason, when no quorum can be had, and where it is a directory that cannot be used at all.
   */
  static async open(options: ProcessFleetOptions): Promise<ProcessFleet> {
    const fleet = new ProcessFleet(options);
    try {
      await fleet.#quorum();
      const untold = fleet.#untold ?? [];
      fleet.#untold = undefined;
      for (const [nodeId, reason] of untold) options.onExit?.(nodeId, reason);
    } catch (error) {
      await fleet.close();
      throw error;
    }
    return fleet;
  }

  async #quorum(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let listening = 0;
    const failures: unknown[] = [];
    await new Promise<void>((resolve, reject) => {
      const count = (): void => {
        if (failures.length > NODE_IDS.length - QUORUM) reject(failures[0]);
        else if (listening + failures.length === NODE_IDS.length) resolve();
        else if (listening >= QUORUM) timer ??= setTimeout(resolve, STRAGGLER_MS);
      };
      for (const nodeId of NODE_IDS) {
        this.#add(nodeId)
          .then(
            () => listening++,
            (error: unknown) => {
              failures.push(error);
              if (OBSTACLES.has((error as { code?: unknown }).code)) reject(error);
            },
          )
          .then(count, reject);
      }
    }).finally(() => clearTimeout(timer));
  }

  callerTo(nodeId: string): Caller {
    return this.#node(nodeId).client;
  }

  memdsMembers(): readonly MemdsMember[] {
    return [...this.#nodes.values()].flatMap(({ addresses }) =>
      addresses === undefined ? [] : [{ host: HOST, port: addresses.memdsPort }],
    );
  }

  onMemdsMoved(listener: () => void): void {
    this.#moved.add(listener);
  }

  /** Process id of a node that runs. */
  pidOf(nodeId: string): number | undefined {
    return this.#node(nodeId).child?.pid;
  }

  /** SIGKILL, as a power cut would; started again at once, or only after `release` when `hold` is set. */
  kill(nodeId: string, { hold = false } = {}): void {
    const node = this.#node(nodeId);
    node.held = hold;
    node.child?.kill("SIGKILL");
  }

  /** Lets a node that was killed with `hold` start again. */
  release(nodeId: string): void {
    const node = this.#node(nodeId);
    node.held = false;
    if (node.child === undefined && node.timer === undefined && !this.#closing)
      void this.#start(node).catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(
      [...this.#nodes.values()].map(async (node) => {
        clearTimeout(node.timer);
        await node.client.close();
        const { child } = node;
        if (child === undefined) return;
        const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
        this.#send(child, { kind: "stop" });
        const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
        await exited;
        clearTimeout(timer);
      }),
    );
  }

  #node(nodeId: string): Supervised {
    const node = this.#nodes.get(nodeId);
    if (node === undefined)
      throw new StoreError("ERR_STORE_ARGUMENT", `nodeId must be one of ${NODE_IDS.join(", ")}; got ${nodeId}`);
    return node;
  }

  async #add(nodeId: string): Promise<void> {
    const node: Supervised = {
      nodeId,
      client: new RpcClient(),
      child: undefined,
      addresses: undefined,
      startedAtMs: 0,
      delayMs: RESTART_AFTER_MS,
      timer: undefined,
      lastFailure: undefined,
      held: false,
    };
    this.#nodes.set(nodeId, node);
    await this.#start(node);
  }

  /** Resolves when the node listens, rejects when it ends before that. */
  #start(node: Supervised): Promise<void> {
    const { dir, partitionsPerTable, upkeep, program, execArgv = process.execArgv } = this.#options;
    const settings: NodeSettings = { nodeId: node.nodeId, dir, partitionsPerTable, upkeep };
    const child = fork(
      program ?? fileURLToPath(new URL("./node-process.js", import.meta.url)),
      [JSON.stringify(settings)],
      {
        execArgv: [...execArgv],
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      },
    );
    node.child = child;
    node.startedAtMs = performance.now();
    return new Promise<void>((resolve, reject) => {
      child.on("message", (message: FromNode) => {
        if (message.kind === "failed") {
          node.lastFailure = message.message;
          reject(Object.assign(new Error(message.message), { code: message.code }));
        } else {
          node.addresses = message.addresses;
          node.client.setAddress({ host: HOST, port: message.addresses.rpcPort });
          this.#announce();
          resolve();
        }
      });
      const ended = (how: string): void => {
        if (node.child !== child) return;
        const reason = node.lastFailure ?? how;
        reject(new Error(`node ${node.nodeId} ended: ${reason}`));
        node.child = undefined;
        node.lastFailure = undefined;
        if (this.#closing) return;
        if (this.#untold === undefined) this.#options.onExit?.(node.nodeId, reason);
        else this.#untold.push([node.nodeId, reason]);
        this.#restart(node);
      };
      child.once("exit", (code, signal) => ended(`exit ${signal ?? code}`));
      // No process came of it (too many, no memory): there is no exit to wait for.
      child.on("error", (error) => {
        if (child.pid === undefined) ended(error.message);
      });
    });
  }

  #restart(node: Supervised): void {
    node.delayMs =
      performance.now() - node.startedAtMs > STEADY_AFTER_MS
        ? RESTART_AFTER_MS
        : Math.min(node.delayMs * 2, RESTART_AFTER_MS_MAX);
    node.timer = setTimeout(() => {
      node.timer = undefined;
      // Its failure is told by the exit that follows, which tries again.
      if (!node.held && !this.#closing) void this.#start(node).catch(() => undefined);
    }, node.delayMs);
  }

  /** Every node learns where every other one is. */
  #announce(): void {
    const peers: Record<string, NodeAddresses> = {};
    for (const { nodeId, addresses } of this.#nodes.values()) if (addresses !== undefined) peers[nodeId] = addresses;
    for (const { child } of this.#nodes.values()) if (child !== undefined) this.#send(child, { kind: "peers", peers });
    for (const listener of this.#moved) listener();
  }

  #send(child: ChildProcess, message: ToNode): void {
    // A child that is just dying has no channel; its exit is handled where it is reported.
    if (child.connected) child.send(message, () => undefined);
  }
}
