import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { GetItemCommand, PutItemCommand } from "@aws-sdk/client-dynamodb";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { CommandLine } from "./support/command-line.js";
import { client, createKeyTable, eventually, temporaryDir } from "./support/store.js";

let dir: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ dir, remove } = await temporaryDir());
});
afterAll(() => remove());

const started: CommandLine[] = [];
function run(args: readonly string[], env?: NodeJS.ProcessEnv, fileBytesMax?: number): CommandLine {
  const command = new CommandLine(args, env, fileBytesMax);
  started.push(command);
  return command;
}
afterEach(() => {
  for (const command of started.splice(0)) command.destroy();
});

const stoppedBy: readonly { name: string; args: readonly string[]; stop: (command: CommandLine) => void }[] = [
  { name: "Ctrl-C, which reaches its nodes as well", args: [], stop: (command) => command.signalGroup("SIGINT") },
  { name: "SIGINT to itself alone", args: [], stop: (command) => command.signal("SIGINT") },
  { name: "SIGTERM", args: [], stop: (command) => command.signal("SIGTERM") },
  {
    name: "an impatient Ctrl-C, again and again",
    args: [],
    stop(command) {
      for (let i = 0; i < 3; i++) command.signalGroup("SIGINT");
    },
  },
  { name: "Ctrl-C, in one process", args: ["--single"], stop: (command) => command.signalGroup("SIGINT") },
];

test("it says where it listens and where its data is, stops cleanly, and finds all data when it is started again", {
  timeout: 300_000,
}, async () => {
  const data = join(dir, "kept", "deep");
  for (const [life, { name, args, stop }] of stoppedBy.entries()) {
    const command = run(["--data", data, "--port", "0", ...args]);
    const endpoint = await command.serves();
    expect(command.stdout).toContain(`DynamoDB endpoint  ${endpoint} `);
    expect(command.stdout).toContain(data);
    expect(command.stdout).toContain(`aws dynamodb list-tables --endpoint-url ${endpoint}`);

    const dynamo = client(endpoint);
    if (life === 0) await createKeyTable(dynamo, "kept");
    for (let i = 0; i < life; i++) {
      const { Item } = await dynamo.send(
        new GetItemCommand({ TableName: "kept", Key: { id: { S: `life-${i}` } }, ConsistentRead: true }),
      );
      expect(Item, `what was written in life ${i}, in life ${life}`).toBeDefined();
    }
    await dynamo.send(new PutItemCommand({ TableName: "kept", Item: { id: { S: `life-${life}` } } }));
    dynamo.destroy();

    const printed = command.stdout;
    stop(command);
    expect(await command.ended(), name).toEqual({ code: 0, signal: null });
    expect(command.stdout.replace(printed, "").trim(), name).toBe("");
    expect(command.stderr, name).toBe("");
  }
});

test.each([
  ["three processes", []],
  ["one process", ["--single"]],
])(
  "a store of %s whose disk is full says so and loses nothing: it stops cleanly, and goes on when there is room",
  {
    timeout: 240_000,
  },
  async (_, args) => {
    const data = join(dir, `full${args.length}`);
    // The log's segments fit, the B-tree does not.
    const command = run(["--data", data, "--port", "0", ...args], process.env, 20 * 1024 * 1024);
    const dynamo = client(await command.serves(), 1);
    await createKeyTable(dynamo, "full");
    const acknowledged: string[] = [];
    const write = async (store: typeof dynamo, v: string) => {
      const id = `item-${acknowledged.length}`;
      await store.send(new PutItemCommand({ TableName: "full", Item: { id: { S: id }, v: { S: v } } }));
      acknowledged.push(id);
    };
    const isFull = () => command.stderr.includes("the B-tree refused a commit");
    await eventually(
      "a commit is refused",
      async () => {
        await write(dynamo, "v".repeat(300_000)).catch(() => undefined);
        return isFull();
      },
      120_000,
    );
    dynamo.destroy();
    command.signalGroup("SIGINT");
    expect(await command.ended()).toEqual({ code: 0, signal: null });

    const next = run(["--data", data, "--port", "0", ...args]);
    const again = client(await next.serves());
    await write(again, "there is room");
    for (const id of acknowledged) {
      const key = { TableName: "full", Key: { id: { S: id } }, ConsistentRead: true, ProjectionExpression: "id" };
      expect((await again.send(new GetItemCommand(key))).Item, id).toEqual({ id: { S: id } });
    }
    again.destroy();
    next.signalGroup("SIGINT");
    expect(await next.ended()).toEqual({ code: 0, signal: null });
  },
);

test("--help tells every option and does nothing else", async () => {
  const command = run(["--help"]);
  expect(await command.ended()).toEqual({ code: 0, signal: null });
  for (const option of ["--data", "--port", "--single", "--partitions", "--spares"])
    expect(command.stdout).toContain(option);
  expect(command.stderr).toBe("");
});

describe("what stands in the way is told in one line, with exit code 1 and no process left behind:", () => {
  async function refused(args: readonly string[], line: RegExp, env?: NodeJS.ProcessEnv): Promise<void> {
    const command = run(args, env);
    const ended = await command.ended();
    expect(command.stderr).toMatch(/^evenkeel-store: [^\n]+\n$/);
    expect(command.stderr).toMatch(line);
    expect(command.stdout).toBe("");
    expect(ended).toEqual({ code: 1, signal: null });
  }

  test("a port in use", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    try {
      for (const mode of [[], ["--single"]]) {
        await refused(
          ["--data", join(dir, "port"), "--port", String(port), ...mode],
          new RegExp(`port ${port} is in use`),
        );
      }
    } finally {
      server.close();
    }
  });

  test("a data directory that cannot be", async () => {
    const file = join(dir, "file");
    writeFileSync(file, "a regular file");
    const paths = [file, join(file, "below"), ...(process.platform === "linux" ? ["/proc/store"] : [])];
    for (const path of paths)
      await refused(["--data", path, "--port", "0"], /data directory .* choose another one with --data/);
    // The directory itself can be, and what a node needs below it cannot.
    for (const mode of [[], ["--single"]]) {
      const blocked = join(dir, `blocked${mode.length}`);
      mkdirSync(join(blocked, "nodes"), { recursive: true });
      writeFileSync(join(blocked, "nodes", "b1"), "a regular file");
      await refused(["--data", blocked, "--port", "0", ...mode], /data directory .* choose another one with --data/);
    }
  });

  test("a data directory in use by another process", { timeout: 240_000 }, async () => {
    const data = join(dir, "shared");
    for (const [first, second] of [
      [[], []],
      [["--single"], []],
      [[], ["--single"]],
    ] as const) {
      const holder = run(["--data", data, "--port", "0", ...first]);
      const endpoint = await holder.serves();
      await refused(["--data", data, "--port", "0", ...second], /is in use by another process/);
      // The one that holds it has not felt anything.
      const dynamo = client(endpoint);
      await expect(
        dynamo.send(new GetItemCommand({ TableName: "nowhere", Key: { id: { S: "a" } } })),
      ).rejects.toMatchObject({
        name: "ResourceNotFoundException",
      });
      dynamo.destroy();
      expect(holder.stderr).toBe("");
      holder.signal("SIGTERM");
      expect(await holder.ended()).toEqual({ code: 0, signal: null });
    }
  });

  test("options that make no sense", async () => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["--port", "eighty"], /--port must be a whole number from 0 to 65535; got "eighty"/],
      [["--port", "65536"], /--port .* got "65536"/],
      [["--port", "-1"], /--port/],
      [["--port", ""], /--port/],
      [["--port"], /--port/],
      [["--partitions", "0"], /--partitions must be a whole number from 1 to 256; got "0"/],
      [["--spares", "10"], /--spares must be a whole number from 0 to 9; got "10"/],
      [["--partitions", "many"], /--partitions .* got "many"/],
      [["--partitions", "1.5"], /--partitions/],
      [["--data", ""], /--data/],
      [["--credentials", ""], /--credentials must name a file; got an empty string/],
      [["--bogus"], /--bogus/],
      [["stray"], /stray/],
    ];
    await Promise.all(cases.map(([args, line]) => refused(["--data", join(dir, "flags"), ...args], line)));
  });
});

describe("nodes whose supervisor was killed end by themselves,", () => {
  test("while they serve", { timeout: 240_000 }, async () => {
    const data = join(dir, "orphans");
    const command = run(["--data", data, "--port", "0"]);
    const dynamo = client(await command.serves(), 1);
    await createKeyTable(dynamo, "orphans");
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i++) {
        await dynamo
          .send(new PutItemCommand({ TableName: "orphans", Item: { id: { S: `item-${i}` } } }))
          .catch(() => undefined);
      }
    })();
    command.signal("SIGKILL");
    expect(await command.ended()).toEqual({ code: null, signal: "SIGKILL" });
    writing = false;
    await writer;
    dynamo.destroy();
    expect(command.stderr).toBe("");
    // They have let go of the directory: a new store can have it.
    const next = run(["--data", data, "--port", "0"]);
    await next.serves();
    next.signalGroup("SIGINT");
    expect(await next.ended()).toEqual({ code: 0, signal: null });
  });

  test("while they start, at whatever moment", { timeout: 300_000 }, async () => {
    const data = join(dir, "unborn");
    // From before the nodes are there to after the store serves.
    for (const delayMs of [100, 300, 450, 600, 800, 1_100]) {
      const command = run(["--data", data, "--port", "0"]);
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      command.signal("SIGKILL");
      expect(await command.ended(), `killed after ${delayMs} ms`).toEqual({ code: null, signal: "SIGKILL" });
    }
    const next = run(["--data", data, "--port", "0"]);
    await next.serves();
    next.signalGroup("SIGINT");
    expect(await next.ended()).toEqual({ code: 0, signal: null });
  });
});

test("SIGTERM while it starts leaves nothing behind it", { timeout: 240_000 }, async () => {
  const data = join(dir, "recalled");
  const command = run(["--data", data, "--port", "0"]);
  await eventually("a node is on its way", () => existsSync(join(data, "nodes/a1/log")));
  command.signal("SIGTERM");
  expect(await command.leavesNothing(), command.stderr).toBe(true);
  const { code, signal } = await command.ended();
  expect(code === 0 || signal === "SIGTERM", `${code} ${signal}`).toBe(true);
  expect(command.stderr).toBe("");
});

test("Ctrl-C while it starts ends it and its nodes", { timeout: 240_000 }, async () => {
  for (const delayMs of [200, 500, 800]) {
    const command = run(["--data", join(dir, "hasty"), "--port", "0"]);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    command.signalGroup("SIGINT");
    const { code, signal } = await command.ended();
    expect(
      code === 0 || signal === "SIGINT",
      `after ${delayMs} ms: exit code ${code}, signal ${signal}: ${command.stderr}`,
    ).toBe(true);
  }
});
