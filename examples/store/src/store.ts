import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { defaultPartitions } from "./control/default-partitions.js";
import { archiveDir, type Fleet, SPARES_MAX } from "./control/fleet.js";
import { metadataKnown } from "./control/known-metadata.js";
import { LocalFleet } from "./control/local-fleet.js";
import { makeDir } from "./control/make-dir.js";
import { ProcessFleet } from "./control/process-fleet.js";
import { checkedUpkeep, type Upkeep } from "./control/upkeep.js";
import { Router } from "./router/router.js";
import type { Credentials } from "./router/signatures.js";
import { Scrubbing } from "./scrub/scrubbing.js";

export interface StoreOptions {
  /** Everything durable lies below this directory; it is created if need be. */
  readonly dir: string;
  /** Loopback only, unless there are credentials. Default 127.0.0.1. */
  readonly host?: string;
  /** Whose requests are answered, by their signatures; none (the default): everybody's. */
  readonly credentials?: readonly Credentials[];
  /** Default 8000; 0: any free port. */
  readonly port?: number;
  /** `processes`: each storage node a process of its own (the default). `single`: all in this one. */
  readonly mode?: "processes" | "single";
  /** Partitions of a new table, 1 to 256. Default 1 on fewer than four processors, else 4. */
  readonly partitionsPerTable?: number;
  /** Nodes beyond the three, 0 to 9, which take the place of one that does not come back. Once there, a node stays. Default 0. */
  readonly spares?: number;
  /** Every partition is scrubbed once in this time. Default one hour. */
  readonly scrubEveryMs?: number;
  /** What happens unasked, and how often; absent: see `UPKEEP`. */
  readonly upkeep?: Partial<Upkeep>;
  /** Told what the scrubber finds. Nothing is repaired unasked. */
  readonly onFinding?: (line: string) => void;
  /** Told when a node's process ends unasked (it is started again), or when a node in this process cannot go on (it is opened again, or the reason says what to do). */
  readonly onNodeFailure?: (nodeId: string, reason: string) => void;
  /** Told in one line what a person who looks after the store wants to know: a table that cannot be restored, a node that is replaced. */
  readonly onNews?: (line: string) => void;
  /** The program of a node's process; absent: the built one, beside this file. */
  readonly nodeProgram?: string;
  /** Arguments of a node's Node.js, such as its heap's size; absent: those of this process. */
  readonly nodeExecArgv?: readonly string[];
  /** Breaks off a start that is under way: `open` rejects with its reason, once no process of it is left. Nothing that was acknowledged before is lost. */
  readonly signal?: AbortSignal;
}

const LOOPBACK = new Set(["127.0.0.1", "::1", "localhost"]);

/** A whole store: three storage nodes in three zones and a request router. */
export class Store {
  readonly dir: string;
  readonly fleet: Fleet;
  readonly router: Router;
  readonly scrub: Scrubbing;
  readonly #host: string;

  private constructor(dir: string, host: string, fleet: Fleet, router: Router, scrub: Scrubbing) {
    this.dir = dir;
    this.#host = host;
    this.fleet = fleet;
    this.router = router;
    this.scrub = scrub;
  }

  /**
   * Resolves when it serves, which in processes it also does on two of its three nodes: the third one's trouble (a broken disk, a damaged log)
   * goes to `onNodeFailure`, and it is started again and again. In one process all three have to open. Rejects with EADDRINUSE, EACCES,
   * ERR_WAL_LOCKED ... as `code` when it cannot.
   */
  static async open(options: StoreOptions): Promise<Store> {
    checkShape(options);
    const {
      host = "127.0.0.1",
      credentials = [],
      port = 8000,
      mode = "processes",
      partitionsPerTable = defaultPartitions(),
      spares = 0,
      scrubEveryMs = 3_600_000,
      onNodeFailure,
    } = options;
    if (!LOOPBACK.has(host) && credentials.length === 0) {
      throw new RangeError(
        `host must be a loopback address (127.0.0.1, ::1, localhost) unless credentials are given (--credentials, or the option credentials): without them every key is good; got ${host}`,
      );
    }
    if (!Number.isInteger(partitionsPerTable) || partitionsPerTable < 1 || partitionsPerTable > 256) {
      throw new RangeError(`partitionsPerTable must be a whole number from 1 to 256; got ${partitionsPerTable}`);
    }
    if (!Number.isInteger(spares) || spares < 0 || spares > SPARES_MAX) {
      throw new RangeError(`spares must be a whole number from 0 to ${SPARES_MAX}; got ${spares}`);
    }
    if (!Number.isFinite(scrubEveryMs) || scrubEveryMs < 1_000 || scrubEveryMs > 2 ** 31 - 1) {
      throw new RangeError(`scrubEveryMs must be a number from 1000 to 2147483647; got ${scrubEveryMs}`);
    }
    const upkeep = checkedUpkeep(options.upkeep ?? {});
    const dir = resolve(options.dir);
    makeDir(dir);
    await assertFree(host, port);
    const fleet =
      mode === "single"
        ? await LocalFleet.open({
            dir,
            partitionsPerTable,
            spares,
            upkeep,
            ...(options.onNews === undefined ? {} : { onNews: options.onNews }),
            onFailure: (nodeId, why) => onNodeFailure?.(nodeId, why),
          })
        : await ProcessFleet.open({
            dir,
            partitionsPerTable,
            spares,
            upkeep,
            ...(options.onNews === undefined ? {} : { onNews: options.onNews }),
            ...(onNodeFailure === undefined ? {} : { onExit: onNodeFailure }),
            ...(options.nodeProgram === undefined ? {} : { program: options.nodeProgram }),
            ...(options.nodeExecArgv === undefined ? {} : { execArgv: options.nodeExecArgv }),
            ...(options.signal === undefined ? {} : { signal: options.signal }),
          });
    try {
      await metadataKnown(fleet, options.signal);
      options.signal?.throwIfAborted();
      const router = await Router.listen({ fleet, host, port, credentials });
      const archive = new FileObjectStore({ dir: archiveDir(dir) });
      const scrubDir = join(dir, "scrub");
      makeDir(scrubDir);
      const scrub = new Scrubbing({
        fleet,
        archive,
        dir: scrubDir,
        fullPassEveryMs: scrubEveryMs,
        onFinding: options.onFinding ?? (() => undefined),
      });
      return new Store(dir, host, fleet, router, scrub);
    } catch (error) {
      await fleet.close();
      throw error;
    }
  }

  get endpoint(): string {
    return `http://${this.#host.includes(":") ? `[${this.#host}]` : this.#host}:${this.router.port}`;
  }

  /** Ends requests, then nodes. Everything acknowledged is on disk before and after. */
  async close(): Promise<void> {
    await this.scrub.close();
    await this.router.close();
    await this.fleet.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

const MODES: readonly unknown[] = ["processes", "single"];

/** What the compiler sees to, for those who have none. @throws RangeError */
function checkShape(options: StoreOptions): void {
  const { dir, host = "127.0.0.1", port = 8000, mode = "processes", credentials = [] } = options ?? {};
  if (typeof dir !== "string" || dir === "") throw new RangeError(`dir must be the path of a directory; got ${dir}`);
  if (typeof host !== "string") throw new RangeError(`host must be a string; got ${host}`);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new RangeError(`port must be a whole number from 0 to 65535; got ${port}`);
  if (!MODES.includes(mode)) throw new RangeError(`mode must be "processes" or "single"; got ${mode}`);
  const areKeys = (one: Credentials | null): boolean => Boolean(one?.accessKeyId && one.secretAccessKey);
  if (!Array.isArray(credentials) || !credentials.every(areKeys))
    throw new RangeError("credentials must be an array of { accessKeyId, secretAccessKey }");
  for (const name of ["onNews", "onFinding", "onNodeFailure"] as const) {
    const listener: unknown = options[name];
    if (listener !== undefined && typeof listener !== "function")
      throw new RangeError(`${name} must be a function; got ${listener}`);
  }
}

/** Finds a port in use before three nodes are started for nothing. */
async function assertFree(host: string, port: number): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", reject);
    probe.listen(port, host, () => probe.close(() => resolve()));
  });
}
