// Appends to a log for ever and says on stdout what was acknowledged, one sequence a line. Killed by sigkill.test.ts.
import { Wal } from "@evenkeel/wal";

const wal = await Wal.open({ dir: process.argv[2], segmentBytes: 65_536 });
const stream = wal.stream("s");
process.stdout.write("open\n");
const appender = async () => {
  for (;;) {
    const sequence = await stream.append(Buffer.alloc(1 + Math.floor(Math.random() * 2000), 1));
    process.stdout.write(`${sequence}\n`);
    if (sequence % 50 === 0) await stream.truncateBefore(sequence - 40);
  }
};
await Promise.all(Array.from({ length: 8 }, appender));
