/** Programs in another language, on its own SDK: what differs from JavaScript's is another reader of the same model. */
import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../../scripts/needs.js";
import { singleStore } from "../support/single.js";

const run = promisify(execFile);

/** A Python that has boto3: the first of the path, or the system's own, for which Debian packs it. */
const python = ["python3", "/usr/bin/python3"].find(
  (command) => spawnSync(command, ["-c", "import boto3"], { stdio: "ignore" }).status === 0,
);

describeWith(python === undefined ? "no Python with boto3 (Debian: python3-boto3)" : undefined, "boto3", () => {
  const single = singleStore();

  /** What a program imports is beside it, and nothing is to be written there. */
  async function expectHeld(program: string): Promise<void> {
    const path = fileURLToPath(new URL(program, import.meta.url));
    const { stdout } = await run(python as string, ["-B", path, single.store.endpoint]);
    expect(stdout).toMatch(/^\d+ checks held\n$/);
  }

  it("runs a shop's orders unchanged: types, batches, pages, conditions, transactions, PartiQL, an index and a stream", async () => {
    await expectHeld("boto3-orders.py");
  });

  it("makes, reads, changes and destroys a table as infrastructure tools do", async () => {
    await expectHeld("infrastructure.py");
  });
});

describeWith(missingCommand("aws", "awscli"), "the AWS command line", () => {
  const single = singleStore();

  async function aws(...words: string[]): Promise<{ stdout: string; stderr: string }> {
    const env = { ...process.env, AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test", AWS_PAGER: "" };
    return run("aws", ["--endpoint-url", single.store.endpoint, "--region", "local", "dynamodb", ...words], { env });
  }

  it("creates, waits, writes, asks page by page, and passes a refusal on with its text", async () => {
    await aws(
      ...["create-table", "--table-name", "notes", "--billing-mode", "PAY_PER_REQUEST"],
      ...["--attribute-definitions", "AttributeName=who,AttributeType=S", "AttributeName=at,AttributeType=N"],
      ...["--key-schema", "AttributeName=who,KeyType=HASH", "AttributeName=at,KeyType=RANGE"],
    );
    await aws("wait", "table-exists", "--table-name", "notes");
    const puts = [1, 2, 3].map((at) => ({ PutRequest: { Item: { who: { S: "ada" }, at: { N: `${at}` } } } }));
    await aws("batch-write-item", "--request-items", JSON.stringify({ notes: puts }));
    const condition = ["--key-condition-expression", "who = :who", "--expression-attribute-values"];
    const { stdout } = await aws(
      ...["query", "--table-name", "notes", ...condition, '{":who":{"S":"ada"}}', "--consistent-read"],
      ...["--page-size", "1", "--query", "Items[].at.N", "--output", "text"],
    );
    expect(stdout.split(/\s+/).filter(Boolean)).toEqual(["1", "2", "3"]);
    const item = '{"who":{"S":"ada"},"at":{"N":"1"}}';
    const refused = aws(
      ...["put-item", "--table-name", "notes", "--item", item, "--condition-expression", "attribute_not_exists(who)"],
    );
    await expect(refused).rejects.toThrow(
      "An error occurred (ConditionalCheckFailedException) when calling the PutItem operation: The conditional request failed",
    );
  });
});
