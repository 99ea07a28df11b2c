/** Parsed expressions against naive interpreters that never see a parser: each generated piece knows its text and its meaning. */
import { Decimal } from "decimal.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matches } from "../../src/api/condition.js";
import type { AttributeValue, Item } from "../../src/api/model.js";
import { parseExpressions } from "../../src/api/requests/expressions.js";
import { evaluateWrite } from "../../src/api/write.js";
import { attributeValue } from "./arbitraries.js";

/** Placeholders are handed out while the text is being written. */
class Writer {
  readonly values: Item = {};
  readonly names: Record<string, string> = {};

  value(value: AttributeValue): string {
    const name = `:v${Object.keys(this.values).length}`;
    this.values[name] = structuredClone(value);
    return name;
  }

  path(path: readonly (string | number)[]): string {
    const steps = path.map((step) => {
      if (typeof step === "number") return `[${step}]`;
      this.names[`#${step}`] = step;
      return `.#${step}`;
    });
    return steps.join("").slice(1);
  }

  parameters(kind: string, expression: string): Record<string, unknown> {
    return {
      [kind]: expression,
      ...(Object.keys(this.values).length > 0 && { ExpressionAttributeValues: this.values }),
      ...(Object.keys(this.names).length > 0 && { ExpressionAttributeNames: this.names }),
    };
  }
}

interface Piece<T> {
  write(w: Writer): string;
  mean(item: Item): T;
}

const path = fc.oneof(
  fc.constantFrom("a", "b").map((name) => [name]),
  fc.tuple(fc.constantFrom("a", "b"), fc.oneof(fc.constantFrom("a", "b"), fc.nat(2))),
) as fc.Arbitrary<(string | number)[]>;

function at(item: Item, path: readonly (string | number)[]): AttributeValue | undefined {
  let value: unknown = { M: item };
  for (const step of path) {
    const inside = value as { M?: Record<string, unknown>; L?: unknown[] } | undefined;
    const container = typeof step === "number" ? inside?.L : inside?.M;
    value = container === undefined ? undefined : (container as Record<string, unknown>)[step];
  }
  return value as AttributeValue | undefined;
}

type Operand = Piece<AttributeValue | undefined> & { key: string };

const small: fc.Arbitrary<AttributeValue> = fc.oneof(
  fc.constantFrom("", "a", "ab", "\u{10000}", "\uffff").map((S) => ({ S })),
  fc.integer({ min: -2, max: 3 }).map((n) => ({ N: String(n) })),
  fc.constantFrom("", "YQ==", "YWI=", "/w==").map((B) => ({ B })),
);
const value = fc.oneof(
  { weight: 3, arbitrary: small },
  fc.constantFrom<AttributeValue>(
    { BOOL: true },
    { NULL: true },
    { SS: ["a", "b"] },
    { SS: ["b", "a"] },
    { NS: ["1", "2"] },
  ),
  fc.array(small, { maxLength: 3 }).map((L) => ({ L })),
  fc.record({ a: small, b: small }, { requiredKeys: [] }).map((M) => ({ M: M as Item })),
);
const item: fc.Arbitrary<Item> = fc.record({ a: value, b: value }, { requiredKeys: [] }) as fc.Arbitrary<Item>;

const pathOperand: fc.Arbitrary<Operand> = path.map((p) => ({
  key: `path ${p.join()}`,
  write: (w) => w.path(p),
  mean: (item) => at(item, p),
}));
const sizeOperand: fc.Arbitrary<Operand> = path.map((p) => ({
  key: `size ${p.join()}`,
  write: (w) => `size(${w.path(p)})`,
  mean: (item) => {
    const inside = at(item, p) as Record<string, unknown> | undefined;
    if (inside === undefined) return undefined;
    const [type, content] = Object.entries(inside)[0] as [string, string | object];
    if (type === "S") return { N: String(Buffer.byteLength(content as string)) };
    if (type === "B") return { N: String(Buffer.from(content as string, "base64").length) };
    return typeof content === "object" ? { N: String(Object.keys(content).length) } : undefined;
  },
}));
const literal = (of: fc.Arbitrary<AttributeValue>): fc.Arbitrary<Operand> =>
  of.map((v) => ({ key: "", write: (w) => w.value(v), mean: () => v }));
const operand = fc.oneof(pathOperand, sizeOperand, literal(value));
const ordered = fc.oneof(pathOperand, sizeOperand, literal(small));

/** Values as text whose equality is the service's. */
function canonical(value: AttributeValue | undefined): string {
  if (value === undefined) return "nothing";
  return JSON.stringify(value, (key, inner) => {
    if (["SS", "NS", "BS"].includes(key)) return [...inner].sort();
    if (inner && typeof inner === "object" && !Array.isArray(inner)) {
      return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
    }
    return inner;
  });
}

function order(a: AttributeValue | undefined, b: AttributeValue | undefined): number {
  if (a === undefined || b === undefined) return Number.NaN;
  if ("S" in a && "S" in b) return Buffer.compare(Buffer.from(a.S), Buffer.from(b.S));
  if ("N" in a && "N" in b) return new Decimal(a.N).cmp(b.N);
  if ("B" in a && "B" in b) return Buffer.compare(Buffer.from(a.B, "base64"), Buffer.from(b.B, "base64"));
  return Number.NaN;
}

const COMPARISONS: Record<string, (a: AttributeValue | undefined, b: AttributeValue | undefined) => boolean> = {
  "=": (a, b) => a !== undefined && canonical(a) === canonical(b),
  "<>": (a, b) => a === undefined || canonical(a) !== canonical(b),
  "<": (a, b) => order(a, b) < 0,
  "<=": (a, b) => order(a, b) <= 0,
  ">": (a, b) => order(a, b) > 0,
  ">=": (a, b) => order(a, b) >= 0,
};

const distinct = <T extends { left: Operand; right: Operand }>({ left, right }: T) =>
  left.key === "" || left.key !== right.key || left.key.startsWith("size");

const simple: fc.Arbitrary<Piece<boolean>> = fc.oneof(
  fc
    .record({ op: fc.constantFrom("=", "<>"), left: operand, right: operand })
    .filter(distinct)
    .map(comparison),
  fc
    .record({ op: fc.constantFrom("<", "<=", ">", ">="), left: ordered, right: ordered })
    .filter(distinct)
    .map(comparison),
  fc.tuple(ordered, pathOperand, ordered).map(([of, low, high]) => ({
    write: (w: Writer) => `${of.write(w)} BETWEEN ${low.write(w)} AND ${high.write(w)}`,
    mean: (item: Item) => order(of.mean(item), low.mean(item)) >= 0 && order(of.mean(item), high.mean(item)) <= 0,
  })),
  fc.tuple(operand, fc.array(operand, { minLength: 1, maxLength: 3 })).map(([of, among]) => ({
    write: (w: Writer) => `${of.write(w)} IN (${among.map((one) => one.write(w)).join(", ")})`,
    mean: (item: Item) =>
      of.mean(item) !== undefined && among.some((one) => canonical(one.mean(item)) === canonical(of.mean(item))),
  })),
  pathOperand.map((of) => ({
    write: (w: Writer) => `attribute_exists(${of.write(w)})`,
    mean: (item: Item) => of.mean(item) !== undefined,
  })),
  pathOperand.map((of) => ({
    write: (w: Writer) => `attribute_not_exists(${of.write(w)})`,
    mean: (item: Item) => of.mean(item) === undefined,
  })),
  fc.tuple(pathOperand, fc.constantFrom("S", "N", "L", "M", "SS", "NULL")).map(([of, type]) => ({
    write: (w: Writer) => `attribute_type(${of.write(w)}, ${w.value({ S: type })})`,
    mean: (item: Item) => of.mean(item) !== undefined && type in (of.mean(item) as object),
  })),
  fc.tuple(pathOperand, fc.constantFrom("", "a", "b", "\u{10000}")).map(([of, prefix]) => ({
    write: (w: Writer) => `begins_with(${of.write(w)}, ${w.value({ S: prefix })})`,
    mean: (item: Item) => (of.mean(item) as { S?: string } | undefined)?.S?.startsWith(prefix) ?? false,
  })),
  fc.tuple(pathOperand, small).map(([of, search]) => ({
    write: (w: Writer) => `contains(${of.write(w)}, ${w.value(search)})`,
    mean: (item: Item) => {
      const there = (of.mean(item) ?? {}) as {
        S?: string;
        B?: string;
        SS?: string[];
        NS?: string[];
        L?: AttributeValue[];
      };
      const text = (search as { S?: string }).S;
      if (there.L) return there.L.some((one) => canonical(one) === canonical(search));
      if (text !== undefined) return (there.S ?? there.SS)?.includes(text) ?? false;
      if ("N" in search) return there.NS?.includes(search.N) ?? false;
      if (there.B === undefined) return false;
      return Buffer.from(there.B, "base64").includes(Buffer.from((search as { B: string }).B, "base64"));
    },
  })),
);

function comparison({ op, left, right }: { op: string; left: Operand; right: Operand }): Piece<boolean> {
  return {
    write: (w) => `${left.write(w)} ${op} ${right.write(w)}`,
    mean: (item) => (COMPARISONS[op] as (typeof COMPARISONS)["="])(left.mean(item), right.mean(item)),
  };
}

const condition: fc.Arbitrary<Piece<boolean>> = fc.letrec<{ any: Piece<boolean> }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    simple,
    tie("any").map((of) => ({ write: (w: Writer) => `NOT (${of.write(w)})`, mean: (item: Item) => !of.mean(item) })),
    fc.tuple(tie("any"), tie("any"), fc.constantFrom("AND", "or")).map(([left, right, op]) => ({
      write: (w: Writer) => `(${left.write(w)}) ${op} (${right.write(w)})`,
      mean: (item: Item) => (op === "AND" ? left.mean(item) && right.mean(item) : left.mean(item) || right.mean(item)),
    })),
  ),
})).any;

describe("conditions", () => {
  it("mean what the naive interpreter says", () => {
    fc.assert(
      fc.property(condition, fc.array(item, { minLength: 1, maxLength: 5 }), (piece, items) => {
        const w = new Writer();
        const request = w.parameters("ConditionExpression", piece.write(w));
        const parsed = parseExpressions(request, ["ConditionExpression"]).condition;
        if (parsed === undefined) throw new Error("nothing was parsed");
        for (const one of items) expect(matches(parsed, one)).toBe(piece.mean(one));
      }),
      { numRuns: 800 },
    );
  });
});

interface Step {
  readonly section: "SET" | "REMOVE" | "ADD" | "DELETE";
  readonly name: string;
  write(w: Writer): string;
  /** What the attribute is afterwards; undefined: not there. */
  mean(before: Item): AttributeValue | undefined;
}

const n = fc.integer({ min: -1e6, max: 1e6 }).map(String);
const set = fc.uniqueArray(fc.constantFrom("x", "y", "z"), { minLength: 1 });

const step = (name: string): fc.Arbitrary<Step> =>
  fc.oneof(
    attributeValue.map((v) => ({
      section: "SET" as const,
      name,
      write: (w: Writer) => `#${name} = ${w.value(v)}`,
      mean: () => v,
    })),
    n.map((by) => ({
      section: "SET" as const,
      name,
      write: (w: Writer) =>
        `#${name} = if_not_exists(${w.path(["n"])}, ${w.value({ N: "5" })}) - ${w.value({ N: by })}`,
      mean: (before: Item) => ({ N: new Decimal((before.n as { N: string } | undefined)?.N ?? 5).minus(by).toFixed() }),
    })),
    fc.array(small, { maxLength: 2 }).map((L) => ({
      section: "SET" as const,
      name,
      write: (w: Writer) =>
        `#${name} = list_append(if_not_exists(${w.path(["l"])}, ${w.value({ L: [] })}), ${w.value({ L })})`,
      mean: (before: Item) => ({ L: [...((before.l as { L: AttributeValue[] } | undefined)?.L ?? []), ...L] }),
    })),
    fc.constant({ section: "REMOVE" as const, name, write: () => `#${name}`, mean: () => undefined }),
  );
const steps: fc.Arbitrary<Step[]> = fc
  .tuple(
    fc.subarray(["p", "q", "l", "n"]).chain((names) => fc.tuple(...names.map(step))),
    fc.option(
      fc.tuple(fc.constantFrom("ADD" as const, "DELETE" as const), set).map(
        ([section, SS]): Step => ({
          section,
          name: "set",
          write: (w) => `#set ${w.value({ SS })}`,
          mean: (before) => {
            const there = (before.set as { SS: string[] } | undefined)?.SS ?? [];
            const rest =
              section === "ADD"
                ? [...new Set([...there, ...SS])].sort()
                : there.filter((one) => !(SS as string[]).includes(one));
            return rest.length === 0 ? undefined : { SS: rest };
          },
        }),
      ),
      { nil: undefined },
    ),
  )
  .map(([some, last]) => (last === undefined ? (some as Step[]) : [...(some as Step[]), last]))
  .filter((all) => all.length > 0);

const before: fc.Arbitrary<Item> = fc.record(
  {
    p: attributeValue,
    n: n.map((N) => ({ N })),
    l: fc.array(small, { maxLength: 3 }).map((L) => ({ L })),
    set: set.map((SS) => ({ SS })),
    other: attributeValue,
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Item>;

describe("updates", () => {
  it("do what the naive interpreter does, and leave what they were given alone", () => {
    fc.assert(
      fc.property(steps, fc.option(before, { nil: undefined }), (all, was) => {
        const w = new Writer();
        const sections = ["SET", "REMOVE", "ADD", "DELETE"] as const;
        const texts = sections.map((section) => {
          const some = all.filter((one) => one.section === section);
          for (const { name } of some) w.names[`#${name}`] = name;
          return some.length === 0 ? "" : `${section} ${some.map((one) => one.write(w)).join(", ")}`;
        });
        const request = w.parameters("UpdateExpression", texts.filter(Boolean).join(" "));
        const { update: actions = [] } = parseExpressions(request, ["UpdateExpression"]);
        const key: Item = { id: { S: "k" } };
        const there = was === undefined ? undefined : deepFreeze({ ...key, ...was });
        const result = evaluateWrite(
          deepFreeze({ kind: "update", keyAttributes: key, actions, returnValues: "ALL_NEW" }),
          there,
        );
        const expected: Item = { ...(there ?? key) };
        for (const one of all) {
          const meant = one.mean(there ?? {});
          if (meant === undefined) delete expected[one.name];
          else expected[one.name] = meant;
        }
        const ghost = there === undefined && all.every(({ section }) => section === "REMOVE" || section === "DELETE");
        expect(result.after).toEqual(ghost ? undefined : expected);
        expect(result.attributes).toEqual(ghost ? undefined : expected);
      }),
      { numRuns: 500 },
    );
  });
});

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
