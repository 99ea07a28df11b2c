import { channel } from "node:diagnostics_channel";
import { pageBytes } from "./core/headers.js";
import type { WalFileSystem } from "./fs/file-system.js";
import { createSegment, fillSome, type OpenSegment, type Segment, spareFile } from "./segment.js";

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
  #next: Promise<OpenSegment> | undefined;
  /** The same once it is made, where it is to be filled with zeros. */
  #made: OpenSegment | undefined;
  #filling: Promise<void> | undefined;
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
  adopt(segments: readonly Segment[], prepared: OpenSegment | undefined): void {
    this.list.push(...segments);
    if (prepared !== undefined) this.#next = Promise.resolve(prepared);
  }

  /** Makes the first segment: zeroed only as far as a small log needs, so that opening one costs next to nothing. */
  createFirst(fillBytes: number): Promise<OpenSegment> {
    return this.#create(1, fillBytes);
  }

  /** Starts to make the next segment in the background, unless that was done already; `bulk` leaves it to grow. A failure shows when the segment is needed. */
  prepare(bulk = false): void {
    if (this.#next !== undefined) return;
    const next = this.#create(this.active.number + 1, pageBytes);
    this.#next = next;
    next.then(
      (made) => {
        if (this.#next === next && !bulk) this.#made = made;
      },
      () => undefined,
    );
  }

  /**
   * Zeros are to be written ahead in this share of the next segment by now. They are written as the active one fills: all of them at once would be one long turn and one long sync, and at the replicas of one
   * log at the same moment.
   */
  fillNext(share: number): void {
    const { segmentBytes } = this.#options;
    const made = this.#made;
    if (made === undefined || this.#filling !== undefined) return;
    if (made.segment.filledTo >= Math.min(share, 1) * segmentBytes) return;
    this.#filling = fillSome(made, segmentBytes)
      .catch((error: unknown) => this.#spoil(made, error))
      .finally(() => {
        this.#filling = undefined;
      });
  }

  /** What is in it nobody knows: as if it could not be made. */
  async #spoil({ file }: OpenSegment, error: unknown): Promise<void> {
    this.#made = undefined;
    this.#next = Promise.reject(error);
    this.#next.catch(() => undefined);
    await file.close().catch(() => undefined);
  }

  async takeNext(): Promise<OpenSegment> {
    this.prepare();
    // Or zeros would be written over what is logged there.
    await this.#filling;
    const next = this.#next as Promise<OpenSegment>;
    this.#next = undefined;
    this.#made = undefined;
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

  async #create(number: number, fillBytes: number): Promise<OpenSegment> {
    const { fileSystem, dir, logId, nowMs, salt } = this.#options;
    const spare = this.#spares.pop();
    if (spare !== undefined) this.recycled++;
    const base = { fileSystem, dir, number, logId, salt: salt(), nowMs: nowMs(), fillBytes };
    return createSegment(spare === undefined ? base : { ...base, spare });
  }

  /** Waits for what runs in the background and closes the segment made ahead of time; it stays for the next start. */
  async close(): Promise<void> {
    await this.#housekeeping;
    await this.#filling;
    const next = await this.#next?.catch(() => undefined);
    await next?.file.close();
  }
}
