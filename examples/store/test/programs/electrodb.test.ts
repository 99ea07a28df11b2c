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
      indexes: { primary: { pk: { field: "pk", composite: ["project"] }, sk: { field: "sk", composite: ["id"] } } },
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
  return { tasks, people, service: new Service({ people }, configuration) };
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
});
