import type { Group } from "@evenkeel/paxos";
import { type ArchiveEntry, Archiver, type ObjectStore } from "@evenkeel/wal/archive";
import { decodeCommand } from "./command.js";
import { StoreError } from "./errors.js";
import { notLeader } from "./paxos-errors.js";

const BYTES_PER_OBJECT_MAX = 4 * 1024 * 1024;
const ENTRIES_PER_RUN_MAX = 50_000;

/**
 * A partition's log on its way to the archive. The leader uploads; the other replicas compare what is there with what they have, and only
 * then let go of their own log. Canonical entries: slot, the leader's time (0 for a no-op), the command's bytes.
 */
export class Archiving {
  readonly #group: Group<number>;
  readonly #store: ObjectStore;
  readonly #stream: string;
  #run: Promise<unknown> = Promise.resolve();
  #archivedThrough = 0;
  #comparedThrough = 0;

  constructor(group: Group<number>, store: ObjectStore, stream: string) {
    this.#group = group;
    this.#store = store;
    this.#stream = stream;
  }

  /** Slot through which the archive is known to vouch for the log. */
  get archivedThrough(): number {
    return this.#archivedThrough;
  }

  /** Leader only: uploads what is chosen and not yet archived, through `throughSlot` at least. Resolves with how far the archive reaches. */
  async archive(throughSlot?: number): Promise<number> {
    return await this.#exclusively(async () => {
      const status = this.#group.status();
      if (!status.ready) throw notLeader(status.leader);
      // Another leader may have been here since: what the archive holds is read from the archive, always.
      const archiver = await this.#open();
      let done = archiver.archivedThrough;
      const target = Math.min(throughSlot ?? status.appliedThrough, status.appliedThrough);
      while (done < target) {
        await archiver.archive(this.#entries(done + 1, Math.min(target, done + ENTRIES_PER_RUN_MAX)));
        // No further: another leader died between an object and its manifest, and the object reaches past what was asked for.
        if (archiver.archivedThrough === done) await archiver.archive(this.#entries(done + 1, status.appliedThrough));
        if (archiver.archivedThrough === done) {
          throw new StoreError(
            "ERR_STORE_BEHIND",
            `the archive's next object reaches past slot ${status.appliedThrough}`,
          );
        }
        done = archiver.archivedThrough;
      }
      this.#archivedThrough = done;
      return done;
    });
  }

  /** Any replica: compares its own log with the archive, from where it last was. Resolves with how far both agree. */
  async compare(throughSlot: number): Promise<number> {
    return await this.#exclusively(async () => {
      if (this.#comparedThrough >= throughSlot) return this.#comparedThrough;
      const archiver = await this.#open();
      const status = this.#group.status();
      const from = Math.max(this.#comparedThrough, status.trimmedThrough) + 1;
      const through = Math.min(throughSlot, archiver.archivedThrough, status.appliedThrough);
      if (from > through) return this.#comparedThrough;
      // 0 where no whole object lies in what was compared.
      this.#comparedThrough = Math.max(this.#comparedThrough, await archiver.compare(this.#entries(from, through)));
      this.#archivedThrough = Math.max(this.#archivedThrough, archiver.archivedThrough);
      return this.#comparedThrough;
    });
  }

  async idle(): Promise<void> {
    await this.#run;
  }

  #open(): Promise<Archiver> {
    return Archiver.open({ store: this.#store, stream: this.#stream, bytesPerObjectMax: BYTES_PER_OBJECT_MAX });
  }

  async *#entries(from: number, through: number): AsyncIterable<ArchiveEntry> {
    for await (const entry of this.#group.entries({ from, through })) {
      const isCommand = entry.kind === "command";
      yield {
        sequence: entry.slot,
        timeMs: isCommand ? decodeCommand(entry.command).timeMs : 0,
        data: isCommand ? entry.command : new Uint8Array(0),
      };
    }
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#run.then(work);
    this.#run = mine.catch(() => undefined);
    return await mine;
  }
}
