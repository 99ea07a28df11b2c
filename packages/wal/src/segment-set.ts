import { channel } from "node:diagnostics_channel";
import { pageBytes } from "./core/headers.js";
import type { WalFile, WalFileSystem } from "./fs/file-system.js";
import { createSegment, type Segment, spareFile } from "./segment.js";

export interface SegmentSetOptions {
  readonly fileSystem: WalFileSystem;
  readonly dir: string;
  readonly logId: Uint8Array;
  readonly segmentBytes: number;
  readonly sparesMax: number;
  readonly nowMs: () => number;
  readonly salt: () => Uint8Array;
}

const dropFailed = channel("evenkeel:wal:drop-failed");

/** The files of the log: which are in use, the next one made ahead of time, and dead ones waiting for a second life. */
export class SegmentSet {
  readonly #options: SegmentSetOptions;
  readonly list: Segment[] = [];
  #next: Promise<{ segment: Segment; file: WalFile }> | undefined;
  readonly #spares: { path: string; filledTo: number }[] = [];
  #housekeeping: Promise<void> = Promise.resolve();
  #dropping = false;
  /** A sync of the directory that failed: what is renamed or created from now on may never become durable, whatever later syncs say. */
  failure: unknown;
  dropped = 0;
  recycled = 0;

  constructor(options: SegmentSetOptions) {
    this.#options = options;
  }

  get active(): Segment {
    return this.list.at(-1) as Segment;
  }

  /** Takes over what recovery found. */
  adopt(segments: readonly Segment[], prepared: { segment: Segment; file: WalFile } | undefined): void {
    this.list.push(...segments);
    if (prepared !== undefined) this.#next = Promise.resolve(prepared);
  }

  /** Makes the first segment: zeroed only as far as a small log needs, so that opening one costs next to nothing. */
  createFirst(fillBytes: number): Promise<{ segment: Segment; file: WalFile }> {
    return this.#create(1, fillBytes);
  }

  /** Starts to make the next segment in the background, unless that was done already; `bulk` leaves it to grow. A failure shows when the segment is needed. */
  prepare(bulk = false): void {
    if (this.#next !== undefined) return;
    this.#next = this.#create(this.active.number + 1, bulk ? pageBytes : this.#options.segmentBytes);
    this.#next.catch(() => undefined);
  }

  async takeNext(): Promise<{ segment: Segment; file: WalFile }> {
    this.prepare();
    const next = this.#next as Promise<{ segment: Segment; file: WalFile }>;
    this.#next = undefined;
    return await next;
  }

  /** Drops segments from the front for as long as nothing live is in them. */
  dropDead(): void {
    if (this.#dropping || this.list.length < 2 || (this.list[0] as Segment).points > 0) return;
    this.#dropping = true;
    this.#housekeeping = this.#dropAll()
      .catch((error: unknown) => {
        // Nothing is lost by a dead file that stays: the next truncation tries again, and so does the next start.
        if (dropFailed.hasSubscribers) dropFailed.publish({ dir: this.#options.dir, error });
      })
      .finally(() => {
        this.#dropping = false;
      });
  }

  /** Resolves once the dropping that is under way is done. */
  housekept(): Promise<void> {
    return this.#housekeeping;
  }

  async #dropAll(): Promise<void> {
    const { fileSystem, dir, sparesMax } = this.#options;
    while (this.list.length > 1) {
      const [oldest, successor] = this.list as [Segment, Segment];
      // What the dead segment says of its streams has to be durable in the next one's checkpoint, which may be on its way just now.
      if (oldest.points > 0 || successor.end === pageBytes) return;
      const reusable = oldest.readers === 0 && this.#spares.length < sparesMax;
      if (reusable) await fileSystem.rename(oldest.path, `${dir}/${spareFile(oldest.number)}`);
      else await fileSystem.remove(oldest.path);
      this.list.shift();
      // Synced one by one, front to back: a crash must never leave a segment behind whose successor is gone.
      await fileSystem.syncDirectory(dir).catch((error: unknown) => {
        this.failure = error;
        throw error;
      });
      if (reusable) this.#spares.push({ path: `${dir}/${spareFile(oldest.number)}`, filledTo: oldest.filledTo });
      this.dropped++;
    }
  }

  async #create(number: number, fillBytes: number): Promise<{ segment: Segment; file: WalFile }> {
    const { fileSystem, dir, logId, nowMs, salt } = this.#options;
    const spare = this.#spares.pop();
    if (spare !== undefined) this.recycled++;
    const base = { fileSystem, dir, number, logId, salt: salt(), nowMs: nowMs(), fillBytes };
    return createSegment(spare === undefined ? base : { ...base, spare });
  }

  /** Waits for what runs in the background and closes the segment made ahead of time; it stays for the next start. */
  async close(): Promise<void> {
    await this.#housekeeping;
    const next = await this.#next?.catch(() => undefined);
    await next?.file.close();
  }
}
