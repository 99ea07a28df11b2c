import type { PersistWrite } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import { type Checks, numbers } from "./cases.js";
import type { StorageUnderTest } from "./storage.js";
import { Told } from "./told.js";
import { ballot, change, entry, equals, founders, members, opened } from "./told-equals.js";

type Make = () => Promise<StorageUnderTest>;

/** What is under way in a history. */
type Under = Promise<void>[];

/** One random step of a log's life, told to the storage and to the model. Resolves when the storage was called, of a trim when it is done: what is written meanwhile may be durable before it. */
async function step(
  group: GroupStorage,
  told: Told,
  round: number,
  under: Under,
  { next, bytesMax }: { next: (below: number) => number; bytesMax: number },
): Promise<void> {
  const now = ballot(round);
  const sizes = [0, 10, 3_000, Math.min(70_000, bytesMax)];
  const appended = (from: number) =>
    Array.from({ length: next(5) }, (_, i) => {
      const slot = from + i;
      if (i === 0 && next(6) === 0) return change(slot, round, `l${slot}`);
      return next(8) === 0
        ? entry(slot, round, "", "noop")
        : entry(slot, round, new Uint8Array(sizes[next(4)] as number).fill(slot));
    });
  const kind = next(14);
  if (kind === 0) {
    const [node, mark] = [`n${told.births.size + 1}`, `mark ${round}`];
    told.births.set(node, mark);
    under.push(group.remember(node, mark));
    return;
  }
  if (kind === 1) {
    told.installing = { slot: told.chosenThrough + 1 + next(4), ballot: now, configuration: members(1, "l1") };
    under.push(group.markInstall(told.installing));
    return;
  }
  if (kind <= 4) {
    const through = Math.min(told.chosenThrough, told.end, told.trimmedThrough + 1 + next(6));
    if (through <= told.trimmedThrough) return;
    // Only what is durable here was applied.
    await Promise.all(under.splice(0));
    told.trim(through, founders);
    await group.trim(through, founders);
    return;
  }
  const reset = kind === 5 ? told.installing : undefined;
  const from =
    reset === undefined ? Math.min(told.end, Math.max(told.chosenThrough, told.end - next(4))) + 1 : reset.slot + 1;
  const entries = appended(from);
  const end = entries.at(-1)?.slot ?? from - 1;
  const write: PersistWrite = {
    ...(next(3) === 0 ? { promised: now } : {}),
    ...(reset === undefined ? {} : { reset }),
    ...(reset === undefined && from <= told.end ? { accepted: now, truncateFrom: from } : {}),
    ...(entries.length === 0 ? {} : { entries }),
    chosenThrough: Math.min(end, Math.max(told.chosenThrough, reset?.slot ?? 0) + next(4)),
  };
  told.write(write);
  under.push(group.write(write));
}

export function histories(stepsMany: number, bytesMax: number): Checks<Make> {
  return {
    "holds what it was told through random histories and lives": async (make) => {
      for (const seed of [1, 2, 3]) {
        const one = await make();
        const next = numbers(seed);
        const told = new Told();
        let group = one.storage("g");
        await group.load();
        const under: Under = [];
        for (let round = 1; round <= stepsMany; round++) {
          await step(group, told, round, under, { next, bytesMax });
          if (next(3) !== 0) await Promise.all(under.splice(0));
          if (next(25) !== 0) continue;
          await Promise.all(under.splice(0));
          group = await opened(await one.reopen(), told);
        }
        await Promise.all(under);
        await opened(await one.reopen(), told);
      }
    },
    "has after a power cut what was durable, and of the rest a beginning, no write in half": async (make) => {
      for (let seed = 1; seed <= 20; seed++) {
        const one = await make();
        if (one.crash === undefined) return;
        const next = numbers(seed);
        const told = new Told();
        const group = one.storage("g");
        await group.load();
        const moments = [told.copy()];
        let durable = 0;
        const under: Under = [];
        for (let round = 1; round <= 12; round++) {
          await step(group, told, round, under, { next, bytesMax });
          const at = moments.push(told.copy()) - 1;
          const last = under.at(-1);
          if (last === undefined) {
            durable = at;
            continue;
          }
          const done = last.then(() => {
            durable = Math.max(durable, at);
          });
          done.catch(() => undefined);
          if (next(3) === 0) await done;
        }
        const atLeast = durable;
        const crashed = await one.crash();
        const other = crashed("g");
        const state = await other.load();
        let found = false;
        let complaint: unknown;
        for (const moment of moments.slice(atLeast)) {
          try {
            await equals(other, moment, state);
            found = true;
            break;
          } catch (error) {
            complaint ??= error;
          }
        }
        if (!found) throw complaint;
        await Promise.allSettled(under);
      }
    },
  };
}
