import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdir, open, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import {
  type ArchiveEntry,
  Archiver,
  archiveStream,
  type Compression,
  FileObjectStore,
  restore,
  verifyArchive,
} from "@evenkeel/wal/archive";
import type { Bench, Subject } from "../../../scripts/bench-types.js";

const mib = 1024 * 1024;
const totalBytes = 128 * mib;
const recordBytes = 1024;
const objectBytes = 8 * mib;
const timeMs = 1_700_000_000_000;

/** Orders as JSON, a third of them noise: what compresses to about a third. */
function jsonRecord(n: number): Buffer {
  const fields = { id: (n * 2654435761) % 1e9, customer: `c-${n % 99_991}`, status: ["new", "paid", "sent"][n % 3] };
  const lines = Array.from({ length: 6 }, (_, line) => ({
    sku: `sku-${(n * 7 + line) % 9973}`,
    count: (n + line) % 9,
  }));
  const text = JSON.stringify({ ...fields, at: new Date(timeMs + n).toISOString(), lines, note: "" });
  const noise = randomBytes(Math.floor(((recordBytes - text.length) * 3) / 4 / 2)).toString("base64");
  return Buffer.concat([Buffer.from(text + noise), Buffer.alloc(recordBytes, `${text}${noise}`)], recordBytes);
}

const contents: Readonly<Record<string, () => Buffer>> = {
  random: () => randomBytes(totalBytes),
  JSON: () =>
    Buffer.concat(
      Array.from({ length: totalBytes / recordBytes }, (_, n) => jsonRecord(n)),
      totalBytes,
    ),
};

/** One after the other, as a log's reader gives them: nobody holds 128 MiB of small buffers. */
function* entriesOf(content: Buffer): Iterable<ArchiveEntry> {
  for (let n = 0; n < totalBytes / recordBytes; n++) {
    yield { sequence: n + 1, timeMs: timeMs + n, data: content.subarray(n * recordBytes, (n + 1) * recordBytes) };
  }
}

/** A directory of its own for each turn: uploading is only measured where nothing is yet. */
class Place {
  readonly dir = mkdtempSync(join(tmpdir(), "evenkeel-bench-archive-"));
  #turn = 0;
  next(): string {
    rmSync(join(this.dir, String(this.#turn)), { recursive: true, force: true });
    return join(this.dir, String(++this.#turn));
  }
  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

async function timed(work: () => Promise<void>): Promise<Record<string, number>> {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { "MB/s": totalBytes / 1e6 / seconds, "CPU s/GB": (user + system) / 1e6 / (totalBytes / 1e9) };
}

const metrics = {
  "MB/s": { unit: "MB/s", better: "higher" },
  "CPU s/GB": { unit: "s/GB", better: "lower" },
} as const;

function uploading(content: string, compression: Compression): Subject {
  const place = new Place();
  let bytes: Buffer;
  return {
    note: `verified, stored, synced, read back, compared; compression: ${compression}`,
    open: () => {
      bytes = (contents[content] as () => Buffer)();
    },
    run: async () => {
      const store = new FileObjectStore({ dir: place.next() });
      const archiver = await Archiver.open({ store, stream: "s", bytesPerObjectMax: objectBytes, compression });
      return timed(async () => {
        await archiver.archive(entriesOf(bytes));
      });
    },
    close: () => place.remove(),
  };
}

/** What nothing that stores bytes durably and looks at them again can beat. */
function plainUploading(content: string): Subject {
  const place = new Place();
  let bytes: Buffer;
  return {
    note: "gather, write, fsync, read back, SHA-256, one file after the other; no framing, no directory sync",
    open: () => {
      bytes = (contents[content] as () => Buffer)();
    },
    run: async () => {
      const dir = place.next();
      await mkdir(dir, { recursive: true });
      return timed(async () => {
        for (let from = 0; from < totalBytes; from += objectBytes) {
          const path = join(dir, String(from));
          const file = await open(path, "w");
          await file.writeFile(Buffer.from(bytes.subarray(from, from + objectBytes)));
          await file.sync();
          await file.close();
          createHash("sha256")
            .update(await readFile(path))
            .digest("hex");
        }
      });
    },
    close: () => place.remove(),
  };
}

function reading(
  content: string,
  compression: Compression,
  work: (store: FileObjectStore) => Promise<number>,
): Subject {
  const place = new Place();
  const store = new FileObjectStore({ dir: place.next() });
  return {
    note: `from the page cache; stored with compression: ${compression}`,
    open: async () => {
      const archiver = await Archiver.open({ store, stream: "s", bytesPerObjectMax: objectBytes, compression });
      await archiver.archive(entriesOf((contents[content] as () => Buffer)()));
    },
    run: () =>
      timed(async () => {
        if ((await work(store)) !== totalBytes / recordBytes) throw new Error("not all entries came back");
      }),
    close: () => place.remove(),
  };
}

const restoring = async (store: FileObjectStore): Promise<number> => {
  let count = 0;
  for await (const _ of restore({ store, stream: "s" })) count++;
  return count;
};

const verifying = async (store: FileObjectStore): Promise<number> => {
  const { entries, problems } = await verifyArchive({ store, stream: "s" });
  if (problems.length > 0) throw new Error(`${problems.length} problems: ${problems[0]?.message}`);
  return entries;
};

function plainReading(): Subject {
  const place = new Place();
  const dir = place.next();
  return {
    note: "read and SHA-256, one file after the other",
    open: async () => {
      await mkdir(dir, { recursive: true });
      for (let n = 0; n < totalBytes / objectBytes; n++) {
        const file = await open(join(dir, String(n)), "w");
        await file.writeFile(randomBytes(objectBytes));
        await file.close();
      }
    },
    run: () =>
      timed(async () => {
        for (let n = 0; n < totalBytes / objectBytes; n++) {
          createHash("sha256")
            .update(await readFile(join(dir, String(n))))
            .digest("hex");
        }
      }),
    close: () => place.remove(),
  };
}

/** From a log on disk to an archive on disk, with the log truncated behind it. */
function fromLog(): Subject {
  const place = new Place();
  return {
    note: "read from the log, verified there too; the log is truncated behind it",
    run: async () => {
      const dir = place.next();
      await mkdir(dir, { recursive: true });
      await using wal = await Wal.open({ dir: join(dir, "log") });
      const stream = wal.stream("s");
      const bytes = randomBytes(totalBytes);
      for (let from = 0; from < totalBytes; from += 256 * recordBytes) {
        await stream.append(
          Array.from({ length: 256 }, (_, n) => bytes.subarray(from + n * recordBytes, from + (n + 1) * recordBytes)),
        );
      }
      const store = new FileObjectStore({ dir: join(dir, "archive") });
      // Awaited here: the log is closed when this function is left.
      return await timed(async () => {
        await using archiving = archiveStream({ stream, store, bytesPerObjectMax: objectBytes });
        await archiving.flush();
      });
    },
    close: () => place.remove(),
  };
}

export default [
  {
    name: "verified upload of 128 MiB to files, random records of 1 KiB",
    metrics,
    subjects: { evenkeel: uploading("random", "brotli"), limit: plainUploading("random") },
    goals: [{ metric: "MB/s", atLeast: 300 }],
  },
  {
    name: "verified upload of 128 MiB to files, JSON records of 1 KiB",
    metrics,
    subjects: {
      evenkeel: uploading("JSON", "brotli"),
      "evenkeel, none": uploading("JSON", "none"),
      "evenkeel, deflate": uploading("JSON", "deflate"),
      limit: plainUploading("JSON"),
    },
    goals: [{ metric: "MB/s", atLeast: 300 }],
  },
  {
    name: "a log of 128 MiB archived and truncated, random records of 1 KiB",
    metrics,
    subjects: { evenkeel: fromLog() },
  },
  {
    name: "restore of 128 MiB from files, random records of 1 KiB",
    metrics,
    subjects: { evenkeel: reading("random", "brotli", restoring), limit: plainReading() },
    goals: [{ metric: "MB/s", atLeast: 200 }],
  },
  {
    name: "restore of 128 MiB from files, JSON records of 1 KiB",
    metrics,
    subjects: {
      evenkeel: reading("JSON", "brotli", restoring),
      "evenkeel, none": reading("JSON", "none", restoring),
      "evenkeel, deflate": reading("JSON", "deflate", restoring),
      limit: plainReading(),
    },
    goals: [{ metric: "MB/s", atLeast: 200 }],
  },
  {
    name: "verification of 128 MiB in files, random records of 1 KiB",
    metrics,
    subjects: { evenkeel: reading("random", "brotli", verifying), limit: plainReading() },
  },
] satisfies Bench[];
