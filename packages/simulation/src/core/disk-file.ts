import type { Random } from "./random.js";

export const PAGE_BYTES = 4096;
/** Images of one page that a crash can choose from; the oldest one that a newer completed one covers goes first. */
const IMAGES_MAX = 8;

/** What a page looked like after one write to it. A later image holds the earlier writes too. */
interface Image {
  readonly version: number;
  readonly bytes: Uint8Array;
  /** The write has been reported as done: a sync that starts now covers it. */
  complete: boolean;
  /** A sync of it failed. As on Linux, the page then counts as clean: no later sync covers it, and a crash loses it. */
  forsaken: boolean;
}

interface Page {
  durable: Uint8Array | undefined;
  durableVersion: number;
  images: Image[];
}

/** What a sync that has begun will make durable when it ends. */
export interface Captured {
  readonly pages: ReadonlyMap<number, Image>;
  readonly sizeBytes: number;
  readonly version: number;
}

/** One file: what is durable, and over it what is only in the page cache. */
export class DiskFile {
  readonly #pages = new Map<number, Page>();
  /** Pages that hold images: a sync looks at these alone, however large the file is. */
  readonly #dirty = new Set<number>();
  #version = 0;
  sizeBytes = 0;
  #durableSizeBytes = 0;
  #durableSizeVersion = 0;
  /** Sizes between the durable one and now: a crash may leave any of them. */
  #sizesSince: number[] = [];

  /** Changes the cache at once. The function returned marks the write as complete. */
  write(offset: number, bytes: Uint8Array): () => void {
    const images: Image[] = [];
    const end = offset + bytes.length;
    for (let index = Math.floor(offset / PAGE_BYTES); index * PAGE_BYTES < end; index++) {
      const start = index * PAGE_BYTES;
      const page = this.#page(index);
      const image = new Uint8Array(PAGE_BYTES);
      const before = newest(page);
      if (before !== undefined) image.set(before);
      const from = Math.max(offset, start);
      image.set(bytes.subarray(from - offset, Math.min(end, start + PAGE_BYTES) - offset), from - start);
      images.push(this.#addImage(index, page, image));
    }
    if (end > this.sizeBytes) this.#resize(end);
    return () => {
      for (const image of images) image.complete = true;
    };
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes < this.sizeBytes) {
      const kept = sizeBytes % PAGE_BYTES;
      for (const [index, page] of this.#pages) {
        const start = index * PAGE_BYTES;
        if (start + PAGE_BYTES <= sizeBytes) continue;
        const image = new Uint8Array(PAGE_BYTES);
        if (start < sizeBytes) image.set((newest(page) ?? image).subarray(0, kept));
        this.#addImage(index, page, image).complete = true;
      }
    }
    this.#resize(sizeBytes);
  }

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(offset + length, this.sizeBytes);
    const out = new Uint8Array(Math.max(0, end - offset));
    for (let index = Math.floor(offset / PAGE_BYTES); index * PAGE_BYTES < end; index++) {
      const page = this.#pages.get(index);
      const bytes = page && newest(page);
      if (bytes === undefined) continue;
      const start = index * PAGE_BYTES;
      const from = Math.max(offset, start);
      out.set(bytes.subarray(from - start, Math.min(end, start + PAGE_BYTES) - start), from - offset);
    }
    return out;
  }

  capture(): Captured {
    const pages = new Map<number, Image>();
    for (const index of this.#dirty) {
      const image = this.#page(index).images.findLast((candidate) => candidate.complete && !candidate.forsaken);
      if (image !== undefined) pages.set(index, image);
    }
    return { pages, sizeBytes: this.sizeBytes, version: this.#version };
  }

  makeDurable(captured: Captured): void {
    for (const [index, image] of captured.pages) {
      const page = this.#page(index);
      if (image.version <= page.durableVersion) continue;
      page.durable = image.bytes;
      page.durableVersion = image.version;
      page.images = page.images.filter((other) => other.version > image.version);
      if (page.images.length === 0) this.#dirty.delete(index);
    }
    if (captured.version >= this.#durableSizeVersion) {
      this.#durableSizeVersion = captured.version;
      this.#durableSizeBytes = captured.sizeBytes;
      this.#sizesSince = this.sizeBytes === captured.sizeBytes ? [] : [this.sizeBytes];
    }
  }

  /** A failed sync: some of what it covered may have reached the disk, and none of it is tried again. */
  forsake(captured: Captured, random: Random): void {
    for (const [index, image] of captured.pages) {
      const page = this.#page(index);
      if (image.version <= page.durableVersion) continue;
      if (random.chance(0.5)) {
        page.durable = image.bytes;
        page.durableVersion = image.version;
      }
      for (const other of page.images) if (other.version <= image.version) other.forsaken = true;
    }
  }

  /** Each page falls back to what is durable or to any image that was under way, on its own. Returns how many pages lost something. */
  crash(random: Random): number {
    let lost = 0;
    this.sizeBytes = random.pick([this.#durableSizeBytes, ...this.#sizesSince]);
    this.#durableSizeBytes = this.sizeBytes;
    this.#sizesSince = [];
    this.#dirty.clear();
    for (const [index, page] of this.#pages) {
      const choices = page.images.filter((image) => !image.forsaken);
      const chosen = random.int(choices.length + 1);
      const image = choices[chosen - 1];
      if (image !== page.images.at(-1)) lost++;
      if (image !== undefined) page.durable = image.bytes;
      page.durableVersion = ++this.#version;
      page.images = [];
      const start = index * PAGE_BYTES;
      if (start >= this.sizeBytes) this.#pages.delete(index);
      else if (page.durable !== undefined && start + PAGE_BYTES > this.sizeBytes) {
        page.durable = page.durable.slice();
        page.durable.fill(0, this.sizeBytes - start);
      }
    }
    return lost;
  }

  /** Changes stored bytes behind everybody's back, in the cache and on the platter. */
  corrupt(offset: number, mask: number): void {
    const page = this.#page(Math.floor(offset / PAGE_BYTES));
    const at = offset % PAGE_BYTES;
    const flipped = (bytes: Uint8Array): Uint8Array => {
      const copy = bytes.slice();
      copy[at] = (copy[at] as number) ^ mask;
      return copy;
    };
    page.durable = flipped(page.durable ?? new Uint8Array(PAGE_BYTES));
    page.images = page.images.map((image) => ({ ...image, bytes: flipped(image.bytes) }));
  }

  #page(index: number): Page {
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = { durable: undefined, durableVersion: 0, images: [] };
      this.#pages.set(index, page);
    }
    return page;
  }

  #addImage(index: number, page: Page, bytes: Uint8Array): Image {
    this.#dirty.add(index);
    const image: Image = { version: ++this.#version, bytes, complete: false, forsaken: false };
    page.images.push(image);
    if (page.images.length > IMAGES_MAX) {
      const covered = page.images.findIndex((_, index) => page.images[index + 1]?.complete === true);
      if (covered >= 0) page.images.splice(covered, 1);
    }
    return image;
  }

  #resize(sizeBytes: number): void {
    if (sizeBytes === this.sizeBytes) return;
    this.sizeBytes = sizeBytes;
    this.#version++;
    this.#sizesSince.push(sizeBytes);
    if (this.#sizesSince.length > IMAGES_MAX) this.#sizesSince.shift();
  }
}

function newest(page: Page): Uint8Array | undefined {
  return page.images.at(-1)?.bytes ?? page.durable;
}
