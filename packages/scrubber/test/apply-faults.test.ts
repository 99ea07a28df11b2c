import fc from "fast-check";
import { expect, it } from "vitest";
import {
  compareBytes,
  type MemoryStore,
  memoryReplica,
  type ReferenceApply,
  referenceFrom,
  Scrubber,
} from "../src/index.js";
import { bytes, text } from "./support/sources.js";

/** "put k v", "add k n" and "delete k": a small state machine in which skipping and repeating both show. */
const apply: ReferenceApply = (store, { data }) => {
  const [verb, key = "", value = ""] = (text(data) as string).split(" ");
  if (verb === "delete") store.delete(bytes(key));
  else if (verb === "put") store.put(bytes(key), bytes(value));
  else store.put(bytes(key), bytes(String(Number(text(store.get(bytes(key))) ?? 0) + Number(value))));
};

type Fault = "skips it" | "applies it twice" | "writes another value" | "keeps what it should delete" | "flips a bit";

function applyWithFault(store: MemoryStore, entry: Parameters<ReferenceApply>[1], fault: Fault): void {
  const command = text(entry.data) as string;
  const key = bytes(command.split(" ")[1] as string);
  if (fault === "skips it" || (fault === "keeps what it should delete" && command.startsWith("delete"))) return;
  apply(store, entry);
  if (fault === "applies it twice") apply(store, entry);
  const held = store.get(key);
  if (held === undefined) return;
  if (fault === "writes another value") store.put(key, bytes("999"));
  if (fault === "flips a bit")
    store.put(
      key,
      held.map((byte, at) => (at === 0 ? byte ^ 4 : byte)),
    );
}

const command = fc
  .tuple(fc.constantFrom("put", "put", "add", "add", "delete"), fc.nat(30), fc.integer({ min: 1, max: 9 }))
  .map(([verb, key, value]) => `${verb} k${key} ${value}`);

it("a replica that applied something else is found with exactly its keys, and a clean one never is", async () => {
  let clean = 0;
  let found = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { minLength: 1, maxLength: 150 }),
      fc.constantFrom<Fault>(
        "skips it",
        "applies it twice",
        "writes another value",
        "keeps what it should delete",
        "flips a bit",
      ),
      fc.nat(),
      fc.subarray(["a", "b", "c"], { maxLength: 2 }),
      async (commands, fault, at, faulty) => {
        const log = commands.map((one, index) => ({ sequence: index + 1, data: bytes(one) }));
        const reference = await referenceFrom(log, { apply });
        const replicas = ["a", "b", "c"].map((name) => {
          const replica = memoryReplica(name, { position: log.length });
          for (const [index, entry] of log.entries()) {
            if (faulty.includes(name) && index === at % log.length) applyWithFault(replica.store, entry, fault);
            else apply(replica.store, entry);
          }
          return replica;
        });
        const healthy = replicas.find((one) => !faulty.includes(one.name))?.store as MemoryStore;
        const expected = replicas.flatMap(({ name, store }) => {
          const keys = [...healthy.sorted(), ...store.sorted()].map((entry) => text(entry.key) as string);
          const wrong = [...new Set(keys)].filter(
            (key) => text(store.get(bytes(key))) !== text(healthy.get(bytes(key))),
          );
          return wrong.map((key) => `${key} on ${name}`);
        });
        const options = { position: () => log.length, stepBytes: 40, leafKeysMax: 2, fanout: 3 };
        const report = await new Scrubber({ replicas, reference, ...options }).pass();
        expect(report.divergences.map(({ key, replica }) => `${text(key)} on ${replica}`).sort()).toEqual(
          expected.sort(),
        );
        expect(new Set(report.divergences.map((one) => one.against))).toEqual(
          new Set(expected.length > 0 ? ["reference"] : []),
        );
        const keys = report.divergences.map((one) => one.key);
        expect([...keys].sort(compareBytes)).toEqual(keys);
        if (expected.length === 0) clean++;
        else found++;
      },
    ),
    { numRuns: 300 },
  );
  expect(Math.min(clean, found)).toBeGreaterThan(20);
});
