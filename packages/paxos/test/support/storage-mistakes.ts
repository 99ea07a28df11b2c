import { setImmediate as turn } from "node:timers/promises";
import type { GroupStorage } from "../../src/storage/index.js";
import type { StorageUnderTest } from "../../src/testing/index.js";
import { but } from "./but.js";

type Wrong = (group: GroupStorage, groupId: string) => GroupStorage;

/** The same mistake in this life, the next, and after a power cut. */
const inEveryLife =
  (wrong: Wrong) =>
  (one: StorageUnderTest): StorageUnderTest => {
    const all =
      (storage: StorageUnderTest["storage"]): StorageUnderTest["storage"] =>
      (id) =>
        wrong(storage(id), id);
    return {
      storage: all(one.storage),
      reopen: async () => all(await one.reopen()),
      ...(one.crash === undefined
        ? {}
        : { crash: async () => all(await (one.crash as () => StorageUnderTest["storage"])()) }),
    };
  };

/** What is written comes by `write` alone. */
const written = (group: GroupStorage, changes: Partial<GroupStorage>): GroupStorage =>
  but(group, { ...("writeThen" in changes ? {} : { writeThen: undefined as never }), ...changes });

/** Storages that break one promise each. */
export const storageMistakes: Record<string, (one: StorageUnderTest) => StorageUnderTest> = {
  "begins with something": inEveryLife((group) =>
    but(group, { load: async () => ({ ...(await group.load()), promised: { round: 1, node: "n9" } }) }),
  ),
  "takes all groups for one": (one) => ({
    ...one,
    storage: () => one.storage("g"),
    reopen: async () => (await one.reopen()).bind(null, "g"),
  }),
  "does not tell upper from lower case": (one) => ({
    storage: (id) => one.storage(id.toLowerCase()),
    reopen: async () => {
      const storage = await one.reopen();
      return (id) => storage(id.toLowerCase());
    },
  }),
  "forgets promises": inEveryLife((group) =>
    written(group, { write: (write) => group.write({ ...write, promised: undefined as never }) }),
  ),
  "copies too late": inEveryLife((group) =>
    written(group, {
      write: async (write) => {
        await Promise.resolve();
        await group.write(write);
      },
    }),
  ),
  "writes in another order than it was told to": inEveryLife((group) =>
    written(group, {
      write: (write) => {
        if (write.promised === undefined || write.entries !== undefined) return group.write(write);
        return turn().then(() => group.write(write));
      },
    }),
  ),
  "drops nothing": inEveryLife((group) =>
    written(group, {
      write: (write) => group.write(write),
      read: async (from, through, bytesMax) =>
        (await group.read(from, through, bytesMax)).map((entry) => ({
          ...entry,
          ballot: { ...entry.ballot, round: 1 },
        })),
    }),
  ),
  "reads as much as there is": inEveryLife((group) =>
    but(group, { read: (from, through) => group.read(from, through, 1e9) }),
  ),
  "reads beyond what it is asked for": inEveryLife((group) =>
    but(group, { read: (from, _, bytesMax) => group.read(from, 1e9, bytesMax) }),
  ),
  "reads nothing where one entry is too much": inEveryLife((group) =>
    but(group, {
      read: async (from, through, bytesMax) =>
        (await group.read(from, through, bytesMax)).filter(({ command }) => command.length <= bytesMax),
    }),
  ),
  "reads what is gone as nothing": inEveryLife((group) =>
    but(group, {
      read: async (from, through, bytesMax) =>
        from <= group.trimmedThrough ? [] : group.read(from, through, bytesMax),
    }),
  ),
  "trims backwards": inEveryLife((group) => {
    let last = 0;
    return but(group, {
      trim: async (through, founders) => {
        await group.trim(through, founders);
        last = through;
      },
      get trimmedThrough() {
        return last === 0 ? group.trimmedThrough : last;
      },
    });
  }),
  "does not know who founded it": inEveryLife((group) => but(group, { trim: (through) => group.trim(through) })),
  "forgets where its log begins": inEveryLife((group) =>
    but(group, {
      load: async () => {
        const { base: _, ...state } = await group.load();
        return state;
      },
    }),
  ),
  "forgets members": inEveryLife((group) =>
    but(group, {
      load: async () => {
        const { configuration: _, ...state } = await group.load();
        return state;
      },
    }),
  ),
  "keeps members whose entry was dropped": inEveryLife((group) => {
    let last: Parameters<GroupStorage["trim"]>[1];
    return written(group, {
      write: (write) => {
        const config = write.entries?.find(({ kind }) => kind === "config");
        if (config !== undefined)
          last = { slot: config.slot, storage: ["n1", "n2"], log: [`l${config.slot / 2}`], departed: ["n3"] };
        return group.write(write);
      },
      get base() {
        return group.base === undefined || last === undefined ? group.base : { ...group.base, configuration: last };
      },
    });
  }),
  "begins anew without letting go": inEveryLife((group) =>
    written(group, {
      write: ({ reset, ...write }) =>
        reset === undefined ? group.write(write) : group.write({ chosenThrough: write.chosenThrough ?? 0 }),
    }),
  ),
  "forgets what is about to be taken over": inEveryLife((group) => but(group, { markInstall: async () => undefined })),
  "is about to take it over for ever": inEveryLife((group) => {
    let marked: Parameters<GroupStorage["markInstall"]>[0] | undefined;
    return but(group, {
      markInstall: (position) => {
        marked = position;
        return group.markInstall(position);
      },
      load: async () => {
        const state = await group.load();
        return state.chosenThrough === 80 ? { ...state, installing: marked ?? (state.base as never) } : state;
      },
    });
  }),
  "forgets births when it begins anew": inEveryLife((group) =>
    but(group, {
      load: async () => {
        const { births, ...state } = await group.load();
        return state.trimmedThrough === 90 || births === undefined ? state : { ...state, births };
      },
    }),
  ),
  "calls back at once": inEveryLife((group) =>
    but(group, {
      writeThen: (write, caller) => {
        caller.written();
        void group.write(write);
      },
    }),
  ),
  "calls back twice": inEveryLife((group) =>
    but(group, {
      writeThen: (write, caller) =>
        void group.write(write).then(() => {
          caller.written();
          caller.written();
        }),
    }),
  ),
  "takes up nothing": inEveryLife((group) => but(group, { resume: () => undefined })),
  "is there when only it knows": (one) => ({ ...one, reopen: one.reopen, crash: () => emptied(one) }),
  "mixes up groups when there are many": (one) => ({
    ...one,
    storage: (id) => one.storage(id.replace(/^many\/\d+$/, "many/0")),
  }),
};

/** As if nothing of the last write but its ballots had come to the disk. */
async function emptied(one: StorageUnderTest): Promise<StorageUnderTest["storage"]> {
  const storage = await (one.crash as () => StorageUnderTest["storage"])();
  return (id) => {
    const group = storage(id);
    return but(group, { load: async () => ({ ...(await group.load()), entries: [], chosenThrough: 0 }) });
  };
}
