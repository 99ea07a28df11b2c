import { rm } from "node:fs/promises";
import type { Entry, KeyRange } from "@evenkeel/scrubber";
import { open, type RootDatabase } from "lmdb";

const PUTS_AT_ONCE_MAX = 2_000;
const BYTES_AT_ONCE_MAX = 4 * 1024 * 1024;
const NOTHING = new Uint8Array(0);

/**
 * A sorted map of any size on the disk, for as long as a pass takes: it is never synced, and thrown away afterwards. Changes gather to a few megabytes
 * in memory; reads see what was there at the last `flush`.
 */
export class Scratch {
  readonly #dir: string;
  readonly #db: RootDatabase<Buffer, Buffer>;
  readonly #changes = new Map<string, { key: Uint8Array; value: Uint8Array | undefined }>();
  #bytes = 0;

  constructor(dir: string) {
    this.#dir = dir;
    this.#db = open<Buffer, Buffer>({
      path: `${dir}/scratch.mdb`,
      keyEncoding: "binary",
      encoding: "binary",
      pageSize: 8192,
      noSync: true,
      noMetaSync: true,
    } as Parameters<typeof open>[0] & { path: string }) as RootDatabase<Buffer, Buffer>;
  }

  /** The value is kept until the next flush; absent: deleted. */
  async set(key: Uint8Array, value: Uint8Array | undefined): Promise<void> {
    this.#changes.set(Buffer.from(key).toString("latin1"), { key, value });
    this.#bytes += key.length + (value?.length ?? 0);
    if (this.#changes.size >= PUTS_AT_ONCE_MAX || this.#bytes >= BYTES_AT_ONCE_MAX) await this.flush();
  }

  async flush(): Promise<void> {
    const changes = [...this.#changes.values()];
    this.#changes.clear();
    this.#bytes = 0;
    await this.#db.batch(() => {
      for (const { key, value } of changes) {
        if (value === undefined) void this.#db.remove(Buffer.from(key));
        else void this.#db.put(Buffer.from(key), Buffer.from(value));
      }
    });
  }

  /** In key order. */
  *entries({ from, to }: KeyRange): IterableIterator<Entry> {
    // lmdb has no empty key; to begin behind it is to begin at the first.
    const start = from.length === 0 ? Buffer.alloc(1) : Buffer.from(from);
    const range = to === undefined ? { start } : { start, end: Buffer.from(to) };
    if (to !== undefined && Buffer.compare(start, to) >= 0) return;
    for (const { key, value } of this.#db.getRange(range)) yield { key: Buffer.from(key), value };
  }

  /** The same in pieces of about `bytesMax`, copied, so that no cursor stays open between them. */
  *pages(bytesMax: number): IterableIterator<Entry[]> {
    let from: Uint8Array = NOTHING;
    for (;;) {
      const page: Entry[] = [];
      let bytes = 0;
      for (const { key, value } of this.entries({ from, to: undefined })) {
        page.push({ key, value: Uint8Array.from(value) });
        bytes += key.length + value.length;
        if (bytes >= bytesMax) break;
      }
      if (page.length === 0) return;
      yield page;
      from = Buffer.concat([(page.at(-1) as Entry).key, Buffer.alloc(1)]);
    }
  }

  async close(): Promise<void> {
    await this.#db.close();
    await rm(this.#dir, { recursive: true, force: true });
  }
}
