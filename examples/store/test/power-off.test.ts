import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { assertLinearizable, kvKey, kvModel } from "@evenkeel/simulation";
import { expect, test } from "vitest";
import { expectInAllReplicas } from "./support/replicas.js";
import { client, cliProgram, createKeyTable, openStore, temporaryDir } from "./support/store.js";
import { newHistory, read, runClient, toldRandom } from "./support/workload.js";

/** The whole store as a user starts it, in a process group of its own. */
async function start(dir: string): Promise<{ child: ChildProcess; endpoint: string }> {
  const child = spawn(process.execPath, [cliProgram, "--data", dir, "--port", "0"], {
    detached: true,
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const endpoint = /http:\/\/[\d.:]+/.exec(line)?.[0];
    if (endpoint !== undefined) return { child, endpoint };
  }
  throw new Error("the store ended before it said where it listens");
}

/** Router, supervisor and all nodes die in the same instant. */
async function cutPower(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  process.kill(-(child.pid as number), "SIGKILL");
  await exited;
}

test("everything is killed at once in the middle of writes, twice: nothing acknowledged is lost", {
  timeout: 300_000,
}, async () => {
  const random = toldRandom();
  const { dir, remove } = await temporaryDir();
  const history = newHistory();
  const acknowledged = new Map<string, string>();
  const keys = Array.from({ length: 8 }, (_, i) => `key-${i}`);
  let { child, endpoint } = await start(dir);
  let dynamo: DynamoDBClient = client(endpoint, 1);
  try {
    await createKeyTable(dynamo, "power");
    let running = true;
    const clients = Array.from({ length: 4 }, (_, i) =>
      runClient(`client-${i}`, {
        endpoint: () => dynamo,
        table: "power",
        history,
        random: random.fork(`client-${i}`),
        keys,
        running: () => running,
        acknowledged,
      }),
    );
    for (let round = 0; round < 2; round++) {
      const before = acknowledged.size;
      while (acknowledged.size < before + 40) await new Promise((resolve) => setTimeout(resolve, 20));
      await cutPower(child);
      ({ child, endpoint } = await start(dir));
      dynamo = client(endpoint, 1);
    }
    const before = acknowledged.size;
    while (acknowledged.size < before + 20) await new Promise((resolve) => setTimeout(resolve, 20));
    running = false;
    await Promise.all(clients);
    for (const key of keys) await read(dynamo, "power", history, "reader", key);
    assertLinearizable(history, kvModel<string>(), { partitionBy: kvKey });
    expect(history.stats().unknown).toBeGreaterThan(0);
  } finally {
    await cutPower(child);
  }

  const store = await openStore({ dir });
  try {
    await expectInAllReplicas(store.fleet, acknowledged);
  } finally {
    await store.close();
    await remove();
  }
});
