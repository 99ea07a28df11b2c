// Appends to a log for ever, archives it as it grows, and says on stdout what was acknowledged. Killed by archive-sigkill.test.ts.
import { Wal } from "@evenkeel/wal";
import { archiveStream, FileObjectStore } from "@evenkeel/wal/archive";

const [, , dir, archive] = process.argv;
const wal = await Wal.open({ dir, segmentBytes: 65_536 });
const stream = wal.stream("s");
const store = new FileObjectStore({ dir: archive });
const bytesPerObjectMax = 2000 + Math.floor(Math.random() * 30_000);
const compression = Math.random() < 0.5 ? "brotli" : "none";
const archiving = archiveStream({ stream, store, bytesPerObjectMax, compression, ageMaxMs: 3 });
archiving.finished.catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
process.stdout.write("open\n");
// What a record holds is told by its sequence: one appender at a time knows its own.
for (;;) {
  const next = stream.lastSequence + 1;
  const count = 1 + Math.floor(Math.random() * 5);
  const sequence = await stream.append(
    Array.from({ length: count }, (_, n) => Buffer.alloc((next + n) % 900, `${next + n} `)),
  );
  process.stdout.write(`${sequence}\n`);
}
