import type { StateMachine } from "../../src/index.js";
import { but } from "./but.js";
import type { Counts } from "./counts.js";

const wrong = (one: Counts, changes: Partial<StateMachine>) => but<StateMachine>(one, changes);

/** State machines that break one promise each. */
export const stateMistakes: Record<string, (machine: Counts) => StateMachine> = {
  "begins in the middle": (one) => wrong(one, { appliedThrough: 7 }),
  "answers what only this replica knows": (one) =>
    wrong(one, { apply: (entry) => [one.apply(entry), performance.now()] }),
  "writes to the command": (one) =>
    wrong(one, {
      apply: (entry) => {
        const answer = one.apply(entry);
        entry.command[0] = 0;
        return answer;
      },
    }),
  "shows in a snapshot what came after it": (one) =>
    wrong(one, {
      snapshot: async () => {
        const { slot, sizeBytes } = one.snapshot();
        const now = async () => one.snapshot().read(0, sizeBytes);
        return { slot, sizeBytes, read: async (at, length) => (await now()).slice(at, at + length) };
      },
    }),
  "reads a snapshot from its beginning each time": (one) =>
    wrong(one, {
      snapshot: async () => {
        const snapshot = one.snapshot();
        return { ...snapshot, read: (_, length) => snapshot.read(0, length) };
      },
    }),
  "adds a snapshot to what it has": (one) =>
    wrong(one, {
      install: async (snapshot) => {
        const before = new Map(one.counts);
        await one.install(snapshot);
        for (const [key, count] of before) one.counts.set(key, count);
      },
    }),
  "empties its state before the snapshot is there": (one) =>
    wrong(one, {
      install: async (snapshot) => {
        one.counts.clear();
        await one.install(snapshot);
      },
    }),
  "takes what there is of a broken snapshot": (one) =>
    wrong(one, { install: async (snapshot) => one.install(snapshot).catch(() => undefined) }),
  "takes a snapshot over in memory alone": (one) => {
    return wrong(one, {
      install: async (snapshot) => {
        const chunks: Uint8Array[] = [];
        for await (const chunk of snapshot.chunks) chunks.push(chunk);
        one.counts = new Map(JSON.parse(Buffer.concat(chunks).toString()));
        one.applied = one.appliedThrough = snapshot.slot;
      },
    });
  },
  "calls durable what is not": (one) =>
    wrong(one, {
      get durableThrough() {
        return one.applied;
      },
      advance: () => undefined,
    }),
  "keeps the table of clients of another moment": (one) =>
    wrong(one, {
      advance: (slot, table) => {
        const then = table();
        one.advance(slot, () => then.slice(0, -1));
      },
    }),
};
