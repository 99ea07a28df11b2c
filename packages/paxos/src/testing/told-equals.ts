import { deepStrictEqual, ok } from "node:assert/strict";
import type { Ballot } from "../core/ballot.js";
import { type Configuration, encodeConfiguration, founded } from "../core/configuration.js";
import type { Entry, EntryKind, PersistWrite } from "../core/types.js";
import type { GroupStorage, LoadedState } from "../storage/storage.js";
import type { Told } from "./told.js";

export const founders = founded(["n1", "n2", "n3"]);
export const ballot = (round: number, node = "n1"): Ballot => ({ round, node });
export const text = (of: string) => new TextEncoder().encode(of);
export const entry = (
  slot: number,
  round: number,
  command: Uint8Array | string = `${slot}/${round}`,
  kind: EntryKind = "command",
): Entry => ({
  slot,
  ballot: ballot(round),
  kind,
  command: kind === "noop" ? new Uint8Array(0) : typeof command === "string" ? text(command) : command,
});
export const range = (from: number, through: number, round: number, bytes = 10): Entry[] =>
  Array.from({ length: through - from + 1 }, (_, i) => entry(from + i, round, new Uint8Array(bytes).fill(from + i)));
export const members = (slot: number, log: string): Configuration => ({
  slot,
  storage: ["n1", "n2"],
  log: [log],
  departed: ["n3"],
});
export const change = (slot: number, round: number, log: string): Entry =>
  entry(slot, round, encodeConfiguration(members(slot, log)), "config");

/** What differs is seen at once, and kilobytes are not printed. */
export const brief = (entries: readonly Entry[]) =>
  entries.map(({ slot, ballot: { round, node }, kind, command }) => {
    let sum = 0;
    for (const byte of command) sum = (Math.imul(sum, 31) + byte) >>> 0;
    return `${slot} ${round}/${node} ${kind} ${command.length} ${sum}`;
  });

export const byName = (births: ReadonlyMap<string, string> = new Map()) =>
  [...births].sort(([a], [b]) => (a < b ? -1 : 1));

/** Opens a group, which has to hold what it was told. */
export async function opened(
  storage: (groupId: string) => GroupStorage,
  told: Told,
  groupId = "g",
): Promise<GroupStorage> {
  const group = storage(groupId);
  await equals(group, told, await group.load());
  return group;
}

/** One write after the other, to the storage and to the model. */
export async function tell(group: GroupStorage, told: Told, ...writes: readonly PersistWrite[]): Promise<void> {
  for (const write of writes) {
    told.write(write);
    await group.write(write);
  }
}

/** As `load` and `read` tell it, against what was told. */
export async function equals(group: GroupStorage, told: Told, state: LoadedState): Promise<void> {
  const { promised, accepted, trimmedThrough, chosenThrough, base, installing } = state;
  deepStrictEqual(
    { promised, accepted, trimmedThrough, chosenThrough, base, installing, births: byName(state.births) },
    {
      promised: told.promised,
      accepted: told.accepted,
      trimmedThrough: told.trimmedThrough,
      chosenThrough: told.chosenThrough,
      base: told.base,
      installing: told.installing,
      births: byName(told.births),
    },
  );
  const first = state.entries[0]?.slot ?? told.end + 1;
  ok(first > told.trimmedThrough, "an entry that was let go of");
  ok(first <= Math.max(told.chosenThrough, told.trimmedThrough + 1), "`entries` begin behind what is chosen");
  deepStrictEqual(brief(state.entries), brief(told.entries.slice(first, told.end + 1) as Entry[]));
  deepStrictEqual(state.configuration, told.at(first - 1), "the configuration below `entries`");
  deepStrictEqual([group.trimmedThrough, group.base], [told.trimmedThrough, told.base]);
  await reads(group, told);
}

export async function reads(group: GroupStorage, told: Told): Promise<void> {
  const from = told.trimmedThrough + 1;
  const found: Entry[] = [];
  while (from + found.length <= told.chosenThrough) {
    const piece = await group.read(from + found.length, told.chosenThrough, 90_000);
    ok(piece.length > 0, "`read` gives one entry at least");
    found.push(...piece);
  }
  deepStrictEqual(brief(found), brief(told.entries.slice(from, told.chosenThrough + 1) as Entry[]));
}
