import { DeleteTableCommand, DescribeTableCommand, GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { expect, test } from "vitest";
import { Router } from "../../src/router/router.js";
import { client, createKeyTable, doneBy, eventually, openStore, temporaryDir } from "../support/store.js";

test("a router with an old route is put right by the nodes: a table that was deleted and made again through another router", async () => {
  const { dir, remove } = await temporaryDir();
  const store = await openStore({ dir, mode: "single" });
  const other = await Router.listen({ fleet: store.fleet, host: "127.0.0.1", port: 0 });
  try {
    const [here, there] = [client(store.endpoint), client(`http://127.0.0.1:${other.port}`)];
    const put = (through: typeof here, v: string) =>
      through.send(new PutItemCommand({ TableName: "orders", Item: { id: { S: "1" }, v: { S: v } } }));
    await createKeyTable(here, "orders");
    await eventually("the other router knows the way", () =>
      put(there, "old").then(
        () => true,
        () => false,
      ),
    );
    const before = await there.send(new DescribeTableCommand({ TableName: "orders" }));

    const deleting = here.send(new DeleteTableCommand({ TableName: "orders" }));
    await doneBy(deleting, "ResourceNotFoundException", "ResourceInUseException");
    await eventually("the table is gone", async () => {
      const gone = await here
        .send(new DescribeTableCommand({ TableName: "orders" }))
        .catch((error: Error) => error.name);
      return gone === "ResourceNotFoundException";
    });
    await createKeyTable(here, "orders");
    await put(here, "new");

    // Its cache still leads to partitions that no node has: their answers are what tells it, and nobody flushes anything.
    const seen: string[] = [];
    await eventually("the other router has found the new table", async () => {
      const answer = await put(there, "newest").then(
        () => "written",
        (error: Error) => error.name,
      );
      seen.push(answer);
      return answer === "written";
    });
    // In between the table may be said not to be there, and nothing else may be said.
    expect([...new Set(seen)].filter((answer) => answer !== "ResourceNotFoundException")).toEqual(["written"]);
    const found = await here.send(
      new GetItemCommand({ TableName: "orders", Key: { id: { S: "1" } }, ConsistentRead: true }),
    );
    expect(found.Item).toEqual({ id: { S: "1" }, v: { S: "newest" } });
    const after = await there.send(new DescribeTableCommand({ TableName: "orders" }));
    expect(after.Table?.TableId).not.toBe(before.Table?.TableId);
  } finally {
    await other.close();
    await store.close();
    await remove();
  }
});
