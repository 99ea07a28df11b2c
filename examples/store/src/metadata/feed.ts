import type { MemdsServer } from "@evenkeel/memds";
import type { Replica } from "../storage-node/replica.js";
import type { MetadataChange } from "./view.js";

/** Carries the metadata, slot by slot, into this node's member of the memds fleet. The version is the slot. */
export class MemdsFeed {
  readonly #server: MemdsServer;
  readonly #replica: Replica;

  constructor(server: MemdsServer, replica: Replica) {
    this.#server = server;
    this.#replica = replica;
    this.load();
  }

  apply(slot: number, changes: readonly MetadataChange[]): void {
    try {
      this.#server.apply({ version: slot, changes: changes.map(({ key, json }) => ({ key, value: json ?? null })) });
    } catch {
      // The server refuses a version that does not follow its own: start again from the whole.
      this.load();
    }
  }

  /** Everything anew, as of where the replica is. */
  load(): void {
    const entries = [...this.#replica.range({})].map(({ key, value }) => ({
      key: Uint8Array.from(key),
      value: Uint8Array.from(value.json),
    }));
    this.#server.load({ version: this.#replica.appliedThrough, entries });
  }
}
