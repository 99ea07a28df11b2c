import { rm } from "node:fs/promises";
import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import { afterEach, expect, test } from "vitest";
import { nodeDir } from "../src/control/fleet.js";
import type { ProcessFleet } from "../src/control/process-fleet.js";
import type { NodeStatus } from "../src/storage-node/status.js";
import type { Store } from "../src/store.js";
import { expectInAllReplicas } from "./support/replicas.js";
import { client, createKeyTable, eventually, openStore, temporaryDir } from "./support/store.js";

let store: Store;
let fleet: ProcessFleet;
let dir: string;
let remove: () => Promise<void>;
const told: string[] = [];
const acknowledged = new Map<string, string>();

async function opened(spares: number): Promise<void> {
  acknowledged.clear();
  told.length = 0;
  ({ dir, remove } = await temporaryDir());
  store = await openStore({
    dir,
    spares,
    partitionsPerTable: 2,
    onNews: (line) => told.push(line),
    onNodeFailure: (nodeId, reason) => told.push(`${nodeId}: ${reason}`),
  });
  fleet = store.fleet as ProcessFleet;
  await createKeyTable(client(store.endpoint), "kept");
  await write(50);
}
afterEach(async () => {
  await store.close();
  await remove();
});

async function write(count: number): Promise<void> {
  // An outcome that is not known is tried again, past the SDK's own patience, which all writes share: each of these is one that may be made twice.
  const dynamo = client(store.endpoint, 10);
  await Promise.all(
    Array.from({ length: count }, async () => {
      const id = `item-${acknowledged.size}`;
      acknowledged.set(id, `value of ${id}`);
      const put = new PutItemCommand({ TableName: "kept", Item: { id: { S: id }, v: { S: `value of ${id}` } } });
      await eventually(`${id} is written`, () =>
        dynamo.send(put).then(
          () => true,
          (error: Error) => {
            if (error.name !== "InternalServerError") throw error;
            return false;
          },
        ),
      );
    }),
  );
}

const status = (node: string): Promise<NodeStatus | undefined> =>
  (async () => await fleet.callerTo(node).call("status", {}, { timeoutMs: 1_000 }))().catch(() => undefined);

/** Somebody says that it will not come back: a test waits for no silence. */
async function givenUp(nodeId: string): Promise<void> {
  await eventually("the metadata's leader is told", async () => {
    for (const node of fleet.nodeIds()) {
      const said = (async () => await fleet.callerTo(node).call("giveUpNode", { nodeId }, { timeoutMs: 1_000 }))();
      if ((await said.catch(() => "no leader")) === null) return true;
    }
    return false;
  });
}

/** The node holds replicas of all partitions, and is a full member of all of them; nobody else's word is needed for it. */
async function holdsAll(node: string, without: string): Promise<boolean> {
  const { partitions = [] } = (await status(node)) ?? {};
  const whole = partitions.filter(
    ({ members, appliedThrough, chosenThrough }) =>
      members.includes(node) && !members.includes(without) && members.length === 3 && appliedThrough === chosenThrough,
  );
  return whole.length === 3;
}

test("a node that does not come back is replaced: first its logs, then its replicas; the one that takes its place is killed meanwhile", {
  timeout: 300_000,
}, async () => {
  await opened(1);
  await eventually(
    "the spare node knows the metadata",
    async () => (await status("d1"))?.partitions[0]?.members.length === 4,
  );
  expect((await status("d1"))?.partitions).toHaveLength(1);

  fleet.kill("b1", { hold: true });
  await write(20);
  await givenUp("b1");
  // It is on its way as soon as it keeps a log, or more already.
  await eventually("the spare node is asked for", async () => {
    const { logReplicas = [], partitions = [] } = (await status("d1")) ?? {};
    return logReplicas.length + partitions.length > 1;
  });
  fleet.kill("d1");
  await write(20);
  await eventually("the spare node has taken its place", () => holdsAll("d1", "b1"));
  await write(20);
  await expect(status("b1")).resolves.toBeUndefined();

  // One more may be lost: the two that are left are a quorum of three.
  fleet.kill("c1", { hold: true });
  await write(20);
  fleet.release("c1");

  // It comes back too late, is told so, and begins anew under another name, as the next spare.
  fleet.release("b1");
  await eventually("it comes back under another name", async () => fleet.nodeIds().includes("b1-2"));
  expect(told).toContainEqual("node b1 does not answer and is replaced");
  expect(told).toContainEqual("b1: other nodes have taken the place of b1");
  await eventually("it knows the metadata", async () => {
    const [metadata] = (await status("b1-2"))?.partitions ?? [];
    return metadata?.members.includes("b1-2") === true;
  });
  await write(20);
  await expectInAllReplicas(fleet, acknowledged);

  // Its name, and who holds what, outlive the store.
  await store.close();
  store = await openStore({ dir, spares: 1 });
  fleet = store.fleet as ProcessFleet;
  expect(fleet.nodeIds()).toEqual(["a1", "b1-2", "c1", "d1"]);
  await write(20);
  await expectInAllReplicas(fleet, acknowledged);
});

test("the second of the three original nodes is replaced like the first, and in the end the third is not needed either", {
  timeout: 300_000,
}, async () => {
  await opened(2);
  for (const spare of ["d1", "e1"]) {
    await eventually(`${spare} knows the metadata`, async () => {
      const [metadata] = (await status(spare))?.partitions ?? [];
      return metadata?.members.length === 5;
    });
  }
  /** Three nodes that are there hold each of the two partitions, and nobody else is a member. */
  const allAreHeldWithout = async (gone: readonly string[]): Promise<boolean> => {
    const left = ["a1", "b1", "c1", "d1", "e1"].filter((node) => !gone.includes(node));
    const held = (await Promise.all(left.map(status))).flatMap((one) => one?.partitions ?? []);
    const whole = held.filter(
      ({ partition, members, appliedThrough, chosenThrough }) =>
        partition !== 0 &&
        members.length === 3 &&
        appliedThrough === chosenThrough &&
        members.every((member) => left.includes(member)),
    );
    return whole.length === 6;
  };
  fleet.kill("b1", { hold: true });
  await write(20);
  await givenUp("b1");
  await eventually("the first is replaced", () => allAreHeldWithout(["b1"]));
  await write(20);
  fleet.kill("c1", { hold: true });
  await write(20);
  await givenUp("c1");
  await eventually("the second is replaced", () => allAreHeldWithout(["b1", "c1"]));
  await write(20);
  for (const spare of ["d1", "e1"]) await eventually(`${spare} holds everything`, () => holdsAll(spare, "c1"));

  // The two that have come are a quorum of three, in all groups.
  fleet.kill("a1", { hold: true });
  await write(20);
  fleet.release("a1");
  await write(20);

  // The others begin anew under other names, where one of the three is left that could know them.
  for (const node of ["b1", "c1"]) fleet.release(node);
  for (const node of ["b1-2", "c1-2"]) {
    await eventually(`${node} knows the metadata`, async () => {
      const [metadata] = (await status(node))?.partitions ?? [];
      return metadata?.members.includes(node) === true;
    });
  }
  await expectInAllReplicas(fleet, acknowledged);
});

test("a node whose disk was emptied does not vote under its name: it begins anew under another one, and takes its own place", {
  timeout: 300_000,
}, async () => {
  await opened(0);
  fleet.kill("c1", { hold: true });
  await eventually("it is gone", () => fleet.pidOf("c1") === undefined);
  await rm(nodeDir(dir, "c1"), { recursive: true });
  await write(20);
  fleet.release("c1");
  await eventually("it has another name", () => fleet.nodeIds().includes("c1-2"));
  expect(told.join("\n")).toMatch(/^c1: .*this disk is not the one under which it voted/m);
  await givenUp("c1");
  await write(20);
  await eventually("it holds everything", () => holdsAll("c1-2", "c1"));
  await write(20);
  fleet.kill("a1", { hold: true });
  await write(20);
  fleet.release("a1");
  await expectInAllReplicas(fleet, acknowledged);
});
