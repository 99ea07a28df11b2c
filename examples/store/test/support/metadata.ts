import type { MetadataService } from "../../src/metadata/service.js";
import { type MetadataChange, MetadataView } from "../../src/metadata/view.js";
import type { Write } from "../../src/storage-node/command.js";
import type { Replica } from "../../src/storage-node/replica.js";

/** The metadata of a store, in memory: what is decided is so at once. */
export class Metadata implements Pick<MetadataService, "change" | "read"> {
  readonly view: MetadataView;
  #apply!: (changes: readonly MetadataChange[], slot: number) => void;
  #slot = 0;

  constructor() {
    const replica = {
      appliedThrough: 0,
      observe: (apply: (changes: readonly MetadataChange[], slot: number) => void) => {
        this.#apply = apply;
      },
      observeTakeOver: () => undefined,
      range: () => [],
    };
    this.view = new MetadataView(replica as unknown as Replica, {
      changed: () => undefined,
      replaced: () => undefined,
    });
  }

  /** Of the last entry. */
  get slot(): number {
    return this.#slot;
  }

  write(...writes: readonly Write[]): void {
    const changes = writes.map((write) => ({ key: write.key, json: write.op === "put" ? write.bytes : undefined }));
    this.#apply(changes, ++this.#slot);
  }

  async change(decide: (view: MetadataView) => readonly Write[]): Promise<number> {
    const writes = decide(this.view);
    if (writes.length > 0) this.write(...writes);
    return this.#slot;
  }

  async read<T>(read: (view: MetadataView) => T): Promise<T> {
    return read(this.view);
  }
}
