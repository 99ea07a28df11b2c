// Appends to logs and says on stdout what was acknowledged: "<log> <stream> <sequence>", and "<log> <stream> from <sequence>" for truncations. What
// stands in a record follows from its stream and sequence (support/expected-record.ts), so that whoever opens a log later can tell.
import { unlinkSync } from "node:fs";
import { Wal } from "@evenkeel/wal";
import { expectedRecord } from "../support/expected-record.js";

const dirs = process.argv.slice(2);

async function run(dir, log) {
  const say = (text) => process.stdout.write(`${log} ${text}\n`);
  const wal = await Wal.open({ dir, segmentBytes: 65_536, segmentsBeforeCarry: 1, idleMarkMs: 5 });
  const next = new Map(["a", "b", "quiet"].map((name) => [name, wal.stream(name).lastSequence + 1]));
  say("open");
  const append = async (name, count) => {
    const first = next.get(name);
    next.set(name, first + count);
    const records = Array.from({ length: count }, (_, n) => expectedRecord(name, first + n));
    const sequence = await wal.stream(name).append(records);
    say(`${name} ${sequence}`);
    return sequence;
  };
  const appender = async (name) => {
    const stream = wal.stream(name);
    for (let n = 1; ; n++) {
      const sequence = await append(name, 1 + Math.floor(Math.random() * 3));
      if (Math.random() < 0.02) await append("quiet", 1);
      if (n % 20 === 0 && process.env.WITNESS_KEEPS_ALL === undefined) {
        await stream.truncateBefore(Math.max(stream.firstSequence, sequence - 30));
        say(`${name} from ${stream.firstSequence}`);
      }
      // Now and then nothing happens for long enough that the log marks itself.
      if (Math.random() < 0.02) await new Promise((resolve) => setTimeout(resolve, 8));
    }
  };
  await Promise.all(["a", "b", "a", "b"].map(appender));
}

await Promise.all(dirs.map(run)).catch((error) =>
  process.stdout.write(`0 failed ${error.code} ${error.cause?.code}\n`),
);
// Nothing more is acknowledged. On the unsteady disk this is the power cut; elsewhere it is an error.
unlinkSync(`${dirs[0]}/power-cut`);
