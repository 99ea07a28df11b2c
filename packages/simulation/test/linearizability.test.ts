import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  assertLinearizable,
  checkLinearizable,
  History,
  type KvInput,
  type KvOutput,
  kvKey,
  kvModel,
  type Model,
  type Operation,
  Random,
  type RegisterInput,
  type RegisterOutput,
  registerModel,
} from "../src/index.js";

type Register = RegisterInput<number>;
type Answer = RegisterOutput<number>;
const register = registerModel(0);

const read: Register = { kind: "read" };
const write = (value: number): Register => ({ kind: "write", value });
const cas = (from: number, to: number): Register => ({ kind: "cas", from, to });

/** An operation from `invoked` to `returned`; without `returned` its outcome is unknown. */
function call(input: Register, invoked: number, returned?: number, output?: Answer): Operation<Register, Answer> {
  const base = { id: invoked, process: "p", input, invoked, invokedMs: invoked };
  if (returned === undefined) {
    return { ...base, outcome: "unknown", returned: Number.POSITIVE_INFINITY, returnedMs: undefined };
  }
  return { ...base, outcome: "ok", returned, returnedMs: returned, output };
}

const verdictOf = (...operations: Operation<Register, Answer>[]) => checkLinearizable(operations, register).verdict;

describe("histories whose verdict is known", () => {
  it("sequential reads and writes", () => {
    expect(verdictOf(call(write(1), 0, 1), call(read, 2, 3, 1))).toBe("linearizable");
    expect(verdictOf(call(write(1), 0, 1), call(read, 2, 3, 0))).toBe("violation");
    expect(verdictOf()).toBe("linearizable");
  });

  it("a read during a write may see either value, and two reads in turn may not go back", () => {
    expect(verdictOf(call(write(1), 0, 10), call(read, 1, 2, 0), call(read, 3, 4, 1))).toBe("linearizable");
    expect(verdictOf(call(write(1), 0, 10), call(read, 1, 2, 1), call(read, 3, 4, 0))).toBe("violation");
    expect(verdictOf(call(write(1), 0, 10), call(read, 1, 4, 1), call(read, 3, 5, 0))).toBe("linearizable");
  });

  it("a write of unknown outcome may take effect late, or never, but not twice and not before its call", () => {
    expect(verdictOf(call(write(1), 0), call(read, 1, 2, 0), call(read, 3, 4, 1))).toBe("linearizable");
    expect(verdictOf(call(write(1), 0), call(read, 1, 2, 0))).toBe("linearizable");
    expect(verdictOf(call(read, 0, 1, 1), call(write(1), 2))).toBe("violation");
    expect(verdictOf(call(write(1), 0), call(read, 1, 2, 1), call(write(2), 3, 4), call(read, 5, 6, 1))).toBe(
      "violation",
    );
    expect(
      verdictOf(call(write(1), 0), call(write(1), 1), call(read, 2, 3, 1), call(write(2), 4, 5), call(read, 6, 7, 1)),
    ).toBe("linearizable");
  });

  it("a lost update, and the double success of a compare-and-set", () => {
    expect(verdictOf(call(cas(0, 1), 0, 3, true), call(cas(0, 2), 1, 4, false))).toBe("linearizable");
    expect(verdictOf(call(cas(0, 1), 0, 3, true), call(cas(0, 2), 1, 4, true))).toBe("violation");
  });

  it("what failed did not happen", () => {
    const history = new History<Register, Answer>({ now: () => 0 });
    history.fail(history.invoke("a", write(1)));
    history.ok(history.invoke("b", read), 0);
    expect(checkLinearizable(history, register).verdict).toBe("linearizable");
    history.ok(history.invoke("b", read), 1);
    expect(checkLinearizable(history, register).verdict).toBe("violation");
  });

  it("a queue from Herlihy and Wing: enqueue twice, dequeue in the other order", () => {
    type Input = { readonly enqueue: string } | "dequeue";
    const queue: Model<readonly string[], Input, string | undefined> = {
      initial: [],
      step: (state, input) =>
        input === "dequeue"
          ? { state: state.slice(1), output: state[0] }
          : { state: [...state, input.enqueue], output: undefined },
    };
    const history = (overlap: boolean): History<Input, string | undefined> => {
      const h = new History<Input, string | undefined>({ now: () => 0 });
      const x = h.invoke("a", { enqueue: "x" });
      if (!overlap) h.ok(x, undefined);
      const y = h.invoke("b", { enqueue: "y" });
      if (overlap) h.ok(x, undefined);
      h.ok(y, undefined);
      h.ok(h.invoke("b", "dequeue"), "y");
      h.ok(h.invoke("a", "dequeue"), "x");
      return h;
    };
    expect(checkLinearizable(history(true), queue).verdict).toBe("linearizable");
    expect(checkLinearizable(history(false), queue).verdict).toBe("violation");
  });
});

/** Every order of every subset that holds all completed operations: slow, and too simple to be wrong. */
function bruteForce(operations: readonly Operation<Register, Answer>[]): boolean {
  const mustPlace = operations.filter((operation) => operation.outcome === "ok");
  const extend = (state: number, placed: ReadonlySet<Operation<Register, Answer>>): boolean => {
    if (mustPlace.every((operation) => placed.has(operation))) return true;
    const waiting = mustPlace.filter((operation) => !placed.has(operation));
    return operations.some((operation) => {
      if (placed.has(operation)) return false;
      if (waiting.some((other) => other.returned < operation.invoked)) return false;
      const next = register.step(state, operation.input);
      if (operation.outcome === "ok" && next.output !== operation.output) return false;
      return extend(next.state, new Set([...placed, operation]));
    });
  };
  return extend(0, new Set());
}

const anyInput: fc.Arbitrary<Register> = fc.oneof(
  fc.constant(read),
  fc.record({ kind: fc.constant("write" as const), value: fc.nat(2) }),
  fc.record({ kind: fc.constant("cas" as const), from: fc.nat(2), to: fc.nat(2) }),
);

const anyHistory = fc
  .array(fc.record({ input: anyInput, at: fc.nat(20), lasts: fc.nat(8), unknown: fc.boolean(), value: fc.nat(2) }), {
    maxLength: 7,
  })
  .map((calls) =>
    calls.map(({ input, at, lasts, unknown, value }, id) => {
      if (unknown) return { ...call(input, at), id };
      const output = input.kind === "read" ? value : input.kind === "cas" ? value === 1 : undefined;
      return { ...call(input, at, at + lasts, output), id };
    }),
  );

it("agrees with trying every order", () => {
  const seen = { linearizable: 0, violation: 0 };
  fc.assert(
    fc.property(anyHistory, (operations) => {
      const expected = bruteForce(operations) ? "linearizable" : "violation";
      seen[expected]++;
      expect(checkLinearizable(operations, register).verdict).toBe(expected);
    }),
    { numRuns: 2000 },
  );
  expect(Math.min(seen.linearizable, seen.violation)).toBeGreaterThan(150);
});

it("gives the shortest beginning that fails, and it does fail", () => {
  fc.assert(
    fc.property(anyHistory, (operations) => {
      const verdict = checkLinearizable(operations, register);
      if (verdict.verdict !== "violation") return;
      expect(bruteForce(verdict.failing)).toBe(false);
      const returns = verdict.failing.filter((operation) => operation.outcome === "ok").map((o) => o.returned);
      const last = Math.max(...returns);
      const shorter = verdict.failing
        .filter((operation) => operation.invoked < last)
        .map((operation) =>
          operation.returned < last ? operation : { ...call(operation.input, operation.invoked), id: operation.id },
        );
      expect(bruteForce(shorter)).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

interface Recorded {
  readonly count: number;
  readonly keys: number;
  readonly clients: number;
  readonly unknownChance: number;
  readonly seed: number;
}

/** Runs clients against a real map; each call takes effect at one moment between its call and its return. */
function recorded({ count, keys, clients, unknownChance, seed }: Recorded): History<KvInput<number>, KvOutput<number>> {
  const random = new Random(seed);
  const model = kvModel<number>();
  let state = model.initial;
  let moment = 0;
  const history = new History<KvInput<number>, KvOutput<number>>({ now: () => moment });
  const open: { id: number; input: KvInput<number>; applied?: { output: KvOutput<number> } }[] = [];
  /** Unknown calls that may still take effect, in the world's own time. */
  const lingering: KvInput<number>[] = [];
  const apply = (input: KvInput<number>): { output: KvOutput<number> } => {
    const next = model.step(state, input);
    state = next.state;
    return { output: next.output };
  };
  while (moment < count * 3) {
    moment++;
    const late = random.chance(0.02) ? lingering.pop() : undefined;
    if (late !== undefined) apply(late);
    if (open.length < clients && random.chance(0.5)) {
      const key = `k${random.int(keys)}`;
      const kind = random.pick(["get", "get", "put", "cas"] as const);
      const input: KvInput<number> =
        kind === "get"
          ? { kind, key }
          : kind === "put"
            ? { kind, key, value: random.int(1000) }
            : { kind, key, from: state.get(key), to: random.int(1000) };
      open.push({ id: history.invoke(`c${open.length}`, input), input });
      continue;
    }
    const at = open.length === 0 ? -1 : random.int(open.length);
    const chosen = open[at];
    if (chosen === undefined) continue;
    if (chosen.applied === undefined && random.chance(unknownChance)) {
      history.unknown(chosen.id);
      if (random.chance(0.5)) lingering.push(chosen.input);
      open.splice(at, 1);
    } else if (chosen.applied === undefined) {
      chosen.applied = apply(chosen.input);
    } else {
      history.ok(chosen.id, chosen.applied.output);
      open.splice(at, 1);
    }
  }
  return history;
}

describe("long histories", () => {
  it("decides ten thousand operations over many keys, a tenth of unknown outcome", () => {
    const history = recorded({ count: 10_000, keys: 50, clients: 20, unknownChance: 0.1, seed: 1 });
    expect(history.stats().ok).toBeGreaterThan(8000);
    expect(history.stats().unknown).toBeGreaterThan(500);
    expect(checkLinearizable(history, kvModel<number>(), { partitionBy: kvKey }).verdict).toBe("linearizable");
  });

  it("decides ten thousand operations on one key", () => {
    const history = recorded({ count: 10_000, keys: 1, clients: 10, unknownChance: 0.01, seed: 2 });
    expect(checkLinearizable(history, kvModel<number>(), { partitionBy: kvKey }).verdict).toBe("linearizable");
  });

  it("finds the one stale read in ten thousand operations, and shows it", () => {
    const operations = recorded({ count: 10_000, keys: 50, clients: 20, unknownChance: 0.05, seed: 3 }).operations();
    const victim = operations.findLast((o) => o.input.kind === "get" && o.outcome === "ok" && o.output !== undefined);
    if (victim === undefined) throw new Error("no read to spoil");
    operations[victim.id] = { ...victim, output: -1 };
    const verdict = checkLinearizable(operations, kvModel<number>(), { partitionBy: kvKey });
    if (verdict.verdict !== "violation") throw new Error(verdict.verdict);
    expect(verdict.partition).toBe(victim.input.key);
    expect(verdict.trace).toContain(`once #${victim.id} has returned`);
    expect(verdict.trace).toMatch(new RegExp(`next could be #${victim.id} .*, not -1`));
  });

  it("gives up at its bound, says so, and never passes", () => {
    const random = new Random(4);
    const operations: Operation<Register, Answer>[] = [];
    // Hundreds of concurrent and unknown writes, then a read that none of them explains.
    for (let i = 0; i < 200; i++) {
      operations.push(i % 2 === 0 ? call(write(random.int(1e6)), i) : call(write(random.int(1e6)), i, 1000 + i));
    }
    operations.push(call(read, 2000, 2001, -5));
    const verdict = checkLinearizable(operations, register, { stepsMax: 100_000 });
    expect(verdict).toMatchObject({ verdict: "inconclusive", undecided: [""] });
    expect(verdict.steps).toBeLessThanOrEqual(100_100);
    expect(checkLinearizable(operations, register, { configurationsMax: 1000 }).verdict).toBe("inconclusive");
    expect(() => assertLinearizable(operations, register, { stepsMax: 1000 })).toThrow(/not decided after/);
  });
});

it("prints a trace that a person can follow", () => {
  const history = new History<Register, Answer>({ now: () => clock });
  let clock = 0;
  const at = (ms: number): void => {
    clock = ms;
  };
  const first = history.invoke("alice", write(1));
  at(2);
  history.ok(first, undefined);
  const second = history.invoke("bob", write(2));
  at(5);
  const third = history.invoke("carol", read);
  at(7.5);
  history.ok(third, 0);
  history.unknown(second);
  expect(() => assertLinearizable(history, register)).toThrow(
    [
      "not linearizable, 3 operations",
      "no order explains it any more once #2 has returned:",
      '  #0 alice [0 .. 2 ms] {kind: "write", value: 1} -> undefined',
      '  #1 bob [2 .. ? ms] {kind: "write", value: 2} -> outcome unknown',
      '  #2 carol [5 .. 7.5 ms] {kind: "read"} -> 0',
      "the longest order that fits: #0; the state after it: 1",
      '  next could be #2 {kind: "read"}, which would answer 1, not 0',
    ].join("\n"),
  );
});

it("refuses a history that cannot be", () => {
  const history = new History<Register, Answer>({ now: () => 0 });
  const id = history.invoke("a", read);
  history.ok(id, 0);
  expect(() => history.ok(id, 0)).toThrow(/has ended already, as ok/);
  expect(() => history.fail(99)).toThrow(/no operation 99/);
  expect(() => checkLinearizable([call(read, 5, 4, 0)], register)).toThrow(/returned must be/);
  expect(() => checkLinearizable([], register, { stepsMax: 0 })).toThrow(/stepsMax/);
});
