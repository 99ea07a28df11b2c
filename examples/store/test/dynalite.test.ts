/**
 * Random histories against two implementations that have nothing in common: this store's front (over sorted arrays) and dynalite. Each step
 * goes to both; answers, and the names of errors, must be the same, and a history that they tell differently is shrunk to its core.
 *
 * Left out is where dynalite is known to be another than the service: the texts of errors (its are older), transactions and PartiQL (it has
 * none), what a failed condition returns, and the order of a Scan.
 */
import { createRequire } from "node:module";
import type { Server } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call, createTable, harness } from "./router/harness.js";
import { eventually } from "./support/store.js";

type Json = Record<string, unknown>;
type Step = readonly [operation: string, body: (run: string) => Json];

const TableName = "compared";
const h = harness();
const dynalite = createRequire(import.meta.url)("dynalite") as (options: object) => Server;
const peer = dynalite({ createTableMs: 0 });
let peerPort: number;

beforeAll(async () => {
  await new Promise<void>((resolve) => peer.listen(0, "127.0.0.1", resolve));
  peerPort = (peer.address() as { port: number }).port;
  const definition = {
    TableName,
    KeySchema: [
      { AttributeName: "pk", KeyType: "HASH" as const },
      { AttributeName: "sk", KeyType: "RANGE" as const },
    ],
    AttributeDefinitions: [
      { AttributeName: "pk", AttributeType: "S" as const },
      { AttributeName: "sk", AttributeType: "N" as const },
    ],
    BillingMode: "PAY_PER_REQUEST" as const,
  };
  await createTable(h, definition);
  await call(peerPort, "CreateTable", definition);
  const status = async () => ((await call(peerPort, "DescribeTable", { TableName })).json().Table as Json).TableStatus;
  await eventually("dynalite has its table", async () => (await status()) === "ACTIVE");
});
afterAll(() => new Promise((resolve) => peer.close(resolve)));

/** Collects the values of an expression while it is written down. */
class Values {
  readonly taken: Json = {};
  #count = 0;
  of(value: Json): string {
    const name = `:v${this.#count++}`;
    this.taken[name] = value;
    return name;
  }
  /** As a request has them. */
  get parameter(): Json {
    return this.#count === 0 ? {} : { ExpressionAttributeValues: this.taken };
  }
}
type Text = (values: Values) => string;

const number = fc.constantFrom("0", "1", "-2", "3.5", "10", "1e3", "007").map((N): Json => ({ N }));
const string = fc.constantFrom("", "a", "ab", "b", "1").map((S): Json => ({ S }));
const stringSet = fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 }).map((SS): Json => ({ SS }));
const numberSet = fc.uniqueArray(fc.constantFrom("1", "2", "3.5"), { minLength: 1 }).map((NS): Json => ({ NS }));
const scalar = fc.oneof(number, string, fc.constantFrom<Json>({ BOOL: true }, { NULL: true }, { B: "YWI=" }));
const list = fc.array(scalar, { maxLength: 3 }).map((L): Json => ({ L }));
const map = fc.dictionary(fc.constantFrom("x", "y"), scalar, { maxKeys: 2 }).map((M): Json => ({ M }));
const value = fc.oneof({ weight: 3, arbitrary: scalar }, stringSet, numberSet, list, map);
const attributes = fc.dictionary(fc.constantFrom("a", "b", "c", "l", "m", "s"), value, {
  maxKeys: 4,
  noNullPrototype: true,
});
const path = fc.constantFrom("a", "b", "c", "l", "m", "s", "m.x", "m.y", "l[0]", "l[1]", "a.x");

const literal = (of: fc.Arbitrary<Json>): fc.Arbitrary<Text> => of.map((one) => (values: Values) => values.of(one));
/** Two attributes that are both missing are the same for dynalite, and nothing for the service: one side is always a value. */
const operand = literal(value);
const compared = fc.oneof(
  { weight: 3, arbitrary: path },
  path.map((one) => `size(${one})`),
);
const { condition } = fc.letrec<{ condition: Text }>((tie) => ({
  condition: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    path.map(
      (of): Text =>
        () =>
          `attribute_exists(${of})`,
    ),
    path.map(
      (of): Text =>
        () =>
          `attribute_not_exists(${of})`,
    ),
    fc.tuple(path, fc.constantFrom("S", "N", "L", "M", "SS", "BOOL")).map(
      ([of, type]): Text =>
        (values) =>
          `attribute_type(${of}, ${values.of({ S: type })})`,
    ),
    fc
      .oneof(
        fc.tuple(compared, fc.constantFrom("=", "<>"), operand),
        // Others than numbers, texts and bytes have no order: the service refuses them at once, dynalite when it comes to them.
        fc.tuple(compared, fc.constantFrom("<", "<=", ">", ">="), literal(fc.oneof(number, string))),
      )
      .map(
        ([left, op, right]): Text =>
          (values) =>
            `${left} ${op} ${right(values)}`,
      ),
    fc.tuple(path, operand).map(
      ([of, what]): Text =>
        (values) =>
          `contains(${of}, ${what(values)})`,
    ),
    fc.tuple(path, literal(string)).map(
      ([of, what]): Text =>
        (values) =>
          `begins_with(${of}, ${what(values)})`,
    ),
    fc.tuple(path, number, number).map(
      ([of, low, high]): Text =>
        (values) =>
          `${of} BETWEEN ${values.of(low)} AND ${values.of(high)}`,
    ),
    fc.tuple(path, operand, operand).map(
      ([of, ...two]): Text =>
        (values) =>
          `${of} IN (${two.map((one) => one(values)).join(", ")})`,
    ),
    tie("condition").map(
      (inner): Text =>
        (values) =>
          `NOT (${inner(values)})`,
    ),
    fc.tuple(tie("condition"), fc.constantFrom("AND", "OR"), tie("condition")).map(
      ([left, op, right]): Text =>
        (values) =>
          `(${left(values)}) ${op} ${right(values)}`,
    ),
  ),
}));

const setValue: fc.Arbitrary<Text> = fc.oneof(
  { weight: 3, arbitrary: literal(value) },
  path.map(
    (from): Text =>
      () =>
        from,
  ),
  fc.tuple(path, value).map(
    ([from, other]): Text =>
      (values) =>
        `if_not_exists(${from}, ${values.of(other)})`,
  ),
  fc.tuple(path, fc.constantFrom("+", "-"), number).map(
    ([from, op, by]): Text =>
      (values) =>
        `${from} ${op} ${values.of(by)}`,
  ),
  fc.tuple(path, list).map(
    ([from, more]): Text =>
      (values) =>
        `list_append(${from}, ${values.of(more)})`,
  ),
);
const clauses = (one: fc.Arbitrary<Text>) => fc.array(one, { maxLength: 2 });
const update: fc.Arbitrary<Text> = fc
  .record({
    SET: clauses(
      fc.tuple(path, setValue).map(
        ([to, what]): Text =>
          (values) =>
            `${to} = ${what(values)}`,
      ),
    ),
    REMOVE: clauses(
      path.map(
        (of): Text =>
          () =>
            of,
      ),
    ),
    ADD: clauses(
      fc.tuple(path, fc.oneof(number, stringSet, numberSet)).map(
        ([to, what]): Text =>
          (values) =>
            `${to} ${values.of(what)}`,
      ),
    ),
    DELETE: clauses(
      fc.tuple(path, fc.oneof(stringSet, numberSet)).map(
        ([of, what]): Text =>
          (values) =>
            `${of} ${values.of(what)}`,
      ),
    ),
  })
  .map(
    (sections): Text =>
      (values) => {
        const said = Object.entries(sections).flatMap(([name, of]) =>
          of.length === 0 ? [] : [`${name} ${of.map((one) => one(values)).join(", ")}`],
        );
        // dynalite brings an item into being by taking from it.
        if (sections.SET.length + sections.ADD.length === 0) said.push(`SET z = ${values.of({ N: "1" })}`);
        return said.join(" ");
      },
  );

const pk = fc.constantFrom("p", "q");
const sk = fc.constantFrom("-1", "0", "0.5", "2", "10");
const key = fc.tuple(pk, sk).map(([p, s]) => (run: string) => ({ pk: { S: run + p }, sk: { N: s } }));
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });

function written(values: Values, expressions: Readonly<Record<string, Text | undefined>>): Json {
  const texts = Object.entries(expressions).flatMap(([name, text]) =>
    text === undefined ? [] : [[name, text(values)]],
  );
  return { ...Object.fromEntries(texts), ...values.parameter };
}

const sortRange: fc.Arbitrary<Text> = fc.oneof(
  fc.tuple(fc.constantFrom("=", "<", "<=", ">", ">="), sk).map(
    ([op, N]): Text =>
      (values) =>
        ` AND sk ${op} ${values.of({ N })}`,
  ),
  fc.constant<Text>((values) => ` AND sk BETWEEN ${values.of({ N: "0" })} AND ${values.of({ N: "2" })}`),
  fc.constant<Text>(() => ""),
);
const projection = fc
  .uniqueArray(fc.constantFrom("a", "l[1]", "m.x", "s", "pk"), { minLength: 1, maxLength: 3 })
  .map((of) => of.join(", "));

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ key, attributes, if: maybe(condition), ReturnValues: fc.constantFrom("NONE", "ALL_OLD") }).map(
    (s): Step => [
      "PutItem",
      (run) => ({
        TableName,
        Item: { ...s.key(run), ...s.attributes },
        ReturnValues: s.ReturnValues,
        ...written(new Values(), { ConditionExpression: s.if }),
      }),
    ],
  ),
  {
    weight: 3,
    arbitrary: fc
      .record({
        key,
        update,
        if: maybe(condition),
        ReturnValues: fc.constantFrom("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"),
      })
      .map(
        (s): Step => [
          "UpdateItem",
          (run) => ({
            TableName,
            Key: s.key(run),
            ReturnValues: s.ReturnValues,
            ...written(new Values(), { UpdateExpression: s.update, ConditionExpression: s.if }),
          }),
        ],
      ),
  },
  fc.record({ key, if: maybe(condition), ReturnValues: fc.constantFrom("NONE", "ALL_OLD") }).map(
    (s): Step => [
      "DeleteItem",
      (run) => ({
        TableName,
        Key: s.key(run),
        ReturnValues: s.ReturnValues,
        ...written(new Values(), { ConditionExpression: s.if }),
      }),
    ],
  ),
  fc.record({ key, ProjectionExpression: maybe(projection) }).map(
    (s): Step => [
      "GetItem",
      (run) => ({
        TableName,
        Key: s.key(run),
        ConsistentRead: true,
        ...(s.ProjectionExpression && { ProjectionExpression: s.ProjectionExpression }),
      }),
    ],
  ),
  fc
    .record({
      pk,
      range: sortRange,
      filter: maybe(condition),
      Limit: maybe(fc.integer({ min: 1, max: 5 })),
      ScanIndexForward: fc.boolean(),
      ProjectionExpression: maybe(projection),
    })
    .map(
      (s): Step => [
        "Query",
        (run) => {
          const values = new Values();
          const of: Text = (v) => `pk = ${v.of({ S: run + s.pk })}${s.range(v)}`;
          return {
            TableName,
            ScanIndexForward: s.ScanIndexForward,
            ...(s.Limit && { Limit: s.Limit }),
            ...(s.ProjectionExpression && { ProjectionExpression: s.ProjectionExpression }),
            ...written(values, { KeyConditionExpression: of, FilterExpression: s.filter }),
          };
        },
      ],
    ),
  condition.map(
    (filter): Step => [
      "Scan",
      (run) => {
        const mine: Text = (values) =>
          `begins_with(pk, ${values.of({ S: run })}) AND (${filter(values)} OR sk = ${values.of({ N: "0" })})`;
        return { TableName, ...written(new Values(), { FilterExpression: mine }) };
      },
    ],
  ),
  fc.uniqueArray(fc.tuple(pk, sk, maybe(attributes)), { minLength: 1, maxLength: 4, selector: ([p, s]) => p + s }).map(
    (all): Step => [
      "BatchWriteItem",
      (run) => ({
        RequestItems: {
          [TableName]: all.map(([p, N, item]) => {
            const Key = { pk: { S: run + p }, sk: { N } };
            return item === undefined ? { DeleteRequest: { Key } } : { PutRequest: { Item: { ...Key, ...item } } };
          }),
        },
      }),
    ],
  ),
  fc.uniqueArray(fc.tuple(pk, sk), { minLength: 1, maxLength: 4, selector: (one) => one.join() }).map(
    (all): Step => [
      "BatchGetItem",
      (run) => ({
        RequestItems: {
          [TableName]: { ConsistentRead: true, Keys: all.map(([p, N]) => ({ pk: { S: run + p }, sk: { N } })) },
        },
      }),
    ],
  ),
);

/** The same for answers that say the same: sets and unordered lists of items are sorted, errors are their names. */
async function answerOf(port: number, operation: string, body: Json): Promise<unknown> {
  const answer = await call(port, operation, body);
  const json = answer.json();
  if (answer.status !== 200) return String(json.__type).replace(/.*#/, "");
  // Where nothing was there before, dynalite says so and the service says nothing.
  if (Object.keys((json.Attributes as Json | undefined) ?? { any: 1 }).length === 0) delete json.Attributes;
  return sorted(
    operation.startsWith("Batch") || operation === "Scan" ? { ...json, ScannedCount: undefined } : json,
    operation !== "Query",
  );
}

function sorted(value: unknown, items: boolean, name = ""): unknown {
  if (Array.isArray(value)) {
    const all = value.map((one) => sorted(one, items));
    const unordered = /^(SS|NS|BS)$/.test(name) || (items && (name === "Items" || name === TableName));
    return unordered ? all.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : all;
  }
  if (typeof value !== "object" || value === null) return value;
  const names = Object.keys(value).sort();
  return Object.fromEntries(names.map((one) => [one, sorted((value as Json)[one], items, one)]));
}

let runs = 0;

test("random histories are told as dynalite tells them", { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), async (steps) => {
      const run = `run-${runs++}-`;
      for (const [operation, body] of steps) {
        const request = body(run);
        const [ours, theirs] = await Promise.all([h.port, peerPort].map((port) => answerOf(port, operation, request)));
        expect(ours, `${operation} ${JSON.stringify(request)}`).toEqual(theirs);
      }
    }),
    { numRuns: 40 },
  );
});
