import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { MemdsCarrier, MemdsMember } from "@evenkeel/memds";
import { carrierTo } from "../rpc/carrier.js";
import { RpcClient } from "../rpc/client.js";
import type { Caller } from "../rpc/protocol.js";
import { StoreError } from "../storage-node/errors.js";
import { whatToDo } from "../storage-node/tree-file.js";
import { type Fleet, type FleetOptions, NODE_IDS, nodeDir, spareIds } from "./fleet.js";
import { NODE_FLAGS } from "./heap-growth.js";
import { Names } from "./names.js";
import type { FromNode, NodeAddresses, NodeSettings, ToNode } from "./node-messages.js";
import { Patience } from "./patience.js";

const HOST = "127.0.0.1";
const STOP_TIMEOUT_MS = 20_000;
/** How long a start waits for a node that neither listens nor has failed, once a quorum listens. */
const STRAGGLER_MS = 5_000;

/**
 * Threads for what a node does with files. Node.js has four, and a commit of the B-tree, an object that is packed, another one that is read back and a log that is read take all of them: of the
 * file operations of a leader whose partition is split or archived one to four in a hundred found none free, the log's syncs among them, for which writes wait. Who waits for a disk costs no processor.
 */
const POOL_THREADS = 16;

export interface ProcessFleetOptions extends FleetOptions {
  /** The node's program; absent: beside this one. */
  readonly program?: string;
  /** Arguments of the node's Node.js; absent: those of this process. */
  readonly execArgv?: readonly string[];
  /** Told of every exit that nobody asked for. */
  readonly onNews?: (line: string) => void;
  readonly onExit?: (nodeId: string, reason: string) => void;
  /** Breaks off the start; without a meaning once the fleet is open. */
  readonly signal?: AbortSignal;
}

/** Under its name the node is of no use any more: it has lost what it had, or was replaced. It begins anew under another one, and takes the place of itself. */
const LOST: ReadonlySet<unknown> = new Set(["ERR_PAXOS_AMNESIA", "ERR_STORE_REPLACED"]);

/** What a person has to set right, and would not hear of if the store ran on without the node. */
const OBSTACLES: ReadonlySet<unknown> = new Set(["EACCES", "EPERM", "ENOENT", "ENOTDIR", "EEXIST", "ERR_WAL_LOCKED"]);

/** What lmdb reads of a damaged B-tree it follows as it is: there is no error to tell. */
const hintAt = (signal: NodeJS.Signals | null, dir: string): string =>
  signal === "SIGSEGV" || signal === "SIGBUS" ? `: its B-tree may be damaged; ${whatToDo(`${dir}/tree`)}` : "";

/** Under one of its names. */
interface Reached {
  nodeId: string;
  client: RpcClient;
  lookUps: MemdsCarrier;
}

function reachedAs(nodeId: string): Reached {
  const client = new RpcClient();
  return { nodeId, client, lookUps: carrierTo(nodeId, client) };
}

interface Supervised extends Reached {
  /** Where it stands: the name of the first node there. */
  readonly place: string;
  knowsMetadata: boolean;
  child: ChildProcess | undefined;
  /** The child has said where it listens: from then on it hears that it is to stop. */
  listens: boolean;
  addresses: NodeAddresses | undefined;
  readonly patience: Patience;
  timer: NodeJS.Timeout | undefined;
  lastFailure: { readonly message: string; readonly code: string | undefined } | undefined;
  /** Restarts wait until this is false again: a test or a tour wants the node down. */
  held: boolean;
  /** It begins anew under another name when it has ended. */
  condemned: boolean;
}

/** Each node a process of its own; one that dies is started again, with growing patience. */
export class ProcessFleet implements Fleet {
  readonly #options: ProcessFleetOptions;
  /** By their places. */
  readonly #nodes = new Map<string, Supervised>();
  readonly #names: Names;
  readonly #moved = new Set<() => void>();
  /** Exits during the start: told when it has succeeded. Where it fails, its own reason says it all. */
  #untold: [nodeId: string, reason: string][] | undefined = [];
  #closing = false;

  private constructor(options: ProcessFleetOptions) {
    this.#options = options;
    this.#names = Names.open(options.dir);
  }

  /**
   * Resolves when every node listens, or a quorum does and the others have failed or are slow: those are told of, and started again and again.
   * Rejects, with the first node's reason, when no quorum can be had, and where it is a directory that cannot be used at all; with the signal's where that breaks it off. Nothing of it is
   * left then.
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
    const { spares, dir, signal } = this.#options;
    const places = [...new Set([...NODE_IDS, ...spareIds(spares), ...this.#names.placesFound(dir)])];
    // With so many nodes every partition can be led and written, and the metadata too, of which all of them are members.
    const quorum = Math.floor(places.length / 2) + 1;
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      const count = (): void => {
        if (failures.length > places.length - quorum) reject(failures[0]);
        else if (listening + failures.length === places.length) resolve();
        else if (listening >= quorum) timer ??= setTimeout(resolve, STRAGGLER_MS);
      };
      for (const place of places) {
        this.#add(place)
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

  nodeIds(): readonly string[] {
    return [...this.#nodes.values()].map(({ nodeId }) => nodeId);
  }

  callerTo(nodeId: string): Caller {
    for (const node of this.#nodes.values()) if (node.nodeId === nodeId) return node.client;
    throw new StoreError("ERR_STORE_UNREACHABLE", `no node is called ${nodeId} any more`);
  }

  memdsMembers(): readonly MemdsMember[] {
    return [...this.#nodes.values()].flatMap(({ addresses, knowsMetadata, lookUps }) =>
      addresses === undefined || !knowsMetadata ? [] : [lookUps],
    );
  }

  onMemdsMoved(listener: () => void): () => void {
    this.#moved.add(listener);
    return () => this.#moved.delete(listener);
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

  /** What it has stays in its directory, for a person to look at; under its name nobody votes any more. */
  rebuild(nodeId: string): void {
    const node = this.#node(nodeId);
    node.condemned = true;
    if (node.child !== undefined) node.child.kill("SIGKILL");
    else this.#renew(node);
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
        // One that is still on its way up has promised nobody anything, and may be long in hearing of it.
        if (node.listens) this.#send(child, { kind: "stop" });
        else child.kill("SIGKILL");
        const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
        await exited;
        clearTimeout(timer);
      }),
    );
  }

  #node(nodeId: string): Supervised {
    for (const node of this.#nodes.values()) if (node.nodeId === nodeId) return node;
    throw new StoreError("ERR_STORE_ARGUMENT", `nodeId must be one of ${this.nodeIds().join(", ")}; got ${nodeId}`);
  }

  async #add(place: string): Promise<void> {
    const node: Supervised = {
      place,
      ...reachedAs(this.#names.of(place)),
      knowsMetadata: false,
      child: undefined,
      listens: false,
      addresses: undefined,
      patience: new Patience(),
      timer: undefined,
      lastFailure: undefined,
      held: false,
      condemned: false,
    };
    this.#nodes.set(place, node);
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
        execArgv: [...NODE_FLAGS, ...execArgv],
        env: { UV_THREADPOOL_SIZE: String(POOL_THREADS), ...process.env },
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      },
    );
    node.child = child;
    node.listens = false;
    node.patience.begins();
    return new Promise<void>((resolve, reject) => {
      child.on("message", (message: FromNode) => {
        if (message.kind === "knows-metadata") {
          node.knowsMetadata = true;
          for (const listener of this.#moved) listener();
        } else if (message.kind === "news") this.#options.onNews?.(message.line);
        else if (message.kind === "failed") {
          node.lastFailure = message;
          reject(Object.assign(new Error(message.message), { code: message.code }));
        } else {
          node.listens = true;
          node.addresses = message.addresses;
          // One of the first nodes has known them since the store was founded.
          node.knowsMetadata ||= NODE_IDS.includes(node.nodeId);
          node.client.setAddress({ host: HOST, port: message.addresses.rpcPort });
          this.#announce();
          resolve();
        }
      });
      const ended = (how: string): void => {
        if (node.child !== child) return;
        const reason = node.lastFailure?.message ?? how;
        const lost = node.condemned || LOST.has(node.lastFailure?.code);
        reject(new Error(`node ${node.nodeId} ended: ${reason}`));
        node.child = undefined;
        node.lastFailure = undefined;
        if (this.#closing) return;
        if (this.#untold === undefined) this.#options.onExit?.(node.nodeId, reason);
        else this.#untold.push([node.nodeId, reason]);
        if (lost) this.#renew(node);
        this.#restart(node);
      };
      child.once("exit", (code, signal) => ended(`exit ${signal ?? code}${hintAt(signal, nodeDir(dir, node.nodeId))}`));
      // No process came of it (too many, no memory): there is no exit to wait for.
      child.on("error", (error) => {
        if (child.pid === undefined) ended(error.message);
      });
    });
  }

  /** What is left of it stays in its directory, for a person to look at. */
  #renew(node: Supervised): void {
    node.condemned = false;
    void node.client.close();
    Object.assign(node, reachedAs(this.#names.next(node.place)));
    node.addresses = undefined;
    node.knowsMetadata = false;
    this.#announce();
  }

  #restart(node: Supervised): void {
    node.timer = setTimeout(() => {
      node.timer = undefined;
      // Its failure is told by the exit that follows, which tries again.
      if (!node.held && !this.#closing) void this.#start(node).catch(() => undefined);
    }, node.patience.failed());
  }

  /** Every node learns where every other one is. */
  #announce(): void {
    const peers: Record<string, NodeAddresses> = {};
    for (const { nodeId, addresses } of this.#nodes.values()) if (addresses !== undefined) peers[nodeId] = addresses;
    const nodeIds = this.nodeIds();
    for (const { child } of this.#nodes.values())
      if (child !== undefined) this.#send(child, { kind: "peers", nodeIds, peers });
    for (const listener of this.#moved) listener();
  }

  #send(child: ChildProcess, message: ToNode): void {
    // A child that is just dying has no channel; its exit is handled where it is reported.
    if (child.connected) child.send(message, () => undefined);
  }
}
