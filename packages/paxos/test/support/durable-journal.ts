import { collect, type IncomingSnapshot, type Snapshot, snapshotOf } from "../../src/index.js";
import { Journal } from "./cluster.js";

/** What a durable journal's disk holds: replaced as a whole, never in part. */
export interface JournalDisk {
  slot: number;
  readonly commands: readonly string[];
  readonly clientTable?: Uint8Array | undefined;
}

/** A journal with a disk of its own, that hands out its state and takes over another's. */
export class DurableJournal extends Journal {
  readonly #disk: JournalDisk[];
  /** Slots of the snapshots that were taken over, and of those that were tried. */
  readonly installed: number[] = [];
  readonly tried: number[] = [];
  chunks = 0;
  onChunk: ((chunk: number) => Promise<void> | void) | undefined;
  /** When all of a snapshot has come, and is not taken over yet. */
  onEnd: (() => Promise<void>) | undefined;
  /** Right before and right after the one durable step. */
  onSwitch: ((when: "before" | "after") => void) | undefined;

  /** `disk` outlives the journal, and holds its newest state last. */
  constructor(disk: JournalDisk[] = []) {
    super();
    this.#disk = disk;
    const found = disk.at(-1);
    if (!found) return;
    this.appliedThrough = found.slot;
    this.commands.push(...found.commands);
  }

  get state(): string {
    return JSON.stringify(this.commands);
  }

  #slot = 0;

  #clientTable: () => Uint8Array = () => new Uint8Array(0);

  advance(slot: number, clientTable: () => Uint8Array): void {
    this.#slot = slot;
    this.#clientTable = clientTable;
  }

  get clientTable(): Uint8Array | undefined {
    return this.#disk.at(-1)?.clientTable;
  }

  /** Brings to disk what is applied. */
  checkpoint(): void {
    const slot = Math.max(this.#slot, this.appliedThrough);
    this.#disk.push({ slot, commands: [...this.commands], clientTable: this.#clientTable() });
  }

  get durableThrough(): number {
    return this.#disk.at(-1)?.slot ?? 0;
  }

  snapshot(): Snapshot {
    const bytes = Buffer.from(JSON.stringify(this.commands), "utf8");
    return snapshotOf(Math.max(this.#slot, this.appliedThrough), bytes);
  }

  async install(snapshot: IncomingSnapshot): Promise<void> {
    this.tried.push(snapshot.slot);
    const { onChunk } = this;
    const count = () => ++this.chunks;
    async function* watched() {
      for await (const chunk of snapshot.chunks) {
        await onChunk?.(count());
        yield chunk;
      }
    }
    const bytes = await collect({ ...snapshot, chunks: watched() });
    const commands = JSON.parse(Buffer.from(bytes).toString("utf8")) as string[];
    await this.onEnd?.();
    this.onSwitch?.("before");
    this.#disk.push({ slot: snapshot.slot, commands, clientTable: snapshot.clientTable });
    this.onSwitch?.("after");
    this.commands.splice(0, Number.POSITIVE_INFINITY, ...commands);
    this.#slot = snapshot.slot;
    this.installed.push(snapshot.slot);
  }
}
