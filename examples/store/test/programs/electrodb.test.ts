/** A small planner on ElectroDB: two entities in one table, driven through ElectroDB alone. */
import { Entity, Service } from "electrodb";
import { beforeAll, describe, expect, it } from "vitest";
import { createTable, wholeStore } from "../router/harness.js";

const h = wholeStore();
const TableName = "planner";

function planner() {
  const configuration = { client: h.client, table: TableName };
  const tasks = new Entity(
    {
      model: { entity: "task", version: "1", service: "planner" },
      attributes: {
        project: { type: "string", required: true },
        id: { type: "string", required: true },
        title: { type: "string", required: true },
        points: { type: "number", default: 1 },
        status: { type: ["open", "done"] as const, default: "open" },
        tags: { type: "set", items: "string" },
        comments: {
          type: "list",
          items: { type: "map", properties: { by: { type: "string" }, text: { type: "string" } } },
        },
        details: { type: "map", properties: { estimate: { type: "number" }, note: { type: "string" } } },
      },
      indexes: {
        primary: { pk: { field: "pk", composite: ["project"] }, sk: { field: "sk", composite: ["id"] } },
        byStatus: {
          index: "gsi1",
          pk: { field: "gsi1pk", composite: ["status"] },
          sk: { field: "gsi1sk", composite: ["project", "id"] },
        },
      },
    },
    configuration,
  );
  const people = new Entity(
    {
      model: { entity: "person", version: "1", service: "planner" },
      attributes: {
        project: { type: "string", required: true },
        email: { type: "string", required: true },
        name: { type: "string" },
        tasks: { type: "number" },
      },
      indexes: {
        primary: {
          collection: "staff",
          pk: { field: "pk", composite: ["project"] },
          sk: { field: "sk", composite: ["email"] },
        },
      },
    },
    configuration,
  );
  return { tasks, people, service: new Service({ people, tasks }, configuration) };
}

beforeAll(() =>
  createTable(h, {
    TableName,
    KeySchema: [
      { AttributeName: "pk", KeyType: "HASH" },
      { AttributeName: "sk", KeyType: "RANGE" },
    ],
    AttributeDefinitions: [
      { AttributeName: "pk", AttributeType: "S" },
      { AttributeName: "sk", AttributeType: "S" },
      { AttributeName: "gsi1pk", AttributeType: "S" },
      { AttributeName: "gsi1sk", AttributeType: "S" },
    ],
    GlobalSecondaryIndexes: [
      {
        IndexName: "gsi1",
        KeySchema: [
          { AttributeName: "gsi1pk", KeyType: "HASH" },
          { AttributeName: "gsi1sk", KeyType: "RANGE" },
        ],
        Projection: { ProjectionType: "ALL" },
      },
    ],
    BillingMode: "PAY_PER_REQUEST",
  }),
);

describe("ElectroDB", () => {
  it("creates once, patches what is there, and upserts", async () => {
    const { tasks } = planner();
    const task = { project: "moon", id: "t1", title: "build a rocket" };
    const { data: created } = await tasks.create({ ...task, tags: ["hard"], comments: [] }).go();
    expect(created).toMatchObject({ ...task, points: 1, status: "open", tags: ["hard"] });
    await expect(tasks.create(task).go()).rejects.toThrow("The conditional request failed");
    await expect(tasks.patch({ project: "moon", id: "none" }).set({ title: "x" }).go()).rejects.toThrow(
      "The conditional request failed",
    );
    const { data: patched } = await tasks
      .patch({ project: "moon", id: "t1" })
      .add({ points: 4, tags: ["fuel"] })
      .append({ comments: [{ by: "ada", text: "when?" }] })
      .set({ status: "done", details: { estimate: 12 } })
      .where(({ status }, { eq }) => eq(status, "open"))
      .go({ response: "all_new" });
    expect(patched).toMatchObject({ points: 5, status: "done", comments: [{ by: "ada", text: "when?" }] });
    const { data: nested } = await tasks
      .update({ project: "moon", id: "t1" })
      .data((attributes, { set, remove, del }) => {
        set(attributes.details.note, "steel");
        remove(attributes.details.estimate);
        del(attributes.tags, ["hard"]);
      })
      .go({ response: "all_new" });
    expect(nested).toMatchObject({ details: { note: "steel" }, tags: ["fuel"] });
    const { data: upserted } = await tasks
      .upsert({ project: "moon", id: "t9", title: "return" })
      .go({ response: "all_new" });
    expect(upserted).toMatchObject({ title: "return" });
  });

  it("queries collections of items, filters and pages through them", async () => {
    const { tasks, people, service } = planner();
    const many = Array.from({ length: 60 }, (_, i) => ({
      project: "mars",
      id: `t${String(i).padStart(2, "0")}`,
      title: `step ${i}`,
      points: i,
    }));
    expect((await tasks.put(many).go()).unprocessed).toEqual([]);
    await people.put({ project: "mars", email: "ada@example.test", name: "Ada" }).go();

    const { data: all } = await tasks.query.primary({ project: "mars" }).go({ pages: "all", consistent: true });
    expect(all.map(({ id }) => id)).toEqual(many.map(({ id }) => id));
    const { data: some } = await tasks.query
      .primary({ project: "mars" })
      .between({ id: "t10" }, { id: "t19" })
      .where(({ points }, { gte }) => gte(points, 15))
      .go({ consistent: true });
    expect(some.map(({ points }) => points)).toEqual([15, 16, 17, 18, 19]);
    const { data: begun } = await tasks.query
      .primary({ project: "mars" })
      .begins({ id: "t3" })
      .go({ order: "desc", consistent: true });
    expect(begun.map(({ id }) => id)).toEqual(
      many
        .slice(30, 40)
        .reverse()
        .map(({ id }) => id),
    );

    const paged: string[] = [];
    let cursor: string | null = null;
    do {
      const page: { data: { id: string }[]; cursor: string | null } = await tasks.query
        .primary({ project: "mars" })
        .go({ limit: 7, cursor, consistent: true });
      paged.push(...page.data.map(({ id }) => id));
      cursor = page.cursor;
    } while (cursor !== null);
    expect(paged).toEqual(many.map(({ id }) => id));

    const { data: staff } = await service.collections.staff({ project: "mars" }).go({ consistent: true });
    expect(staff.people.map(({ name }) => name)).toEqual(["Ada"]);
    const { data: got, unprocessed } = await tasks
      .get([
        { project: "mars", id: "t01" },
        { project: "mars", id: "t02" },
        { project: "mars", id: "never" },
      ])
      .go({ consistent: true });
    expect(got.map(({ id }) => id).sort()).toEqual(["t01", "t02"]);
    expect(unprocessed).toEqual([]);
    const { data: found } = await tasks.scan
      .where(({ title }, { contains }) => contains(title, "step 5"))
      .go({ pages: "all", consistent: true });
    expect(found).toHaveLength(11);

    await tasks.delete(many.map(({ project, id }) => ({ project, id }))).go();
    expect((await tasks.query.primary({ project: "mars" }).go({ pages: "all", consistent: true })).data).toEqual([]);
    await expect(tasks.remove({ project: "mars", id: "t01" }).go()).rejects.toThrow("The conditional request failed");
  });

  it("finds items by a global index, which follows them as they change", async () => {
    const { tasks } = planner();
    const ids = ["a", "b", "c", "d"];
    await tasks.put(ids.map((id) => ({ project: "venus", id, title: `task ${id}` }))).go();
    await tasks.patch({ project: "venus", id: "c" }).set({ status: "done" }).go();
    await tasks.remove({ project: "venus", id: "a" }).go();
    const found = async (status: "open" | "done") =>
      (await tasks.query.byStatus({ status, project: "venus" }).go({ pages: "all" })).data.map(({ id }) => id);
    await expect.poll(() => found("open")).toEqual(["b", "d"]);
    await expect.poll(() => found("done")).toEqual(["c"]);
  });

  it("writes and reads in transactions, all or nothing", async () => {
    const { tasks, people, service } = planner();
    const person = { project: "titan", email: "ada@example.test" };
    await people.put({ ...person, name: "Ada", tasks: 0 }).go();
    const assign = (id: string) =>
      service.transaction
        .write(({ tasks, people }) => [
          tasks.create({ project: "titan", id, title: `for Ada: ${id}` }).commit(),
          people
            .patch(person)
            .add({ tasks: 1 })
            .where(({ tasks }, { lt }) => lt(tasks, 2))
            .commit({ response: "all_old" }),
        ])
        .go();
    expect((await assign("t1")).canceled).toBe(false);
    const twice = await assign("t1");
    expect(twice.canceled).toBe(true);
    expect(twice.data.map(({ rejected, code }) => [rejected, code])).toEqual([
      [true, "ConditionalCheckFailed"],
      [false, "None"],
    ]);
    expect((await assign("t2")).canceled).toBe(false);
    const full = await assign("t3");
    expect(full.data.map(({ code }) => code)).toEqual(["None", "ConditionalCheckFailed"]);
    expect(full.data[1]?.item).toMatchObject({ name: "Ada", tasks: 2 });

    const both = await service.transaction
      .get(({ tasks, people }) => [
        people.get(person).commit(),
        tasks.get({ project: "titan", id: "t2" }).commit(),
        tasks.get({ project: "titan", id: "t3" }).commit(),
      ])
      .go();
    expect(both.data.map(({ item }) => item)).toMatchObject([{ tasks: 2 }, { title: "for Ada: t2" }, null]);
    expect((await tasks.get({ project: "titan", id: "t3" }).go({ consistent: true })).data).toBeNull();
  });
});
