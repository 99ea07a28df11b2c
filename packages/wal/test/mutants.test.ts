import { afterEach, describe, expect, it, vi } from "vitest";
import { batchHeaderBytes, payloadIsWhole, readBatchHeader } from "../src/core/batch.js";
import { pageBytes } from "../src/core/headers.js";
import type { walkSegment } from "../src/core/scan.js";
import type { WalFile, WalFileSystem } from "../src/index.js";
import { powerCuts, type Subject } from "./support/power-cuts.js";

/** Handles of a file system, each changed by `change`. */
function withFiles(change: (file: WalFile, path: string, mode: string) => WalFile): Subject["wrap"] {
  return (fileSystem: WalFileSystem) => ({
    ...fileSystem,
    open: async (path, mode) => change(await fileSystem.open(path, mode), path, mode),
  });
}

interface Mutant {
  readonly wrap?: Subject["wrap"];
  /** Exports of modules of the log that are replaced. */
  readonly mocks?: Record<string, (original: Record<string, unknown>) => Record<string, unknown>>;
}

const skipped = async () => undefined;
/** Each is a mistake that somebody has shipped in a log. */
const mutants: Record<string, Mutant> = {
  "takes a synced write for any other": {
    wrap: withFiles((file) => ({ ...bound(file), writeSynced: (bytes, at) => file.write(bytes, at) })),
  },
  "acknowledges without a sync": { wrap: withFiles((file) => ({ ...bound(file), sync: skipped })) },
  "does not sync the directory": { wrap: (fileSystem) => ({ ...fileSystem, syncDirectory: skipped }) },
  "gives a new segment its name before it is synced": {
    wrap: withFiles((file, path) => (path.endsWith(".tmp") ? withoutFirstSync(file) : file)),
  },
  "tries a failed sync again": {
    wrap: withFiles((file) => ({ ...bound(file), sync: () => file.sync().catch(() => file.sync()) })),
  },
  "takes a short write for a whole one": {
    wrap: withFiles((file) => ({
      ...bound(file),
      write: async (bytes, at) => {
        await file.write(bytes, at);
        return bytes.length;
      },
    })),
  },
  "takes a read error for the end of the log": {
    wrap: withFiles((file, path) =>
      path.endsWith(".wal") ? { ...bound(file), read: (into, at) => file.read(into, at).catch(() => 0) } : file,
    ),
  },
  "does not sync what it found when it was opened": {
    wrap: withFiles((file, path, mode) => (mode === "write" && path.endsWith(".wal") ? withoutFirstSync(file) : file)),
  },
  "believes a last batch whose sync had failed, because the page cache has it": { wrap: withFiles(withoutRewriting) },
  "does not look for later batches that vouch for a damaged one": {
    mocks: { "../src/core/scan.js": () => ({ findVouching: () => undefined }) },
  },
  "does not look at the file marks": {
    mocks: {
      "../src/core/headers.js": (original) => ({
        decodeMark: (...args: unknown[]) => {
          const slot = (original.decodeMark as (...args: unknown[]) => { ok: boolean; value: object })(...args);
          return slot.ok ? { ok: true, value: { ...slot.value, batch: 0, batchCrc: 0, segment: 0 } } : slot;
        },
      }),
    },
  },
  "believes a batch by its header alone": { mocks: { "../src/core/batch.js": () => ({ payloadIsWhole: () => true }) } },
  "says nothing of an end in doubt": { mocks: { "../src/core/scan.js": () => ({ endsClean: () => true }) } },
  "takes what a reused file held before for its own": {
    mocks: {
      "node:crypto": () => ({ randomBytes: (length: number) => Buffer.alloc(length, 7) }),
      "../src/core/scan.js": () => ({ walkSegment: walkWithoutNumbers }),
    },
  },
};

afterEach(() => {
  vi.doUnmock("node:crypto");
  for (const { mocks } of Object.values(mutants)) for (const path of Object.keys(mocks ?? {})) vi.doUnmock(path);
  vi.resetModules();
});

async function subjectOf({ wrap, mocks }: Mutant): Promise<Subject> {
  vi.resetModules();
  for (const [path, change] of Object.entries(mocks ?? {})) {
    vi.doMock(path, async (importOriginal) => {
      const original = await importOriginal<Record<string, unknown>>();
      return { ...original, ...change(original) };
    });
  }
  const { Wal, salvage } = await import("../src/index.js");
  return { Wal, salvage, ...(wrap && { wrap }) };
}

describe("the property of power cuts catches a log that", () => {
  for (const [name, mutant] of Object.entries(mutants)) {
    it(name, { timeout: 240_000 }, async () => {
      const subject = await subjectOf(mutant);
      let caught: unknown;
      let seed = 0;
      for (; caught === undefined && seed < 400; seed++) {
        caught = await powerCuts(seed, subject).then(
          () => undefined,
          (error: unknown) => error,
        );
      }
      expect(caught, "no seed found it").toBeInstanceOf(Error);
    });
  }

  it("and nothing where there is nothing to catch", async () => {
    const subject = await subjectOf({
      wrap: withFiles((file) => ({ ...bound(file), ...(file.writeSynced && { writeSynced: file.writeSynced }) })),
    });
    for (let seed = 0; seed < 20; seed++) await powerCuts(seed, subject);
  });
});

/** Whoever writes through it writes and syncs. */
function bound(file: WalFile): WalFile {
  return {
    read: (into, at) => file.read(into, at),
    write: (bytes, at) => file.write(bytes, at),
    sync: () => file.sync(),
    size: () => file.size(),
    close: () => file.close(),
  };
}

function withoutFirstSync(file: WalFile): WalFile {
  let first = true;
  return {
    ...bound(file),
    sync: () => {
      if (!first) return file.sync();
      first = false;
      return skipped();
    },
  };
}

function withoutRewriting(file: WalFile): WalFile {
  let read = false;
  return {
    ...bound(file),
    read: (into, at) => {
      read = true;
      return file.read(into, at);
    },
    write: async (bytes, at) => {
      if (!read) return file.write(bytes, at);
      read = false;
      return bytes.length;
    },
  };
}

/** As the log's own, but whatever stands there with right checksums is taken to follow. */
const walkWithoutNumbers: typeof walkSegment = (bytes, place, expected, crc, visit) => {
  let end = pageBytes;
  let next = expected;
  for (;;) {
    const header = readBatchHeader(bytes, end, place, end, crc);
    if (header === undefined || !payloadIsWhole(bytes, end, header, place, end, crc)) return { end, expected: next };
    visit(header, end);
    end += batchHeaderBytes + header.payloadBytes;
    next = { number: header.number + 1, previousCrc: header.crc };
  }
};
