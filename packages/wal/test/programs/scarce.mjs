// What a log does in a process that may not write, or that has run out of file descriptors. Started by surroundings.test.ts.
import { closeSync, openSync } from "node:fs";
import { salvage, Wal } from "@evenkeel/wal";

const [task, dir] = process.argv.slice(2);
const told = (error) => `${error.code} ${error.cause?.code}`;

async function readOnly() {
  await Wal.open({ dir }).catch((error) => console.log("open", told(error)));
  const { damages, streams } = await salvage({ dir });
  console.log(`salvage ${damages.length} damages, ${streams.map((s) => `${s.name} to ${s.lastSequence}`).join()}`);
}

async function descriptors() {
  const taken = [];
  const takeAll = () => {
    try {
      for (;;) taken.push(openSync("/dev/null"));
    } catch {}
  };
  const giveBack = () => {
    for (const fd of taken.splice(0)) closeSync(fd);
  };
  const options = { dir, segmentBytes: 65_536 };
  await (await Wal.open(options)).close();
  takeAll();
  await Wal.open(options).catch((error) => console.log("open", told(error)));
  giveBack();
  const wal = await Wal.open(options);
  console.log("opened again");
  const stream = wal.stream("s");
  let last = await stream.append(Buffer.alloc(100));
  takeAll();
  try {
    for await (const _ of stream.read());
  } catch (error) {
    console.log("read", told(error));
  }
  try {
    for (;;) last = await stream.append(Buffer.alloc(3000));
  } catch (error) {
    console.log("append", told(error));
  }
  giveBack();
  await wal.close();
  const again = await Wal.open(options);
  if (again.stream("s").lastSequence >= last) console.log("all acknowledged records are there");
  await again.close();
}

await (task === "read-only" ? readOnly() : descriptors());
