import { readFile, rename, writeFile } from "node:fs/promises";
import { collect, type StateMachine, snapshotOf } from "../../src/index.js";

/** Counts by key, kept in a file from time to time, the way of the README. */
export class Counts implements StateMachine<number> {
  readonly #path: string;
  counts = new Map<number, number>();
  applied = 0;
  appliedThrough = 0;
  durableThrough = 0;
  clientTable: Uint8Array | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async load(): Promise<this> {
    const found = await readFile(this.#path, "utf8").catch(() => undefined);
    if (found === undefined) return this;
    const { slot, counts, table } = JSON.parse(found);
    this.counts = new Map(counts);
    this.applied = this.appliedThrough = this.durableThrough = slot;
    this.clientTable = table === undefined ? undefined : Buffer.from(table, "base64");
    return this;
  }

  apply({ slot, command }: { slot: number; command: Uint8Array }): number {
    this.applied = slot;
    const key = command[0] as number;
    const count = (this.counts.get(key) ?? 0) + 1;
    if (count > 9) this.counts.delete(key);
    else this.counts.set(key, count);
    return count;
  }

  #written = Promise.resolve();
  advance(slot: number, clientTable: () => Uint8Array): void {
    if (slot % 50 !== 0) return;
    const text = this.#text(slot, clientTable());
    this.#written = this.#written.then(async () => {
      await this.#replace(text);
      this.durableThrough = Math.max(this.durableThrough, slot);
    });
  }

  #text(slot: number, table: Uint8Array | undefined): string {
    const encoded = table === undefined ? undefined : Buffer.from(table).toString("base64");
    return JSON.stringify({ slot, counts: [...this.counts], table: encoded });
  }

  async #replace(text: string): Promise<void> {
    await writeFile(`${this.#path}.new`, text);
    await rename(`${this.#path}.new`, this.#path);
  }

  snapshot() {
    return snapshotOf(this.applied, Buffer.from(JSON.stringify([...this.counts])));
  }

  async install(snapshot: Parameters<NonNullable<StateMachine["install"]>>[0]): Promise<void> {
    const counts = new Map<number, number>(JSON.parse(Buffer.from(await collect(snapshot)).toString()));
    this.counts = counts;
    this.applied = this.appliedThrough = snapshot.slot;
    this.clientTable = snapshot.clientTable;
    await this.#written;
    await this.#replace(this.#text(snapshot.slot, snapshot.clientTable));
    this.durableThrough = snapshot.slot;
  }

  async end(): Promise<void> {
    await this.#written;
  }
}
