import { deepStrictEqual, notDeepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { badArgument } from "../core/errors.js";
import type { IncomingSnapshot, Snapshot, StateMachine } from "../host/state-machine.js";
import { type Checks, type ConformanceCase, casesOf } from "./cases.js";

export interface StateMachineUnderTest {
  readonly stateMachine: StateMachine;
  /** All of its state, in a form that is deeply equal where two states are the same and only there. Asked between two calls of the state machine. */
  state(): unknown;
  /** Resolves when all that was applied is in the snapshots to come. Only of one whose snapshots are of an earlier slot than was applied last. */
  settled?(): Promise<void>;
  /** The state machine of the next life of the process, on the same disk. Only of one whose state outlives the process. */
  reopen?(): StateMachineUnderTest | Promise<StateMachineUnderTest>;
  /** Called once, of what `make` gave, when the case is over: closes what `reopen` gave as well. */
  close?(): Promise<void> | void;
}

export interface StateMachineCasesOptions {
  /** The command of a slot, a whole number from 1 on. Let them do all that your commands do: add, change, remove, fail, do nothing. */
  readonly command: (slot: number) => Uint8Array;
  /** How many are applied before a snapshot. 200 by default. */
  readonly commandsMany?: number;
}

type Make = () => Promise<StateMachineUnderTest>;

/**
 * What every `StateMachine` must do, as cases for any test runner: `for (const { name, run } of stateMachineCases(make, { command })) test(name, run)`. `make` gives one that nothing was
 * applied to. Cases about snapshots are left out where it has no `snapshot` and `install`.
 * @throws PaxosError ERR_PAXOS_ARGUMENT
 */
export function stateMachineCases(
  make: () => StateMachineUnderTest | Promise<StateMachineUnderTest>,
  options: StateMachineCasesOptions,
): ConformanceCase[] {
  if (typeof make !== "function") throw badArgument("make", "a function that gives a state machine", make);
  const { command, commandsMany = 200 } = options ?? {};
  if (typeof command !== "function") throw badArgument("command", "a function from slot to bytes", command);
  const work = new Work(command, commandsMany);
  return casesOf(make, { ...applying(work), ...handingOn(work), ...surviving(work) });
}

/** Applies commands as a group does. */
class Work {
  readonly many: number;
  readonly #command: (slot: number) => Uint8Array;
  /** What each has applied by now. */
  readonly #applied = new WeakMap<StateMachine, number>();

  constructor(command: (slot: number) => Uint8Array, many: number) {
    this.#command = command;
    this.many = many;
  }

  /** What a group gives as its table of clients at this slot. */
  table(slot: number): Uint8Array {
    return new TextEncoder().encode(`clients at ${slot}`);
  }

  /** Through this slot, in runs of some ten, and what was answered. */
  async apply(one: StateMachineUnderTest, from: number, through: number): Promise<unknown[]> {
    const { stateMachine } = one;
    const answers: unknown[] = [];
    for (let slot = from; slot <= through; slot++) {
      const room = stateMachine.room?.();
      if (room !== undefined) await room;
      const command = this.#command(slot);
      const before = command.slice();
      answers.push(stateMachine.apply({ slot, command }));
      this.#applied.set(stateMachine, slot);
      deepStrictEqual(command, before, `the command of slot ${slot} was written to`);
      if (slot % 10 !== 0 && slot !== through) continue;
      stateMachine.advance?.(slot, () => this.table(this.#applied.get(stateMachine) ?? 0));
      await turn();
    }
    return answers;
  }
}

/** A snapshot of all that was applied. */
async function begun({ stateMachine, settled }: StateMachineUnderTest): Promise<Snapshot> {
  await settled?.();
  const snapshot = await stateMachine.snapshot?.();
  ok(snapshot !== undefined);
  return snapshot;
}

/** A state machine's snapshot, read in pieces of this length. */
async function taken(one: StateMachineUnderTest, pieceBytes: number): Promise<{ slot: number; bytes: Uint8Array }> {
  const snapshot = await begun(one);
  const bytes = new Uint8Array(snapshot.sizeBytes);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const length = Math.min(pieceBytes, bytes.length - at);
    const piece: Uint8Array = await snapshot.read(at, length);
    strictEqual(piece.length, length, "`read` gives as much as it is asked for");
    bytes.set(piece, at);
  }
  await snapshot.close?.();
  return { slot: snapshot.slot, bytes };
}

/** It on its way to somebody: `before` is awaited before each chunk, and may throw in the chunk's place. */
function incoming(
  { slot, bytes }: { slot: number; bytes: Uint8Array },
  clientTable: Uint8Array | undefined,
  before: (at: number) => Promise<void> | void = () => undefined,
): IncomingSnapshot {
  const chunkBytes = Math.max(1, Math.ceil(bytes.length / 7));
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      await before(at);
      yield bytes.slice(at, at + chunkBytes);
    }
    await before(bytes.length);
  }
  return { slot, sizeBytes: bytes.length, chunks: chunks(), ...(clientTable === undefined ? {} : { clientTable }) };
}

function applying(work: Work): Checks<Make> {
  return {
    "begins at slot 0 when nothing was applied": async (make) => {
      const { stateMachine } = await make();
      strictEqual(stateMachine.appliedThrough, 0);
    },
    "comes to the same state and the same answers by the same commands, and writes to none of them": async (make) => {
      const [a, b] = [await make(), await make()];
      const empty = a.state();
      const answers = await work.apply(a, 1, work.many);
      deepStrictEqual(await work.apply(b, 1, work.many), answers);
      deepStrictEqual(b.state(), a.state());
      notDeepStrictEqual(a.state(), empty, "the commands of this test change something");
    },
  };
}

function handingOn(work: Work): Checks<Make> {
  const { many } = work;
  const both = ({ stateMachine }: StateMachineUnderTest) =>
    stateMachine.snapshot !== undefined && stateMachine.install !== undefined;
  return {
    "gives a snapshot of one moment, whatever is applied while it is read": async (make) => {
      const [a, b] = [await make(), await make()];
      if (!both(a)) return;
      await work.apply(a, 1, many);
      const then = a.state();
      const snapshot = await begun(a);
      ok(
        snapshot.slot === many || snapshot.clientTable !== undefined || !("clientTable" in a.stateMachine),
        "of the slot applied last, or with the table of clients of its own slot",
      );
      await work.apply(a, many + 1, many * 2);
      const bytes = new Uint8Array(snapshot.sizeBytes);
      for (let at = 0; at < bytes.length; at += 1_000)
        bytes.set(await snapshot.read(at, Math.min(1_000, bytes.length - at)), at);
      await snapshot.close?.();
      await b.stateMachine.install?.(incoming({ slot: snapshot.slot, bytes }, work.table(snapshot.slot)));
      strictEqual(b.stateMachine.appliedThrough, snapshot.slot);
      await work.apply(b, snapshot.slot + 1, many);
      deepStrictEqual(b.state(), then);
    },
    "gives the same in pieces of any length": async (make) => {
      const one = await make();
      if (!both(one)) return;
      await work.apply(one, 1, many);
      const whole = await taken(one, 2 ** 30);
      for (const pieceBytes of [Math.max(1, Math.ceil(whole.bytes.length / 50)), 4_096]) {
        const again = await make();
        const snapshot = await taken(one, pieceBytes);
        await again.stateMachine.install?.(incoming(snapshot, work.table(snapshot.slot)));
        await work.apply(again, snapshot.slot + 1, many);
        deepStrictEqual(again.state(), one.state());
      }
    },
    "takes over a snapshot in the place of all that it had, and goes on behind it": async (make) => {
      const [a, b] = [await make(), await make()];
      if (!both(a)) return;
      await work.apply(b, 1, Math.ceil(many / 3));
      await work.apply(a, 1, many);
      const snapshot = await taken(a, 4_096);
      await b.stateMachine.install?.(incoming(snapshot, work.table(snapshot.slot)));
      strictEqual(b.stateMachine.appliedThrough, snapshot.slot);
      const answers = await work.apply(a, many + 1, many + 50);
      const others = await work.apply(b, snapshot.slot + 1, many + 50);
      deepStrictEqual(others.slice(-50), answers);
      deepStrictEqual(b.state(), a.state());
    },
    "applies to its old state while a snapshot comes": async (make) => {
      const [a, b, c] = [await make(), await make(), await make()];
      if (!both(a)) return;
      await work.apply(a, 1, many);
      const snapshot = await taken(a, 4_096);
      const half = Math.ceil(many / 2);
      await work.apply(b, 1, half);
      await work.apply(c, 1, half);
      let through = half;
      const installing = incoming(snapshot, work.table(snapshot.slot), async (at) => {
        if (at >= snapshot.bytes.length || through >= many) return;
        await work.apply(b, through + 1, through + 1);
        await work.apply(c, through + 1, through + 1);
        through++;
        deepStrictEqual(b.state(), c.state(), "what came of the snapshot shows in the state before it is whole");
      });
      await b.stateMachine.install?.(installing);
      await work.apply(b, snapshot.slot + 1, many);
      deepStrictEqual(b.state(), a.state());
    },
    "stays as it was when a snapshot breaks off, and takes the next one": async (make) => {
      const [a, b, c] = [await make(), await make(), await make()];
      if (!both(a)) return;
      await work.apply(a, 1, many);
      const snapshot = await taken(a, 4_096);
      const few = Math.ceil(many / 4);
      await work.apply(b, 1, few);
      await work.apply(c, 1, few);
      const applied = b.stateMachine.appliedThrough;
      for (const breakAt of [0, Math.floor(snapshot.bytes.length / 2), snapshot.bytes.length]) {
        const broken = incoming(snapshot, work.table(snapshot.slot), (at) => {
          if (at >= breakAt) throw new Error("the sender died");
        });
        await rejects(async () => b.stateMachine.install?.(broken), "a snapshot that broke off was taken for whole");
        deepStrictEqual([b.state(), b.stateMachine.appliedThrough], [c.state(), applied]);
      }
      await b.stateMachine.install?.(incoming(snapshot, work.table(snapshot.slot)));
      await work.apply(b, snapshot.slot + 1, many);
      deepStrictEqual(b.state(), a.state());
    },
  };
}

function surviving(work: Work): Checks<Make> {
  const { many } = work;
  return {
    "has in the next life what it called durable, and goes on from where it says": async (make) => {
      let one = await make();
      const other = await make();
      if (one.reopen === undefined) return;
      let applied = 0;
      for (let life = 1; life <= 4; life++) {
        await work.apply(one, applied + 1, life * many);
        await work.apply(other, (life - 1) * many + 1, life * many);
        const durable = one.stateMachine.durableThrough ?? 0;
        ok(durable <= life * many, "durable and not applied");
        one = (await one.reopen?.()) as StateMachineUnderTest;
        applied = one.stateMachine.appliedThrough;
        ok(applied >= durable && applied <= life * many, `applied through ${applied}, durable through ${durable}`);
        keptTable(work, one);
        await work.apply(one, applied + 1, life * many);
        deepStrictEqual(one.state(), other.state());
        applied = life * many;
      }
    },
    "has in the next life the snapshot that it took over, or nothing of it": async (make) => {
      const [a, b] = [await make(), await make()];
      if (a.reopen === undefined || a.stateMachine.snapshot === undefined || a.stateMachine.install === undefined)
        return;
      await work.apply(a, 1, many);
      const snapshot = await taken(a, 4_096);
      const broken = incoming(snapshot, work.table(snapshot.slot), (at) => {
        if (at > 0) throw new Error("the sender died");
      });
      await rejects(async () => b.stateMachine.install?.(broken));
      let next = (await b.reopen?.()) as StateMachineUnderTest;
      strictEqual(next.stateMachine.appliedThrough, 0, "nothing was applied, and no snapshot was whole");
      await next.stateMachine.install?.(incoming(snapshot, work.table(snapshot.slot)));
      next = (await next.reopen?.()) as StateMachineUnderTest;
      strictEqual(next.stateMachine.appliedThrough, snapshot.slot, "`install` resolved before it was durable");
      keptTable(work, next);
      await work.apply(next, snapshot.slot + 1, many);
      deepStrictEqual(next.state(), a.state());
    },
  };
}

/** Of one that keeps the table of clients: it is that of the very slot at which the state is. */
function keptTable(work: Work, { stateMachine }: StateMachineUnderTest): void {
  if (!("clientTable" in stateMachine) || stateMachine.appliedThrough === 0) return;
  deepStrictEqual(
    Buffer.from(stateMachine.clientTable ?? []).toString(),
    Buffer.from(work.table(stateMachine.appliedThrough)).toString(),
    "the table of clients and the state are of two slots",
  );
}
