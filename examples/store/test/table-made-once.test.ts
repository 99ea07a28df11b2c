/** Where the answer of whoever made a table is lost, it is asked for again, and found to be made. */
import { CreateTableCommand, DescribeTableCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { afterEach, expect, test, vi } from "vitest";
import { MetadataService } from "../src/metadata/service.js";
import { StoreError } from "../src/storage-node/errors.js";
import { attributes, keys } from "./indexes/support.js";
import { singleStore } from "./support/single.js";
import { client } from "./support/store.js";

const single = singleStore({ partitionsPerTable: 1 });

afterEach(() => {
  vi.restoreAllMocks();
});

test("a table that was made is answered with although the first answer was lost, and is nobody else's", async () => {
  const made = MetadataService.prototype.createTable;
  const spy = vi.spyOn(MetadataService.prototype, "createTable");
  let lost = 0;
  spy.mockImplementation(async function (this: MetadataService, ...asked) {
    const table = await made.apply(this, asked);
    if (asked[0].name !== "once" || lost > 0) return table;
    lost++;
    throw new StoreError("ERR_STORE_UNKNOWN_OUTCOME", "the connection was lost");
  });
  const dynamo = client(single.store.endpoint, 1);
  const create = () =>
    dynamo.send(
      new CreateTableCommand({
        TableName: "once",
        AttributeDefinitions: attributes({ id: "S" }),
        KeySchema: keys(["id"]),
        BillingMode: "PAY_PER_REQUEST",
      }),
    );
  const { TableDescription } = await create();
  expect(lost).toBe(1);
  const { Table } = await dynamo.send(new DescribeTableCommand({ TableName: "once" }));
  expect(TableDescription?.TableId).toBe(Table?.TableId);
  await waitUntilTableExists({ client: dynamo, maxWaitTime: 60, minDelay: 0.1, maxDelay: 0.5 }, { TableName: "once" });
  await expect(create()).rejects.toMatchObject({
    name: "ResourceInUseException",
    message: "Table already exists: once",
  });
  dynamo.destroy();
});
