import {
  type AttributeValue,
  BatchExecuteStatementCommand,
  ExecuteStatementCommand,
  type ExecuteStatementCommandInput,
  ExecuteTransactionCommand,
} from "@aws-sdk/client-dynamodb";
import { unmarshall } from "@aws-sdk/util-dynamodb";
import { beforeAll, describe, expect, it } from "vitest";
import { createPlainTable, createTable, type Subject } from "../harness.js";

const MALFORMED = "Statement wasn't well formed, can't be processed: ";
const OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range";
const leftOver = (statement: string): [string, string] => [statement, `${MALFORMED}Unexpected token after expression`];
const aliased = (statement: string): [string, string] => [statement, "Aliasing is not supported"];
const malformed =
  (problem: string) =>
  (statement: string): [string, string] => [statement, `${MALFORMED}${problem}`];
/** What stands where a number should. */
const unreadable = (literal: string): [string, string] => [`SELECT * FROM <users> WHERE n = ${literal}`, MALFORMED];

/** PartiQL statements, whatever stands behind the router. @param indexes whether that can read indexes */
export function partiqlSuite(h: Subject, prefix: string, { indexes }: { readonly indexes: boolean }): void {
  const music = `${prefix}-music`;
  const users = `${prefix}-users`;
  const run = (Statement: string, rest: Partial<ExecuteStatementCommandInput> = {}) =>
    h.client.send(new ExecuteStatementCommand({ Statement, ConsistentRead: true, ...rest }));
  const write = (Statement: string, Parameters?: AttributeValue[]) =>
    h.client.send(new ExecuteStatementCommand({ Statement, ...(Parameters && { Parameters }) }));
  const rows = async (statement: string, rest?: Partial<ExecuteStatementCommandInput>) =>
    ((await run(statement, rest)).Items ?? []).map((item) => unmarshall(item));

  beforeAll(async () => {
    await createTable(h, {
      TableName: music,
      KeySchema: [
        { AttributeName: "artist", KeyType: "HASH" },
        { AttributeName: "year", KeyType: "RANGE" },
      ],
      AttributeDefinitions: [
        { AttributeName: "artist", AttributeType: "S" },
        { AttributeName: "year", AttributeType: "N" },
        { AttributeName: "title", AttributeType: "S" },
      ],
      LocalSecondaryIndexes: [
        {
          IndexName: "by-title",
          KeySchema: [
            { AttributeName: "artist", KeyType: "HASH" },
            { AttributeName: "title", KeyType: "RANGE" },
          ],
          Projection: { ProjectionType: "KEYS_ONLY" },
        },
      ],
      BillingMode: "PAY_PER_REQUEST",
    });
    await createPlainTable(h, users);
    for (const artist of ["ada", "bob", "cyd"]) {
      for (let year = 2000; year < 2010; year++) {
        const title = `t${9 - (year % 10)}`;
        await write(
          `INSERT INTO "${music}" VALUE {'artist': ?, 'year': ?, 'title': ?, 'info': {'sold': ${year % 4}, 'tags': ['live']}}`,
          [{ S: artist }, { N: String(year) }, { S: title }],
        );
      }
    }
  });

  describe("a SELECT", () => {
    it("reads one item, a range, or what a filter leaves of it", async () => {
      expect(await rows(`SELECT * FROM "${music}" WHERE artist = 'ada' AND year = 2003`)).toEqual([
        { artist: "ada", year: 2003, title: "t6", info: { sold: 3, tags: ["live"] } },
      ]);
      const years = async (where: string) =>
        (await rows(`select year from "${music}" where ${where}`)).map(({ year }) => year);
      expect(await years("artist = 'ada' AND year BETWEEN 2002 AND 2004")).toEqual([2002, 2003, 2004]);
      expect(await years("2007 < year AND artist = 'ada'")).toEqual([2008, 2009]);
      expect(await years("artist = 'ada' AND info.sold >= 2 AND year < 2006")).toEqual([2002, 2003]);
      expect(await years("artist = 'ada' AND (year = 2001 OR year = 2005)")).toEqual([2001, 2005]);
      expect(await years("artist = 'ada' AND NOT info.sold IN [0, 1, 2]")).toEqual([2003, 2007]);
      expect(await years("artist = 'ada' AND info.tags[0] = 'live' AND year != 2000 ORDER BY year DESC")).toEqual([
        2009, 2008, 2007, 2006, 2005, 2004, 2003, 2002, 2001,
      ]);
      expect(await years("artist = 'nobody'")).toEqual([]);
    });

    it("names what it was asked for by its last step", async () => {
      expect(
        await rows(`SELECT "artist", info.sold, info['tags'][0] FROM "${music}" WHERE artist='bob' AND year=2001`),
      ).toEqual([{ artist: "bob", sold: 1, "tags[0]": "live" }]);
    });

    it("reads several partition keys, in the order that is asked for", async () => {
      const statement = `SELECT artist, year FROM "${music}" WHERE artist IN ['cyd', 'ada'] AND year >= 2008`;
      const of = (...artists: string[]) => artists.flatMap((artist) => [2008, 2009].map((year) => ({ artist, year })));
      expect(await rows(statement)).toEqual(of("ada", "cyd"));
      // The service reads a partition backwards where only its key is ordered by.
      expect(await rows(`${statement} ORDER BY artist`)).toEqual(of("cyd", "ada").reverse());
      expect(await rows(`${statement} ORDER BY artist DESC`)).toEqual(of("ada", "cyd").reverse());
      expect(await rows(`${statement} ORDER BY artist DESC, year`)).toEqual(of("cyd", "ada"));
      expect(await rows(`${statement} ORDER BY artist DESC, year DESC`)).toEqual(of("ada", "cyd").reverse());
    });

    describe("with an OR", () => {
      const found = async (where: string, rest: Partial<ExecuteStatementCommandInput> = {}) =>
        (await rows(`SELECT * FROM "${music}" WHERE ${where}`, rest)).map(({ artist, year }) => `${artist} ${year}`);
      const cost = async (where: string) =>
        (await run(`SELECT * FROM "${music}" WHERE ${where}`, { ReturnConsumedCapacity: "TOTAL" })).ConsumedCapacity
          ?.CapacityUnits;
      const overlapping = {
        name: "ValidationException",
        message: "Overlapping conditions with range keys are not supported in where clause",
      };

      it.each<[string, string[], number]>([
        ["artist = 'ada' AND (year = 2001 OR year = 2005)", ["ada 2001", "ada 2005"], 2],
        ["artist = 'ada' AND year IN [2005, 2001]", ["ada 2001", "ada 2005"], 2],
        ["artist = 'bob' AND year = 2001 OR artist = 'ada' AND year > 2007", ["ada 2008", "ada 2009", "bob 2001"], 2],
        [
          "(artist = 'bob' OR 'ada' = artist) AND (year < 2001 OR year = 2007)",
          ["ada 2000", "ada 2007", "bob 2000", "bob 2007"],
          4,
        ],
        ["artist = 'ada' AND year >= 2003 AND year < 2005", ["ada 2003", "ada 2004"], 1],
        ["artist = 'ada' AND artist = 'ada' AND year = 2003", ["ada 2003"], 1],
        ["artist = 'ada' AND year = 2003 OR artist = 'bob' AND info.sold = 3", ["ada 2003", "bob 2003", "bob 2007"], 2],
        ["artist = 'ada' AND (info.sold = 3 OR title = 't9')", ["ada 2000", "ada 2003", "ada 2007"], 1],
        ["artist = 'ada' AND year = 2003 AND year = 2004", [], 1],
      ])("reads what it names, each item once: %s", async (where, wanted, units) => {
        expect(await found(where)).toEqual(wanted);
        expect(await cost(where)).toBe(units);
      });

      it.each([
        "artist = 'ada' OR artist = 'ada'",
        "artist IN ['ada', 'ada']",
        "artist = 'ada' AND (year > 2000 OR year < 2005)",
        "artist = 'ada' AND (year = 2001 OR info.sold = 2)",
        "artist = 'ada' AND info.sold = 1 OR artist = 'ada' AND info.sold = 2",
        "artist = 'ada' AND title <> 't1' OR artist = 'ada' AND year = 2002",
      ])("does not read what overlaps: %s", async (where) => {
        await expect(found(where)).rejects.toMatchObject(overlapping);
      });

      it.each<[string, number]>([
        ["artist = 'ada' AND NOT year = 2001", 9],
        ["artist = 'ada' AND year <> 2001", 9],
        ["artist = 'ada' AND NOT year IN [2001, 2003]", 8],
        ["artist = 'ada' AND NOT (year = 2001)", 9],
      ])("unless what overlaps is a sort key that is not to be: %s", async (where, count) => {
        const years = await found(`${where} OR artist = 'ada' AND year = 2002`);
        expect(years).toHaveLength(count);
        expect(new Set(years).size).toBe(count);
      });

      it.each<[string, number]>([
        ["artist = 'ada' OR info.sold = 3", 14],
        ["artist = 'ada' OR year = 2003", 12],
        ["artist = 'ada' AND artist = 'bob'", 0],
        ["NOT artist = 'ada'", 20],
      ])("looks at everything where a branch names no key, or two: %s", async (where, count) => {
        const all = await found(where);
        expect(all).toHaveLength(count);
        expect(new Set(all).size).toBe(count);
      });

      it("goes on from one range in the next", async () => {
        const seen: string[] = [];
        let NextToken: string | undefined;
        do {
          const page: Awaited<ReturnType<typeof run>> = await run(
            `SELECT * FROM "${music}" WHERE artist IN ['ada', 'cyd'] AND (year < 2002 OR year > 2007) ORDER BY artist, year DESC`,
            { Limit: 3, ...(NextToken !== undefined && { NextToken }) },
          );
          seen.push(...(page.Items ?? []).map((item) => `${item.artist?.S} ${item.year?.N}`));
          NextToken = page.NextToken;
        } while (NextToken !== undefined);
        const of = (artist: string) => [2009, 2008, 2001, 2000].map((year) => `${artist} ${year}`);
        expect(seen).toEqual([...of("ada"), ...of("cyd")]);
      });
    });

    it("without a key looks at everything", async () => {
      const found = await rows(`SELECT artist FROM "${music}" WHERE begins_with(title, 't1') AND size(info.tags) = 1`);
      expect(found.map(({ artist }) => artist).sort()).toEqual(["ada", "bob", "cyd"]);
      const typed = `attribute_type(title, 'S') AND contains(artist, 'd') AND info IS STRUCT AND nope IS MISSING`;
      expect(await rows(`SELECT * FROM "${music}" WHERE ${typed} AND info.sold IS NOT NULL`)).toHaveLength(20);
    });

    if (indexes) {
      it("reads an index", async () => {
        const found = await rows(`SELECT * FROM "${music}"."by-title" WHERE artist = 'ada' AND title < 't3'`);
        expect(found).toEqual([
          { artist: "ada", year: 2009, title: "t0" },
          { artist: "ada", year: 2008, title: "t1" },
          { artist: "ada", year: 2007, title: "t2" },
        ]);
        const hidden = `SELECT info FROM "${music}"."by-title" WHERE artist = 'ada'`;
        expect(await rows(`${hidden} AND title < 't1'`)).toHaveLength(1);
        await expect(rows(`${hidden} AND info.sold = 1`)).rejects.toThrow(
          "One or more parameter values were invalid: Secondary index by-title does not project one or more filter attributes: [info]",
        );
        await expect(rows(`${hidden} AND info.sold = 1 AND b = 1`)).rejects.toThrow("filter attributes: [b, info]");
        expect(await rows(`SELECT * FROM "${music}"."by-title" WHERE info.sold = 1`)).toEqual([]);
      });
    }

    it("goes on where it was, item by item, and for this statement alone", async () => {
      for (const where of ["WHERE artist IN ['ada', 'bob', 'cyd']", "", "WHERE info.sold = 1"]) {
        const seen: string[] = [];
        let token: string | undefined;
        let pages = 0;
        do {
          const page = await run(`SELECT * FROM "${music}" ${where}`, {
            Limit: 4,
            ...(token !== undefined && { NextToken: token }),
          });
          seen.push(...(page.Items ?? []).map((item) => `${item.artist?.S} ${item.year?.N}`));
          token = page.NextToken;
          pages++;
        } while (token !== undefined);
        expect(pages).toBeGreaterThan(7);
        expect(new Set(seen).size).toBe(seen.length);
        expect(seen).toHaveLength(where.includes("sold") ? 9 : 30);
      }
      const { NextToken } = await run(`SELECT * FROM "${music}"`, { Limit: 1 });
      await expect(run(`SELECT artist FROM "${music}"`, { NextToken: NextToken as string })).rejects.toThrow(
        "NextToken does not match request",
      );
      await expect(run(`SELECT artist FROM "${music}"`, { NextToken: "bm8=" })).rejects.toThrow("Invalid NextToken");
    });

    it("tells what it cost", async () => {
      const answer = await run(`SELECT * FROM "${music}" WHERE artist = 'ada'`, { ReturnConsumedCapacity: "TOTAL" });
      expect(answer.ConsumedCapacity).toEqual({ TableName: music, CapacityUnits: 1 });
    });
  });

  describe("a write", () => {
    it("inserts what is not there, and only that", async () => {
      const insert = `INSERT INTO "${users}" VALUE {'id': 'ann', 'n': -1.50, 's': <<'a','b'>>, 'l': [true, null, {'x': 'it''s'}]}`;
      expect((await write(insert)).Items).toEqual([]);
      expect((await rows(`SELECT * FROM "${users}" WHERE id = 'ann'`))[0]).toEqual({
        id: "ann",
        n: -1.5,
        s: new Set(["a", "b"]),
        l: [true, null, { x: "it's" }],
      });
      await expect(write(insert)).rejects.toMatchObject({
        name: "DuplicateItemException",
        message: "Duplicate primary key exists in table",
      });
    });

    it("updates what is there, and returns what it is asked for", async () => {
      await write(`INSERT INTO "${users}" VALUE {'id':'ben','n':1,'tags':<<'x'>>,'list':[1,2,3],'map':{'a':1,'b':2}}`);
      const update = async (rest: string, parameters?: AttributeValue[]) =>
        (await write(`UPDATE "${users}" ${rest}`, parameters)).Items?.map((item) => unmarshall(item));
      expect(
        await update(
          `SET n = n + 4 SET tags = set_add(tags, <<'y'>>), "list" = list_append("list", [4]) REMOVE map.a WHERE id = 'ben' RETURNING ALL NEW *`,
        ),
      ).toEqual([{ id: "ben", n: 5, tags: new Set(["x", "y"]), list: [1, 2, 3, 4], map: { b: 2 } }]);
      expect(
        await update(`SET "list"[2] = ?, "list"[0] = ? WHERE id = 'ben' AND n = 5 RETURNING MODIFIED OLD *`, [
          { S: "c" },
          { S: "a" },
        ]),
      ).toEqual([{ list: [1, 3] }]);
      expect(await update("REMOVE n WHERE id = 'ben' RETURNING MODIFIED NEW *")).toEqual([]);
      expect(await update("SET tags = set_delete(tags, <<'x','y'>>) WHERE id = 'ben'")).toEqual([]);
      for (const where of ["id = 'ben' AND n = 5", "id = 'nobody'"]) {
        await expect(update(`SET n = 1 WHERE ${where}`)).rejects.toMatchObject({
          name: "ConditionalCheckFailedException",
          message: "The conditional request failed",
        });
      }
      expect(await rows(`SELECT * FROM "${users}" WHERE id = 'nobody'`)).toEqual([]);
    });

    it("deletes, unless more is asked of an item that is there", async () => {
      await write(`INSERT INTO "${users}" VALUE {'id':'cat','name':'alpha'}`);
      const remove = (rest: string) => write(`DELETE FROM "${users}" WHERE ${rest}`);
      await expect(remove("id = 'cat' AND name = 'beta'")).rejects.toMatchObject({
        name: "ConditionalCheckFailedException",
      });
      expect((await remove("id = 'cat' AND NOT begins_with(name, 'z') RETURNING ALL OLD *")).Items).toEqual([
        { id: { S: "cat" }, name: { S: "alpha" } },
      ]);
      expect((await remove("id = 'cat' AND name = 'beta' RETURNING ALL OLD *")).Items).toEqual([]);
    });
  });

  it("reads comments of both kinds, and updates that begin with FROM", async () => {
    await write(`INSERT INTO "${users}" VALUE {'id':'fay','a':1,'b':'bee'} -- a note`);
    const update = async (statement: string, parameters?: AttributeValue[]) =>
      (await write(statement, parameters)).Items?.map((item) => unmarshall(item));
    expect(
      await update(
        `-- a note\nfrom "${users}" /* of * people */ where id = ? AND a = 1 set c = ? REMOVE b RETURNING ALL NEW *`,
        [{ S: "fay" }, { N: "7" }],
      ),
    ).toEqual([{ id: "fay", a: 1, c: 7 }]);
    await expect(update(`FROM "${users}" WHERE id = 'fay' AND a = 2 SET c = 1`)).rejects.toMatchObject({
      name: "ConditionalCheckFailedException",
    });
    await expect(update(`FROM "${users}" WHERE id = 'nobody' REMOVE c`)).rejects.toMatchObject({
      name: "ConditionalCheckFailedException",
    });
  });

  it("asks in WHERE whether something is there", async () => {
    await write(`INSERT INTO "${users}" VALUE {'id':'gus','m':{'sub':'x'},'flag':true,'nil':NULL}`);
    const found = async (where: string) =>
      (await rows(`SELECT id FROM "${users}" WHERE id = 'gus' AND ${where}`)).length;
    for (const where of [
      "attribute_exists(m)",
      'ATTRIBUTE_EXISTS("m".sub)',
      "NOT attribute_exists(nope)",
      "attribute_not_exists(m.nope)",
      "(attribute_exists(nope) OR attribute_exists(m))",
      "attribute_exists(m) = true",
      "attribute_exists(nope) <> true",
      "true = attribute_exists(m)",
      "attribute_exists(m) <> 1",
      "(flag = false OR nope = 1) = false",
      "attribute_exists(nope) IN [true, false]",
      "attribute_exists(nope) NOT IN [true, 1]",
      "attribute_exists(m) = attribute_exists(flag)",
      "attribute_exists(m) = flag",
      "only IS MISSING",
      "attribute_type(m, 'M')",
      "nil IS NULL",
    ])
      expect(await found(where), where).toBe(1);
    for (const where of [
      "attribute_exists(nope)",
      "attribute_not_exists(m)",
      "attribute_exists(m) = false",
      "attribute_exists(m) = 1",
      "attribute_exists(m) = m",
      "(attribute_exists(m) = true) = false",
      "m IS NULL",
    ])
      expect(await found(where), where).toBe(0);
    const once = `UPDATE "${users}" SET y = 1 WHERE id = 'gus' AND attribute_not_exists(y)`;
    await write(once);
    await expect(write(once)).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
  });

  it.each<[string, string]>([
    ...["SELEC * FROM t", "UPDATE <users> WHERE id = 'a'", "UPDATE orders-dev SET a = 1"].map(
      malformed("Expected data manipulation"),
    ),
    ...[
      "SELECT * FROM <users> WHERE",
      "SELECT * FROM <users> WHERE;",
      "UPDATE <users> SET a = 1 WHERE",
      "DELETE FROM <users> WHERE",
      "SELECT * FROM <users> WHERE NOT",
      "SELECT * FROM <users> WHERE (",
      'SELECT * FROM "nowhere" WHERE',
      "SELECT * FROM",
    ].map(malformed("Unexpected term")),
    ...[
      "SELECT * FROM <users> WHERE id = 'a' AND",
      "SELECT * FROM <users> WHERE id = 'a' OR",
      "SELECT * FROM <users> WHERE id =;",
    ].map(malformed("Missing right-hand side expression of infix operator")),
    ...[
      "DELETE FROM",
      "DELETE FROM;",
      "DELETE FROM WHERE id = 'a'",
      "UPDATE user SET a = 1",
      "INSERT INTO table VALUE {}",
    ].map(malformed("Expected identifier for simple path")),
    ...["UPDATE <users> SET size = 1 WHERE id = 'a'", "UPDATE <users> REMOVE date WHERE id = 'a'"].map(
      malformed("Expected identifier for simple path"),
    ),
    ...[
      "SELECT * FROM <users> WHERE ORDER BY id",
      "SELECT * FROM <users> WHERE user = 'a'",
      "SELECT level FROM <users>",
      "SELECT * FROM user",
      "SELECT * FROM <users> WHERE id = Value",
      "SELECT * FROM <users> WHERE contains(date, '2026')",
      "INSERT INTO <users> (key, value) VALUES (?, ?)",
      "SELECT * FROM <users> WHERE id = 'a' ORDER BY date",
    ].map(malformed("Unexpected keyword")),
    ...["SELECT * FROM <users> WHERE IS NULL", "SELECT * FROM <users> WHERE id = LIKE", "SELECT AND FROM <users>"].map(
      malformed("Unexpected operator"),
    ),
    ...["SELECT m.size FROM <users>", "SELECT * FROM <users> WHERE attribute_exists(m.inner)"].map(
      malformed("Invalid path dot component"),
    ),
    ["SELECT id FROM <users>\nLIMIT 5", "Unsupported clause: LIMIT at 2:7:1"],
    ["SELECT * FROM <users> WHERE id = 'a' AND n = 5 + 5", "Unsupported operator in Condition Expression. Operator: +"],
    ["SELECT * FROM <users> WHERE x IS FOO", `${MALFORMED}Expected type name`],
    ["SELECT * FROM <users> WHERE n BETWEEN 1 OR 2", `${MALFORMED}Expected AND after BETWEEN`],
    ["SELECT id WHERE id = 'a'", `${MALFORMED}Expected FROM after SELECT list`],
    ["DELETE <users>", `${MALFORMED}Expected FROM after DELETE`],
    ["SELECT * FROM <users> WHERE id", "WHERE clause must contain an expression that resolves to a boolean"],
    ["INSERT INTO <users> (id, name) VALUES ('a', 'b')", `${MALFORMED}Unexpected token after expression`],
    [
      "SELECT l[2147483648] FROM <users>",
      "List index is not within the allowable range; index: [2147483648] at 1:10:10",
    ],
    ["SELECT l[-1] FROM <users>", "List index is not within the allowable range; index: [-1] at 1:11:1"],
    ["UPDATE <users>\nSET x = [?] WHERE id = 'a'", "Unsupported data type: Parameter under key root[0] at 2:10:1"],
    [
      "INSERT INTO <users> VALUE\n{'id': 'a', 'm': {'k': ?}}",
      "Unsupported data type: Parameter under key root.k at 2:24:1",
    ],
    [
      "UPDATE <users> SET n = 'a' + 1 WHERE id = 'a' AND nope = 'x'",
      "Incorrect operand type for operator or function; operator or function: +, operand type: S",
    ],
    [
      "SELECT * FROM <users> WHERE attribute_type(l, 1)",
      "Incorrect operand type for operator or function; operator or function: attribute_type, operand type: N",
    ],
    [
      "SELECT * FROM <users> WHERE attribute_type(l, 'LIST')",
      "Invalid attribute type name found; type: LIST, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}",
    ],
    [
      `SELECT * FROM <users> WHERE n IN [${Array.from({ length: 101 }, (_, i) => i).join()}]`,
      "The IN operator is provided with too many operands; number of operands: 101",
    ],
    ["SELECT * FROM <users> WHERE id = true", "Key value must be of type S, N, or B. Key name: id, Key type: BOOL"],
    [
      "DELETE FROM <users> WHERE id = 'a' AND id = 'b'",
      "Multiple conditions on same key id. Only single item Update/Insert/Delete are supported",
    ],
    [
      `SELECT * FROM <users> WHERE id IN [${Array.from({ length: 51 }, (_, i) => `'${i}'`).join()}]`,
      "Too many decomposed read operations for a given query.",
    ],
    ["SELECT * FROM <users> WHERE id = ?", "Number of parameters in request and statement don't match."],
    ["SELECT *, id FROM <users>", "Other attributes should not be present in the projection when '*' is used."],
    ["SELECT id AS x FROM <users>", "Aliasing is not supported"],
    ["SELECT a.b, c.b FROM <users>", "Duplicate identifiers in select clause: b"],
    [
      'SELECT * FROM "x"',
      "Table name should be within the length [3, 255] and only contain 'a-z', 'A-Z', '0-9', '-', '_', '.'.",
    ],
    [
      "SELECT * FROM <users> WHERE id = 5",
      "Key attribute's data type should match its data type in table's schema: Key id",
    ],
    ["SELECT * FROM <users> ORDER BY id", "Must have WHERE clause in the statement when using ORDER BY clause."],
    [
      "SELECT * FROM <users> WHERE n = 1 ORDER BY id",
      "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
    ],
    [
      "SELECT * FROM <users> WHERE id = 'a' ORDER BY n",
      "Attribute n in ORDER BY clause must be part of the primary key",
    ],
    ["SELECT * FROM <users>.\"nope\" WHERE id = 'a'", "The table does not have the specified index"],
    ['SELECT * FROM <users>."a"."b"', "A path may contain at most 2 components in the FROM clause"],
    ...['""', '"".<users>', '<users>.""'].map((from): [string, string] => [
      `SELECT * FROM ${from} WHERE id = 'a'`,
      "Path component cannot be an empty string",
    ]),
    [
      "INSERT INTO <users>.\"nope\" VALUE {'id': 'x'}",
      `FROM clause may only contain a single table name in data manipulation statements at 1:13:${users.length + 2}`,
    ],
    [
      `UPDATE <users>\nSET "m" = set_add("m", 'x') WHERE id = 'a'`,
      "The second argument to SET_ADD must be a value with type SET at 2:19:3",
    ],
    ...(["{'a':", "["] as const).map((open): [string, string] => [
      `UPDATE <users> SET d = ${open.repeat(32)}1${(open === "[" ? "]" : "}").repeat(32)} WHERE id = 'a'`,
      `Nesting Levels have exceeded supported limits under root${(open === "[" ? "[0]" : ".a").repeat(32)}`,
    ]),
    ["INSERT INTO <users> VALUE {'n': 1}", "Key attribute should be present in the item: Key id"],
    ["INSERT INTO <users> VALUE {'id': 'x', 's': <<>>}", "Empty bags are not supported"],
    [
      "UPDATE <users> SET n = set_add(n, <<2, 2.0>>) WHERE id = 'a'",
      "One or more parameter values were invalid: Input collection [2, 2.0] contains duplicates! under root",
    ],
    [
      "SELECT * FROM <users> WHERE attribute_exists(m) > false",
      "Incorrect operand type for operator or function; operator or function: >, operand type: BOOL",
    ],
    ["INSERT INTO <users> VALUE {'id': 'x'} RETURNING ALL OLD *", "RETURNING is not supported in INSERT"],
    [
      "UPDATE <users> SET a = 1 WHERE n = 1",
      "Where clause does not contain a mandatory equality on all key attributes",
    ],
    [
      "UPDATE <users> SET id = 'b' WHERE id = 'a'",
      "One or more parameter values were invalid: Cannot update attribute id. This attribute is part of the key",
    ],
    [
      "UPDATE <users> SET a.b = 1 SET a = 2 WHERE id = 'a'",
      "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a]",
    ],
    [
      "UPDATE <users> \nSET a = set_add(b, <<1>>) WHERE id = 'a'",
      "The first argument to SET_ADD must equal the assignment value at 2:9:7",
    ],
    [
      "UPDATE <users>\nSET a = set_delete(<<1>>, <<1>>) WHERE id = 'a'",
      "The first argument to SET_DELETE must equal the assignment value at 2:9:10",
    ],
    [
      "UPDATE <users>\nSET a = set_add(a, 'x') WHERE id = 'a'",
      "The second argument to SET_ADD must be a value with type SET at 2:17:1",
    ],
    ["UPDATE <users>\nSET a = set_add(a) WHERE id = 'a'", "SET_ADD must have exactly two arguments at 2:9:7"],
    ["SELECT * FROM <users> WHERE\nset_add(a, 1) = a", "Unrecognized function: set_add at 2:1:7"],
    ["SELECT * FROM <users> WHERE\nEXISTS(a)", "Unrecognized function: exists at 2:1:6"],
    ["SELECT\nattribute_exists(a) FROM <users>", "Unexpected path component at 2:1:16"],
    [
      "INSERT INTO <users> VALUE {'id': 'x', 's':\nset_add(<<1>>, <<2>>)}",
      "Unsupported data type: set_add under key root at 2:1:7",
    ],
    [
      "SELECT * FROM <users> WHERE attribute_exists('a')",
      "Operator or function requires a document path; operator or function: attribute_exists",
    ],
    [
      "SELECT * FROM <users> WHERE attribute_not_exists()",
      "Incorrect number of operands for operator or function; operator or function: attribute_not_exists, number of operands: 0",
    ],
    [
      "SELECT * FROM <users> WHERE n < true",
      "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
    ],
    [
      "SELECT * FROM <users> WHERE n BETWEEN [1] AND 2",
      "Incorrect operand type for operator or function; operator or function: BETWEEN, operand type: L",
    ],
    ...["SELECT * FROM <users> WHERE id = 'a' foo", "SELECT * FROM <users> WHERE id = 'a')"].map(leftOver),
    ...["UPDATE <users> SET a = 1 WHERE id = 'a' b", "DELETE FROM <users> WHERE id = 'a' ORDER BY id"].map(leftOver),
    ...["INSERT INTO <users> t VALUE {'id': 'x'}", "SELECT * FROM <users> ORDER BY id WHERE id = 'a'"].map(leftOver),
    ...["SELECT * FROM <users> t WHERE id = 'a'", "SELECT * FROM <users> AS t"].map(aliased),
    ...["UPDATE <users> t SET a = 1 WHERE id = 'a'", "DELETE FROM <users> t WHERE id = 'a'"].map(aliased),
    ...["1e2147483648", "1.5e-2147483647", "1 # note", "1 /* note"].map(unreadable),
    ["SELECT * FROM <users> WHERE n = 1e126", `${OVERFLOW} under root`],
    ["INSERT INTO <users> VALUE {'id': 'x', 'm': {'n': [1, 1e126]}}", `${OVERFLOW} under root.n[1]`],
    [
      "DELETE FROM <users> WHERE id = 'a' RETURNING MODIFIED NEW *",
      "Invalid returning clause: RETURNING MODIFIED NEW *. Only RETURNING ALL OLD * is allowed in DELETE statements.",
    ],
    ["DELETE FROM <users>", "Where clause does not contain a mandatory equality on all key attributes"],
    [
      "DELETE FROM <users> WHERE id = 'a' AND exists(SELECT * FROM <users>)",
      "EXISTS can only be used in ExecuteTransaction write requests.",
    ],
    ["SELECT * FROM <users> WHERE id = MISSING", "MISSING must be compared using IS operator"],
  ])("%s is refused", async (statement, message) => {
    await expect(run(statement.replaceAll("<users>", `"${users}"`))).rejects.toMatchObject({
      name: "ValidationException",
      message,
    });
  });

  it("is answered at once, however it is nested", async () => {
    const deep = (open: string, close: string, inside: string) =>
      `SELECT * FROM "${users}" WHERE ${open.repeat(2000)}${inside}${close.repeat(2000)}`;
    await expect(run(deep("", "]", `a IN ${"[".repeat(2000)}1`))).rejects.toThrow(
      `Nesting Levels have exceeded supported limits under root${"[0]".repeat(32)}`,
    );
    for (const statement of [
      deep("(", ")", "a = 1"),
      deep("NOT ", "", "a = 1"),
      `UPDATE "${users}" SET a = 1${"+1".repeat(3000)} WHERE id = 'a'`,
    ]) {
      await expect(run(statement)).rejects.toThrow("too many nested levels");
    }
  });

  describe("a batch", () => {
    it("carries out each statement, or says why not", async () => {
      const batch = async (...statements: [string, AttributeValue[]?][]) =>
        (
          await h.client.send(
            new BatchExecuteStatementCommand({
              Statements: statements.map(([Statement, Parameters]) => ({
                Statement,
                ConsistentRead: Statement.startsWith("SELECT"),
                ...(Parameters && { Parameters }),
              })),
            }),
          )
        ).Responses;
      expect(
        await batch(
          [`INSERT INTO "${users}" VALUE {'id': ?, 'v': 1}`, [{ S: "batch-1" }]],
          [`INSERT INTO "${users}" VALUE {'id': 'batch-2'}`],
          [`UPDATE "${users}" SET v = 1 WHERE id = 'batch-none'`],
          ["INSERT INTO \"nowhere\" VALUE {'id': 'x'}"],
          [`UPDATE "${users}" SET v = ? WHERE id = 'x'`],
        ),
      ).toEqual([
        { TableName: users },
        { TableName: users },
        { TableName: users, Error: { Code: "ConditionalCheckFailed", Message: "The conditional request failed" } },
        { TableName: "nowhere", Error: { Code: "ResourceNotFound", Message: "Requested resource not found" } },
        {
          Error: { Code: "ValidationError", Message: "Number of parameters in request and statement don't match." },
        },
      ]);
      expect(
        await batch(
          [`SELECT * FROM "${users}" WHERE id = 'batch-1'`],
          [`SELECT * FROM "${users}" WHERE id = 'batch-0'`],
          [`SELECT * FROM "${music}" WHERE artist = 'ada'`],
        ),
      ).toEqual([
        { TableName: users, Item: { id: { S: "batch-1" }, v: { N: "1" } } },
        { TableName: users },
        {
          TableName: music,
          Error: {
            Code: "ValidationError",
            Message: "Select statements within BatchExecuteStatement must specify the primary key in the where clause.",
          },
        },
      ]);
    });
  });

  describe("a batch that fails in part", () => {
    const insert = (id: string) => ({
      Statement: `INSERT INTO "${users}" VALUE {'id': '${id}'}`,
      ReturnValuesOnConditionCheckFailure: "ALL_OLD" as const,
    });
    const batch = (...Statements: { Statement: string }[]) =>
      h.client.send(new BatchExecuteStatementCommand({ Statements, ReturnConsumedCapacity: "INDEXES" }));
    const duplicate = { Code: "DuplicateItem", Message: "Duplicate primary key exists in table" };

    it("is charged for what failed with what did not, by what is there, and returns none of it", async () => {
      await batch(insert("vain-small"));
      await run(`INSERT INTO "${users}" VALUE {'id': 'vain-large', 'text': '${"x".repeat(3000)}'}`);
      const { Responses, ConsumedCapacity } = await batch(
        insert("vain-small"),
        insert("vain-large"),
        insert("vain-new"),
      );
      expect(Responses).toEqual([
        { TableName: users, Error: duplicate },
        { TableName: users, Error: duplicate },
        { TableName: users },
      ]);
      expect(ConsumedCapacity).toEqual([{ TableName: users, CapacityUnits: 5, Table: { CapacityUnits: 1 } }]);
    });

    it("tells no units where nothing was done", async () => {
      await batch(insert("vain-again"));
      expect(await batch(insert("vain-again"))).not.toHaveProperty("ConsumedCapacity");
    });
  });

  it.each(["INSERT INTO ? VALUE {'id': 'one'}", "DELETE FROM ? WHERE id = 'one'", "SELECT * FROM ? WHERE id = 'one'"])(
    "a batch may not say twice: %s",
    async (text) => {
      const Statement = text.replace("?", `"${users}"`);
      const twice = new BatchExecuteStatementCommand({ Statements: [{ Statement }, { Statement }] });
      await expect(h.client.send(twice)).rejects.toMatchObject({
        name: "ValidationException",
        message: "Provided list of item keys contains duplicates",
      });
    },
  );

  describe("a transaction", () => {
    const transact = (statements: readonly (string | [string, AttributeValue[]])[], ClientRequestToken?: string) =>
      h.client.send(
        new ExecuteTransactionCommand({
          TransactStatements: statements.map((one) => {
            const [Statement, Parameters] = typeof one === "string" ? [one] : one;
            return { Statement, ...(Parameters && { Parameters }) };
          }),
          ...(ClientRequestToken !== undefined && { ClientRequestToken }),
        }),
      );
    const select = (id: string) => `SELECT id, v FROM "${users}" WHERE id = '${id}'`;

    it("carries out all of its statements, or none", async () => {
      const move = [
        [`INSERT INTO "${users}" VALUE {'id': ?, 'v': 1}`, [{ S: "tx-1" }]],
        `INSERT INTO "${users}" VALUE {'id': 'tx-2', 'v': 2}`,
      ] as [string | [string, AttributeValue[]], string];
      await transact(move, `${prefix}-once`);
      // The same request under the same token is not carried out again.
      await transact(move, `${prefix}-once`);
      await transact([
        `UPDATE "${users}" SET v = v + 10 WHERE id = 'tx-1' AND v = 1`,
        `EXISTS(SELECT * FROM "${users}" WHERE id = 'tx-2' AND v < 3)`,
        `DELETE FROM "${users}" WHERE id = 'tx-3'`,
      ]);
      const failed = transact([
        `UPDATE "${users}" SET v = 0 WHERE id = 'tx-1'`,
        `INSERT INTO "${users}" VALUE {'id': 'tx-2'}`,
        `EXISTS(SELECT * FROM "${users}" WHERE id = 'tx-4' AND v = 1)`,
      ]);
      await expect(failed).rejects.toMatchObject({
        name: "TransactionCanceledException",
        message: expect.stringContaining("[None, DuplicateItem, ConditionalCheckFailed]"),
        CancellationReasons: [
          { Code: "None" },
          { Code: "DuplicateItem", Message: "Duplicate primary key exists in table" },
          { Code: "ConditionalCheckFailed", Message: "The conditional request failed" },
        ],
      });
      const { Responses } = await transact([select("tx-1"), select("tx-2"), select("tx-5")]);
      expect(Responses).toEqual([
        { Item: { id: { S: "tx-1" }, v: { N: "11" } } },
        { Item: { id: { S: "tx-2" }, v: { N: "2" } } },
        {},
      ]);
    });

    it.each<[string[], string]>([
      [
        ["SELECT * FROM <users> WHERE id = 'a'", "DELETE FROM <users> WHERE id = 'b'"],
        "ExecuteTransaction API does not support both read and write operations in the same request.",
      ],
      [
        ["SELECT * FROM <users> WHERE v = 1"],
        "Validation failed in TransactStatements[0]: Select statements within ExecuteTransaction must specify the primary key in the where clause.",
      ],
      [
        ["SELECT * FROM <users> WHERE id = 'a'", "SELECT v FROM <users> WHERE id = 'a'"],
        "Transaction request cannot include multiple operations on one item",
      ],
      [
        ["DELETE FROM <users> WHERE id = 'b'", "DELETE FROM <users> WHERE id = 'a' RETURNING ALL OLD *"],
        "Validation failed in TransactStatements[1]: RETURNING clause is not supported in ExecuteTransaction.",
      ],
      [
        ["SELECT * FROM <users> WHERE id = 'a' AND v = 1"],
        "Validation failed in TransactStatements[0]: Select statements within ExecuteTransaction must specify the primary key in the where clause.",
      ],
      [
        ["SELECT * FROM <users> WHERE id IN ['a', 'a']"],
        "Validation failed in TransactStatements[0]: Overlapping conditions with range keys are not supported in where clause",
      ],
      [
        ["SELECT * FROM <users> WHERE"],
        "Validation failed in TransactStatements[0]: Statement wasn't well formed, can't be processed: Unexpected term",
      ],
      [
        ["SELECT * FROM <users> WHERE id = 'a'", "SELECT * FROM <users> WHERE id = 'b' AND attribute_exists(v)"],
        "Validation failed in TransactStatements[1]: Select statements within ExecuteTransaction must specify the primary key in the where clause.",
      ],
      [
        ["EXISTS(SELECT * FROM <users> WHERE id = 'a')"],
        "Validation failed in TransactStatements[0]: EXISTS() must contain a single item read with additional condition",
      ],
      [
        ["EXISTS(SELECT v FROM <users> WHERE id IN ['a'] AND v = 1)"],
        "Validation failed in TransactStatements[0]: EXISTS() must contain a single item read with additional condition",
      ],
      [
        ["DELETE FROM \"nowhere\" WHERE id = 'a'", "DELETE FROM <users> WHERE id = 'a' RETURNING ALL OLD *"],
        "Validation failed in TransactStatements[1]: RETURNING clause is not supported in ExecuteTransaction.",
      ],
      [
        ["SELECT * FROM \"nowhere\" WHERE id = 'a'", "SELECT * FROM <users>.\"nope\" WHERE id = 'a'"],
        "Validation failed in TransactStatements[1]: Reads on indices are not supported within transactions.",
      ],
    ])("%j is refused", async (statements, message) => {
      const named = statements.map((one) => one.replace("<users>", `"${users}"`));
      await expect(transact(named)).rejects.toMatchObject({ name: "ValidationException", message });
    });

    const notThere: [string, string] = ["ResourceNotFound", "Requested resource not found"];
    const noKey: [string, string] = ["ValidationError", "The provided key element does not match the schema"];
    it.each<[string[], (readonly [string, string?])[]]>([
      [
        ["UPDATE <none> SET v = 1 WHERE id = 'a' RETURNING ALL NEW *", "DELETE FROM <users> WHERE id = 'a'"],
        [notThere, ["None"]],
      ],
      [
        ["SELECT * FROM <users> WHERE id = 'a'", "SELECT * FROM <none>.\"i\" WHERE id = 'a'"],
        [["None"], notThere],
      ],
      [["EXISTS(SELECT * FROM <none> WHERE id = 'a' AND v = 1)"], [notThere]],
      [
        [
          "UPDATE <users> SET v = 1 WHERE v = 2",
          "DELETE FROM <users> WHERE id IN ['a']",
          "DELETE FROM <users> WHERE id = 1",
          "DELETE FROM <users> WHERE id = 'a'",
          "DELETE FROM <users> WHERE id = 'a'",
        ],
        [noKey, noKey, noKey, ["None"], ["None"]],
      ],
      [
        ["INSERT INTO <users> VALUE {'v': 1}", "INSERT INTO <users> VALUE {'id': 1}"],
        [
          ["ValidationError", "One or more parameter values were invalid: Missing the key id in the item"],
          [
            "ValidationError",
            "One or more parameter values were invalid: Type mismatch for key id expected: S actual: N",
          ],
        ],
      ],
      [
        ["SELECT * FROM <users> WHERE id = 'a'", "SELECT * FROM <users> WHERE id = 1"],
        [["None"], noKey],
      ],
    ])("%j is cancelled", async (statements, reasons) => {
      const named = statements.map((one) => one.replace("<users>", `"${users}"`).replace("<none>", '"nowhere"'));
      await expect(transact(named)).rejects.toMatchObject({
        name: "TransactionCanceledException",
        message: expect.stringContaining(`[${reasons.map(([code]) => code).join(", ")}]`),
        CancellationReasons: reasons.map(([Code, Message]) => (Message === undefined ? { Code } : { Code, Message })),
      });
    });
  });
}
