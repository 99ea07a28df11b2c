import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { BALLOT_ZERO } from "../core/ballot.js";
import { badArgument } from "../core/errors.js";
import type { PersistWrite, Position } from "../core/types.js";
import type { GroupStorage } from "../storage/storage.js";
import { type Checks, type ConformanceCase, casesOf } from "./cases.js";
import { histories } from "./storage-histories.js";
import { Told } from "./told.js";
import {
  ballot,
  brief,
  byName,
  change,
  entry,
  founders,
  members,
  opened,
  range,
  reads,
  tell,
  text,
} from "./told-equals.js";

/** A node's storage, as `GroupHost.open` takes it. */
export type NodeStorage = (groupId: string) => GroupStorage;

export interface StorageUnderTest {
  readonly storage: NodeStorage;
  /** The same disk, opened by the next life of the process. Nothing is under way in this one, and it is not used any more. */
  reopen(): NodeStorage | Promise<NodeStorage>;
  /** The same disk after a power cut at this moment: what was told to be durable is there, of the rest a beginning. Without it the case that needs it is left out. */
  crash?(): NodeStorage | Promise<NodeStorage>;
  /** Called once, when the case is over. */
  close?(): Promise<void> | void;
}

export interface StorageCasesOptions {
  /** Steps of the random histories. 150 by default. */
  readonly stepsMany?: number;
  /** The largest command that is written, bytes. 200,000 by default. */
  readonly commandBytesMax?: number;
}

type Make = () => Promise<StorageUnderTest>;

/**
 * What every storage must do, as cases for any test runner: `for (const { name, run } of storageCases(make)) test(name, run)`. `make` gives an empty one each time.
 * @throws PaxosError ERR_PAXOS_ARGUMENT
 */
export function storageCases(
  make: () => StorageUnderTest | Promise<StorageUnderTest>,
  options: StorageCasesOptions = {},
): ConformanceCase[] {
  if (typeof make !== "function") throw badArgument("make", "a function that gives an empty storage", make);
  const { stepsMany = 150, commandBytesMax = 200_000 } = options;
  return casesOf(make, {
    ...keeping(commandBytesMax),
    ...lettingGo,
    ...beginning,
    ...optional,
    ...histories(stepsMany, commandBytesMax),
  });
}

function keeping(commandBytesMax: number): Checks<Make> {
  return {
    "is the empty state at first": async (make) => {
      await opened((await make()).storage, new Told());
    },
    "has in the next life what was written in this one, group by group": async (make) => {
      const one = await make();
      const ids = ["g", "g/1", "G", "größe", "..", "x".repeat(255)];
      const all = new Map(ids.map((id) => [id, new Told()]));
      for (const [index, [id, told]] of [...all].entries()) {
        const group = one.storage(id);
        await group.load();
        const writes: PersistWrite[] = [
          { promised: ballot(3 + index) },
          { accepted: ballot(3 + index), entries: [entry(1, 3, `of ${id}`), entry(2, 3, "", "noop")] },
          { entries: [entry(3, 3, new Uint8Array(commandBytesMax).fill(index)), ...range(4, 6, 3)], chosenThrough: 2 },
          {
            promised: ballot(50, "n2"),
            accepted: ballot(50, "n2"),
            truncateFrom: 5,
            entries: [entry(5, 50, "", "once")],
          },
        ];
        for (const write of writes) told.write(write);
        await Promise.all(writes.map((write) => group.write(write)));
      }
      const again = await one.reopen();
      for (const [id, told] of all) await opened(again, told, id);
    },
    "copies what it is given before `write` returns": async (make) => {
      const one = await make();
      const group = one.storage("g");
      await group.load();
      const told = new Told();
      const command = text("as it was when it was handed over");
      told.write({ entries: [entry(1, 1, command.slice())], chosenThrough: 1 });
      const written = group.write({ entries: [entry(1, 1, command)], chosenThrough: 1 });
      command.fill(0);
      await written;
      await reads(group, told);
      await opened(await one.reopen(), told);
    },
    "reads from one slot through another, as much as is asked for and one at least, and nothing that was dropped":
      async (make) => {
        const group = (await make()).storage("g");
        await group.load();
        for (let slot = 1; slot <= 100; slot += 10) await group.write({ entries: range(slot, slot + 9, 1, 100) });
        await group.write({ truncateFrom: 51, accepted: ballot(2), entries: range(51, 90, 2, 100), chosenThrough: 90 });
        const slots = async (from: number, through: number, bytesMax: number) =>
          (await group.read(from, through, bytesMax)).map(({ slot, ballot: { round } }) => slot + round / 10);
        deepStrictEqual(await slots(10, 90, 1_000), [10.1, 11.1, 12.1, 13.1, 14.1, 15.1, 16.1, 17.1, 18.1, 19.1]);
        deepStrictEqual(await slots(10, 12, 1e6), [10.1, 11.1, 12.1]);
        deepStrictEqual(await slots(10, 90, 1), [10.1]);
        deepStrictEqual(await slots(49, 53, 1e6), [49.1, 50.1, 51.2, 52.2, 53.2]);
        deepStrictEqual(
          brief(await group.read(1, 90, 1e6)),
          brief([...range(1, 50, 1, 100), ...range(51, 90, 2, 100)]),
        );
      },
    "serves hundreds of groups at once": async (make) => {
      const one = await make();
      const groups = Array.from({ length: 300 }, (_, i) => one.storage(`many/${i}`));
      await Promise.all(groups.map((group) => group.load()));
      await Promise.all(groups.map((group, i) => group.write({ promised: ballot(i + 1), entries: [entry(1, i + 1)] })));
      const again = await one.reopen();
      for (let i = 0; i < groups.length; i += 37) {
        const state = await again(`many/${i}`).load();
        deepStrictEqual([state.promised, brief(state.entries)], [ballot(i + 1), brief([entry(1, i + 1)])]);
      }
    },
  };
}

const lettingGo: Checks<Make> = {
  "keeps ballots, what is chosen, and where the log begins, when slots are let go of": async (make) => {
    const one = await make();
    const group = one.storage("g");
    await group.load();
    const told = new Told();
    const trim = async (through: number) => {
      told.trim(through, founders);
      await group.trim(through, founders);
      deepStrictEqual([group.trimmedThrough, group.base], [told.trimmedThrough, told.base]);
    };
    const many = [...range(1, 9, 7, 5_000), change(10, 7, "l1"), ...range(11, 50, 7, 5_000)];
    await tell(group, told, { promised: ballot(7), accepted: ballot(7) }, { entries: many, chosenThrough: 49 });
    await trim(5);
    strictEqual(group.base?.configuration.slot, 0, "the founders' configuration");
    await trim(40);
    await trim(20);
    strictEqual(group.trimmedThrough, 40, "what was let go of does not come back");
    deepStrictEqual(group.base?.configuration, members(10, "l1"));
    await rejects(group.read(40, 49, 1e6), { code: "ERR_PAXOS_TRIMMED" });
    await reads(group, told);
    const other = await opened(await one.reopen(), told);
    await rejects(other.read(1, 49, 1e6), { code: "ERR_PAXOS_TRIMMED" });
    await tell(other, told, { entries: [entry(51, 7)], chosenThrough: 51 });
    told.trim(51, founders);
    await other.trim(51, founders);
    await opened(await one.reopen(), told);
  },
  "forgets a configuration along with its slot, and knows the one before": async (make) => {
    const one = await make();
    const group = one.storage("g");
    await group.load();
    const told = new Told();
    await tell(
      group,
      told,
      { accepted: ballot(1), entries: [entry(1, 1), change(2, 1, "l1"), entry(3, 1)], chosenThrough: 3 },
      { entries: [change(4, 1, "l2"), entry(5, 1)] },
      { accepted: ballot(2), truncateFrom: 4, entries: [entry(4, 2), entry(5, 2)], chosenThrough: 5 },
    );
    told.trim(5, founders);
    await group.trim(5, founders);
    deepStrictEqual(group.base?.configuration, members(2, "l1"));
    await opened(await one.reopen(), told);
  },
};

const beginning: Checks<Make> = {
  "begins anew behind a position, above or within its log": async (make) => {
    const one = await make();
    let { storage } = one;
    for (const [id, slot] of [
      ["above", 1_000],
      ["within", 12],
    ] as const) {
      const group = storage(id);
      await group.load();
      const told = new Told();
      const position: Position = { slot, ballot: ballot(9), configuration: members(7, "l9") };
      await tell(
        group,
        told,
        { promised: ballot(4), accepted: ballot(4), entries: range(1, 20, 4, 1_000), chosenThrough: 10 },
        { reset: position, entries: range(slot + 1, slot + 3, 9), chosenThrough: slot },
        { entries: range(slot + 4, slot + 6, 9), chosenThrough: slot + 5 },
      );
      await reads(group, told);
      await rejects(group.read(slot, slot + 1, 1e6), { code: "ERR_PAXOS_TRIMMED" });
      storage = await one.reopen();
      await opened(storage, told, id);
    }
  },
  "remembers what is about to be taken over, until it is": async (make) => {
    const one = await make();
    const group = one.storage("g");
    await group.load();
    const told = new Told();
    await tell(group, told, { promised: ballot(2), accepted: ballot(2), entries: range(1, 5, 2), chosenThrough: 4 });
    told.installing = { slot: 80, ballot: BALLOT_ZERO, configuration: members(60, "l6") };
    await group.markInstall(told.installing);
    const other = await opened(await one.reopen(), told);
    await tell(other, told, { reset: told.installing, chosenThrough: 80 });
    strictEqual(told.installing, undefined);
    await opened(await one.reopen(), told);
  },
  "remembers births for ever": async (make) => {
    const one = await make();
    const group = one.storage("g");
    await group.load();
    await group.remember("n2", "mark of two");
    await group.write({
      promised: ballot(1),
      accepted: ballot(1),
      entries: range(1, 30, 1, 20_000),
      chosenThrough: 30,
    });
    await group.remember("n3", "mark of three");
    await group.trim(25, founders);
    await group.write({ reset: { slot: 90, ballot: ballot(5), configuration: founders }, chosenThrough: 90 });
    const again = await one.reopen();
    const state = await again("g").load();
    deepStrictEqual(byName(state.births), [
      ["n2", "mark of two"],
      ["n3", "mark of three"],
    ]);
  },
};

const optional: Checks<Make> = {
  "calls who waits with `writeThen` once, in order, and not within the call": async (make) => {
    const one = await make();
    const group = one.storage("g");
    if (group.writeThen === undefined) return;
    await group.load();
    const told = new Told();
    const called: number[] = [];
    let within = false;
    await new Promise<void>((resolve, reject) => {
      for (let slot = 1; slot <= 20; slot++) {
        const write: PersistWrite = { entries: [entry(slot, 1)], chosenThrough: slot };
        told.write(write);
        within = true;
        group.writeThen?.(write, {
          written() {
            ok(!within, "called back within the call");
            called.push(slot);
            if (slot === 20) resolve();
          },
          notWritten: reject,
        });
        within = false;
      }
    });
    deepStrictEqual(
      called,
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
    await opened(await one.reopen(), told);
  },
  "is taken up by another object that was told its memory": async (make) => {
    const one = await make();
    const group = one.storage("g");
    if (group.memory === undefined || group.resume === undefined) return;
    await group.load();
    const told = new Told();
    await group.remember("n2", "mark of two");
    told.births.set("n2", "mark of two");
    await tell(
      group,
      told,
      { promised: ballot(3), accepted: ballot(3), entries: [...range(1, 9, 3, 9_000), change(10, 3, "l1")] },
      { entries: range(11, 60, 3, 9_000), chosenThrough: 55 },
    );
    told.trim(20, founders);
    await group.trim(20, founders);
    const memory = group.memory();
    ok(memory !== undefined, "nothing is under way");
    const next = one.storage("g");
    ok(next.resume !== undefined);
    next.resume(memory, new Map(told.births));
    deepStrictEqual([next.trimmedThrough, next.base], [told.trimmedThrough, told.base]);
    await reads(next, told);
    await tell(next, told, { entries: [entry(61, 3)], chosenThrough: 61 });
    await reads(next, told);
    await opened(await one.reopen(), told);
  },
};
