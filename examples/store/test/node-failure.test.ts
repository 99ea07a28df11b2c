import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { afterEach, expect, test, vi } from "vitest";
import { StoreError } from "../src/storage-node/errors.js";
import { Replica } from "../src/storage-node/replica.js";
import { Tree } from "../src/storage-node/tree.js";
import type { Store } from "../src/store.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";

afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

interface Failing {
  readonly store: Store;
  readonly failures: readonly string[];
  readonly put: (id: string) => Promise<unknown>;
  readonly get: (id: string) => Promise<string | undefined>;
}

/** One process, whose nodes fail in it. */
async function failing(run: (failing: Failing) => Promise<void>): Promise<void> {
  const { dir, remove } = await temporaryDir();
  const failures: string[] = [];
  const store = await openStore({
    dir,
    mode: "single",
    partitionsPerTable: 1,
    onNodeFailure: (node, why) => failures.push(`${node}: ${why}`),
  });
  const dynamo = client(store.endpoint, 1);
  try {
    await createKeyTable(dynamo, "kept");
    await run({
      store,
      failures,
      put: (id) => dynamo.send(new PutItemCommand({ TableName: "kept", Item: { id: { S: id } } })),
      get: async (id) =>
        (await dynamo.send(new GetItemCommand({ TableName: "kept", Key: { id: { S: id } }, ConsistentRead: true })))
          .Item?.id?.S,
    });
  } finally {
    dynamo.destroy();
    await store.close();
    await remove();
  }
}

/** Tried again, as a client would that is told of a 500. */
const eventuallyPut = ({ put }: Failing, id: string) =>
  eventually(`${id} is written`, () =>
    put(id).then(
      () => true,
      () => false,
    ),
  );

const answering = async ({ store }: Failing): Promise<number> => {
  const all = store.fleet.nodeIds().map(async (node) => await store.fleet.callerTo(node).call("status", {}));
  return (await Promise.allSettled(all)).filter(({ status }) => status === "fulfilled").length;
};

test("a node whose state machine throws says so and leaves; the others go on, and it comes back", async () => {
  await failing(async (all) => {
    await all.put("before");
    vi.spyOn(Replica.prototype, "apply").mockImplementationOnce(() => {
      throw new Error("staged in apply");
    });
    await eventuallyPut(all, "meanwhile");
    await eventually("the failure is told", () => all.failures.length > 0);
    for (let i = 0; i < 20; i++) await eventuallyPut(all, `after-${i}`);
    await eventually("all three are there", async () => (await answering(all)) === 3);
    expect(all.failures).toEqual([expect.stringMatching(/^[abc]1: .*staged in apply.*; it is opened again$/)]);
    expect(await all.get("before")).toBe("before");
  });
});

test("nodes whose logs find the disk full go on by themselves once there is room, and have all that was acknowledged", async () => {
  await failing(async (all) => {
    await all.put("before");
    const full = () => Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    vi.spyOn(fs, "writeSync").mockImplementation(() => {
      throw full();
    });
    vi.spyOn(fs, "write").mockImplementation(((...args: unknown[]) =>
      (args.at(-1) as (error: Error) => void)(full())) as never);
    syncBuiltinESMExports();
    await expect(all.put("refused")).rejects.toMatchObject({ name: "InternalServerError" });
    await eventually("each has said so", () => new Set(all.failures.map((line) => line.slice(0, 2))).size === 3);
    vi.restoreAllMocks();
    syncBuiltinESMExports();
    await eventuallyPut(all, "after");
    expect([await all.get("before"), await all.get("after")]).toEqual(["before", "after"]);
    await eventually("all three are there", async () => (await answering(all)) === 3);
    for (const line of all.failures) expect(line).toMatch(/^[abc]1: .*ENOSPC.*; it is opened again$/);
  });
});

test("a node whose B-tree refuses a commit says what to do and leaves; where too few are left each answer says it, at once", async () => {
  await failing(async (all) => {
    await all.put("before");
    let due = 1;
    const { commit } = Tree.prototype;
    vi.spyOn(Tree.prototype, "commit").mockImplementation(function (this: Tree, writes) {
      if (due-- <= 0) return commit.call(this, writes);
      this.refusal = new StoreError("ERR_STORE_TREE", "the B-tree refused a commit: staged");
      return Promise.reject(this.refusal);
    });
    await eventuallyPut(all, "meanwhile");
    await eventually("the failure is told", () => all.failures.length > 0);
    for (let i = 0; i < 20; i++) await eventuallyPut(all, `after-${i}`);
    expect(all.failures).toEqual([
      expect.stringMatching(/^[abc]1: .* refused a commit: staged: node [abc]1 is out until .* stop it and start it$/),
    ]);
    due = 1;
    await eventually("a second one is out", () => all.failures.length > 1);
    // Of what the last one still took as a leader nobody knows what became of it.
    const said = (sent: Promise<unknown>) =>
      sent.then(
        () => "done",
        (error: Error) => `${error.name}: ${error.message}`,
      );
    const why =
      /^InternalServerError: .*refused a commit: staged: node [abc]1 is out until the program is started again/;
    await eventually("a write says why", async () => why.test(await said(all.put("refused"))));
    await eventually("a read says why", async () => why.test(await said(all.get("before"))));
  });
});
