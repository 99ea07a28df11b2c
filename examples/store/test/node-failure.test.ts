import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import { afterEach, expect, test, vi } from "vitest";
import { Replica } from "../src/storage-node/replica.js";
import { Tree } from "../src/storage-node/tree.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";

afterEach(() => {
  vi.restoreAllMocks();
});

async function failing(stage: () => void, reason: string): Promise<void> {
  const { dir, remove } = await temporaryDir();
  const failures: string[] = [];
  const store = await openStore({ dir, mode: "single", onNodeFailure: (_, why) => failures.push(why) });
  try {
    const dynamo = client(store.endpoint);
    await createKeyTable(dynamo, "kept");
    const put = (id: string) => dynamo.send(new PutItemCommand({ TableName: "kept", Item: { id: { S: id } } }));
    await put("before");
    stage();
    await put("meanwhile");
    await eventually("the failure is told", () => failures.length > 0);
    for (let i = 0; i < 20; i++) await put(`after-${i}`);
    expect(failures).toEqual([expect.stringContaining(reason)]);
  } finally {
    await store.close();
    await remove();
  }
}

test("a node whose state machine throws says so and leaves; the others go on", async () => {
  await failing(() => {
    vi.spyOn(Replica.prototype, "apply").mockImplementationOnce(() => {
      throw new Error("staged in apply");
    });
  }, "staged in apply");
});

test("a node whose B-tree refuses a commit says so and leaves; the others go on", async () => {
  await failing(() => {
    vi.spyOn(Tree.prototype, "commit").mockImplementationOnce(() => Promise.reject(new Error("staged in commit")));
  }, "staged in commit");
});
