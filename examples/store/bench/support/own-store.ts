import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ScheduleClock } from "@evenkeel/scrubber";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { archiveDir } from "../../src/control/fleet.js";
import { Scrubbing } from "../../src/scrub/scrubbing.js";
import { Store, type StoreOptions } from "../../src/store.js";
import { ITEMS, Loader, storeRoot } from "./loader.js";

/** For what is to happen when a bench says so, and not by the store's own schedule. */
export const NEVER_MS = 2 ** 31 - 1;

/** A store of three processes with its items, for benches that reach into it. Several subjects may share one: it is opened for the first and closed after the last. */
export class OwnStore {
  readonly #items: number;
  readonly #options: Partial<StoreOptions>;
  #users = 0;
  #dir = "";
  #store: Store | undefined;
  #loader: Loader | undefined;

  constructor({ items = ITEMS, ...options }: Partial<StoreOptions> & { items?: number } = {}) {
    this.#items = items;
    this.#options = options;
  }

  get store(): Store {
    return this.#store as Store;
  }

  get loader(): Loader {
    return this.#loader as Loader;
  }

  readonly open = async (): Promise<void> => {
    if (this.#users++ > 0) return;
    this.#dir = await mkdtemp(join(tmpdir(), "evenkeel-bench-"));
    const nodeProgram = join(storeRoot, "dist/node-process.js");
    this.#store = await Store.open({ dir: this.#dir, port: 0, nodeProgram, nodeExecArgv: [], ...this.#options });
    this.#loader = new Loader(this.#store.router.port, this.#items);
    await this.#loader.fill();
  };

  readonly close = async (): Promise<void> => {
    if (--this.#users > 0) return;
    this.#loader?.stop();
    await this.#store?.close();
    await rm(this.#dir, { recursive: true, force: true });
  };

  /** A scrub at this pace until it is closed, which goes on where the last one was. */
  scrubbing(fullPassEveryMs: number, clock?: ScheduleClock): Scrubbing {
    return new Scrubbing({
      fleet: this.store.fleet,
      archive: new FileObjectStore({ dir: archiveDir(this.#dir) }),
      dir: join(this.#dir, "scrub"),
      fullPassEveryMs,
      onFinding: (line) => {
        throw new Error(`a false alarm: ${line}`);
      },
      ...(clock === undefined ? {} : { clock }),
    });
  }
}
