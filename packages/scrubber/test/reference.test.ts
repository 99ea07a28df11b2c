import { expect, it } from "vitest";
import { type ReferenceApply, referenceFrom, Scrubber } from "../src/index.js";
import { bytes, replica, text } from "./support/sources.js";

/** "key=value" puts, "key" deletes, "!" cannot be read. */
const apply: ReferenceApply = (store, { data }) => {
  const command = text(data) as string;
  if (command === "!") throw new Error("unknown command");
  const [key, value] = command.split("=");
  if (value === undefined) store.delete(bytes(key as string));
  else store.put(bytes(key as string), bytes(value));
};

const log = (...commands: string[]) =>
  commands.map((command, index) => ({ sequence: index + 1, data: bytes(command) }));

it("comes to the same contents as the replicas through the same apply function", async () => {
  const reference = await referenceFrom(log("a=1", "b=2", "a=3", "b", "c=4"), { apply });
  expect(reference.stats()).toEqual({ position: 5, keys: 2, bytes: 4 });
  const replicas = ["a", "b", "c"].map((name) => replica(name, { a: "3", c: "4" }, 5));
  const report = await new Scrubber({ replicas, reference, position: () => 5 }).pass();
  expect(report).toMatchObject({ complete: true, divergences: [], compared: ["a", "b", "c", "reference"] });
});

it("convicts all three replicas of the same lost delete only if they do not outvote it: it is then the one to look at", async () => {
  const reference = await referenceFrom(log("a=1", "b=2", "b"), { apply });
  const replicas = ["a", "b", "c"].map((name) => replica(name, { a: "1", b: "2" }, 3));
  const report = await new Scrubber({ replicas, reference, position: () => 3 }).pass();
  expect(report.divergences).toMatchObject([{ replica: "reference", kind: "missing", against: "majority" }]);
});

it("goes on from where it was, passes over what it has, and stops where it is told", async () => {
  const entries = log("a=1", "b=2", "a=3", "c=4");
  const reference = await referenceFrom(entries, { apply, through: 2 });
  expect(reference.position).toBe(2);
  await reference.advance(entries.slice(1));
  expect(reference.stats()).toEqual({ position: 4, keys: 3, bytes: 6 });
  await expect(reference.snapshot(3)).rejects.toMatchObject({ code: "ERR_SCRUBBER_BEHIND" });
  const later = await referenceFrom([{ sequence: 11, data: bytes("x=1") }], { apply, after: 10 });
  expect(later.position).toBe(11);
});

it("fails at a hole, at an entry that cannot be applied and at its bound, and stays failed", async () => {
  const reference = await referenceFrom(log("a=1"), { apply, bytesMax: 10 });
  await expect(reference.advance([{ sequence: 3, data: bytes("b=2") }])).rejects.toMatchObject({
    code: "ERR_SCRUBBER_REFERENCE_HOLE",
    message: "reference: entry 2 is missing: the next one is 3",
  });
  await expect(reference.advance([{ sequence: 2, data: bytes("b=2") }])).rejects.toMatchObject({
    code: "ERR_SCRUBBER_REFERENCE_HOLE",
  });
  const replicas = ["a", "b"].map((name) => replica(name, { a: "1" }, 1));
  const report = await new Scrubber({ replicas, reference, position: () => 1 }).pass();
  expect(report).toMatchObject({
    complete: true,
    compared: ["a", "b"],
    absent: [{ replica: "reference", why: "unreachable" }],
  });

  await expect(referenceFrom(log("a=1", "!"), { apply })).rejects.toMatchObject({
    code: "ERR_SCRUBBER_REFERENCE_APPLY",
    cause: new Error("unknown command"),
  });
  await expect(referenceFrom(log("a=1", "b=123456789"), { apply, bytesMax: 10 })).rejects.toMatchObject({
    code: "ERR_SCRUBBER_REFERENCE_FULL",
  });
});

it("that keeps no digests is read by a kept pass, and compared all the same", async () => {
  const made = (keepDigests: boolean) => referenceFrom(log("a=1", "b=2", "a=3", "c=4"), { apply, keepDigests });
  for (const keepDigests of [true, false]) {
    const reference = await made(keepDigests);
    const snapshot = await reference.snapshot(4);
    expect(snapshot.kept !== undefined).toBe(keepDigests);
    await snapshot.close();
    const replicas = ["a", "b"].map((name) => replica(name, { a: "3", b: "2", c: "4" }, 4));
    const scrubber = new Scrubber({ replicas, reference, position: () => 4 });
    for (const kept of [true, false])
      expect(await scrubber.pass({ kept })).toMatchObject({ complete: true, keys: 3, absent: [], divergences: [] });
    replicas[1]?.store.delete(bytes("b"));
    for (const kept of [true, false])
      expect((await scrubber.pass({ kept })).divergences).toMatchObject([{ replica: "b", against: "reference" }]);
  }
});

it("an archive that cannot be read is the archive's error, and the reference can go on after it", async () => {
  async function* rotten() {
    yield { sequence: 1, data: bytes("a=1") };
    throw new Error("object 17 does not match its checksum");
  }
  const reference = await referenceFrom([], { apply });
  await expect(reference.advance(rotten())).rejects.toThrow("object 17");
  await reference.advance(log("a=1", "b=2"));
  expect(reference.position).toBe(2);
});
