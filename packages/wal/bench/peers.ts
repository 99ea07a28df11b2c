import { createRequire } from "node:module";
import { join } from "node:path";
import { GroupCommitLoop } from "./group-commit-loop.js";

/** Something that keeps records: `append` resolves once the record is on disk. */
export interface Appending {
  append(data: Buffer): Promise<unknown>;
  close(): unknown;
}

export interface Peer {
  readonly note: string;
  /** Why it cannot run here. */
  readonly skip?: string;
  start(dir: string): Promise<Appending> | Appending;
}

const load = createRequire(import.meta.url);

/**
 * What a peer that commits when it is told to is given for its best: records that arrive while one commit runs go into the next, as one
 * transaction or batch. Handing them over one by one costs those peers up to nine tenths of their throughput.
 */
function grouped(commit: (records: Buffer[]) => Promise<unknown> | undefined): (data: Buffer) => Promise<void> {
  let gathering: Buffer[] = [];
  let waiters: (() => void)[] = [];
  let busy = false;
  const run = async () => {
    while (gathering.length > 0) {
      const answers = waiters;
      const records = gathering;
      waiters = [];
      gathering = [];
      await commit(records);
      for (const answer of answers) answer();
      await new Promise((resolve) => setImmediate(resolve));
    }
    busy = false;
  };
  return (data) =>
    new Promise((resolve) => {
      gathering.push(data);
      waiters.push(resolve);
      if (busy) return;
      busy = true;
      setImmediate(() => void run());
    });
}

/** A peer whose package may be missing, or may have no binary for this machine: then the rest runs without it. */
function peer<Module>(
  name: string,
  note: string,
  start: (module: Module, dir: string) => Promise<Appending> | Appending,
): Peer {
  try {
    const module = load(name) as Module;
    return { note, start: (dir) => start(module, dir) };
  } catch (error) {
    const skip = `${name} cannot be loaded: ${(error as Error).message.split("\n")[0]}`;
    return { note, skip, start: () => Promise.reject(new Error(skip)) };
  }
}

const keysMax = 1_000_000;

const lmdb = peer<typeof import("lmdb")>(
  "lmdb",
  "grouped into transactions, each synced before it is answered (overlappingSync: false, a quarter faster here than awaiting `flushed`)",
  ({ open }, dir) => {
    const db = open<Buffer, number>({
      path: dir,
      encoding: "binary",
      keyEncoding: "uint32",
      noMemInit: true,
      overlappingSync: false,
    });
    let key = 0;
    const commit = (records: Buffer[]) =>
      db.batch(() => {
        for (const data of records) void db.put(key++ % keysMax, data);
      });
    return { append: grouped(commit), close: () => db.close() };
  },
);

const rowsAtOnce = 64;

const sqlite = peer<typeof import("libsql")>(
  "libsql",
  `journal_mode=WAL, synchronous=FULL, grouped into transactions, ${rowsAtOnce} rows a statement (libsql, the API of better-sqlite3)`,
  (module, dir) => {
    const Database = "default" in module ? (module.default as typeof module) : module;
    const db = new Database(join(dir, "log.db"));
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = FULL");
    db.exec("CREATE TABLE log (sequence INTEGER PRIMARY KEY, data BLOB)");
    const one = db.prepare("INSERT INTO log (data) VALUES (?)");
    const many = db.prepare(`INSERT INTO log (data) VALUES ${Array(rowsAtOnce).fill("(?)").join(",")}`);
    const [begin, end] = [db.prepare("BEGIN"), db.prepare("COMMIT")];
    const commit = (records: Buffer[]) => {
      begin.run();
      let at = 0;
      for (; at + rowsAtOnce <= records.length; at += rowsAtOnce) many.run(records.slice(at, at + rowsAtOnce));
      for (; at < records.length; at++) one.run([records[at]]);
      end.run();
      return undefined;
    };
    return { append: grouped(commit), close: () => db.close() };
  },
);

const classicLevel = peer<typeof import("classic-level")>(
  "classic-level",
  "grouped into batches with sync: true",
  async ({ ClassicLevel }, dir) => {
    const db = new ClassicLevel<string, Buffer>(dir, { valueEncoding: "buffer", writeBufferSize: 64 * 1024 * 1024 });
    await db.open();
    let key = 0;
    const put = (value: Buffer) => ({ type: "put", key: String(key++ % keysMax), value }) as const;
    return { append: grouped((records) => db.batch(records.map(put), { sync: true })), close: () => db.close() };
  },
);

/** As much of `rocksdb`, which has no types, as is used here. */
interface RocksDb {
  open(options: { writeBufferSize: number }, done: (error?: Error) => void): void;
  batch(
    puts: { type: "put"; key: string; value: Buffer }[],
    options: { sync: boolean },
    done: (error?: Error) => void,
  ): void;
  close(done: (error?: Error) => void): void;
}

const rocksDb = peer<(dir: string) => RocksDb>(
  "rocksdb",
  "grouped into batches with sync: true (the leveldown binding)",
  async (rocksdb, dir) => {
    const db = rocksdb(dir);
    const called = (call: (done: (error?: Error) => void) => void) =>
      new Promise<void>((resolve, reject) => {
        call((error) => (error ? reject(error) : resolve()));
      });
    await called((done) => db.open({ writeBufferSize: 64 * 1024 * 1024 }, done));
    let key = 0;
    const put = (value: Buffer) => ({ type: "put", key: String(key++ % keysMax), value }) as const;
    const commit = (records: Buffer[]) => called((done) => db.batch(records.map(put), { sync: true }, done));
    return { append: grouped(commit), close: () => called((done) => db.close(done)) };
  },
);

const limit: Peer = {
  note: "bare group-commit loop over a zero-filled file: no checksums, no framing, no recovery",
  start(dir) {
    const loop = new GroupCommitLoop(join(dir, "loop"));
    return { append: (data) => loop.append(data), close: () => loop.close() };
  },
};

/** The limit that nothing can beat, and what a user would pick instead, each in the best configuration found for it that syncs before it answers. */
export const peers = { limit, lmdb, sqlite, "classic-level": classicLevel, rocksdb: rocksDb } as const;
