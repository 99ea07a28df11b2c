import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { runCommand } from "../src/command.js";
import { MemdsClient, MemdsServer } from "../src/index.js";
import { bytes, entry, put, show, until } from "./helpers.js";
import { buildProgram, MemberProcess, type Program } from "./member-process.js";

let program: Program;
beforeAll(async () => {
  program = await buildProgram();
});
afterAll(() => program.close());

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

function start(args: readonly string[], env?: Record<string, string>): MemberProcess {
  const member = new MemberProcess(program, args, env);
  open.push({ close: () => member.kill() });
  return member;
}

async function ask(port: number, options: { secret?: string } = {}): Promise<string | undefined> {
  await using client = new MemdsClient({ servers: [{ host: "127.0.0.1", port }], timeoutMs: 10_000, ...options });
  return show((await client.lookup([{ kind: "floor", key: bytes("b") }]))[0]?.entries[0]);
}

describe("evenkeel-memds", () => {
  it("serves a snapshot from a file until it is told to end", async () => {
    await using source = await MemdsServer.listen();
    source.load({ version: 3, entries: [entry("a", "from a file")] });
    const file = join(program.dir, "snapshot");
    await writeFile(file, source.snapshot());
    const member = start(["--snapshot", file]);
    expect((await member.says(/ready at version (\d+)\n/))[1]).toBe("3");
    expect(await ask(await member.port())).toBe("a=from a file");
    member.child.kill("SIGTERM");
    expect(await member.exited).toEqual([0, null]);
  });

  it("follows another member, with a secret from a file or the environment", async () => {
    const secret = "a secret of enough characters";
    const file = join(program.dir, "secret");
    await writeFile(file, `${secret}\n`);
    await using source = await MemdsServer.listen({ secret });
    source.load({ version: 1, entries: [entry("a", "1")] });
    const first = start(["--host", "0.0.0.0", "--follow", `127.0.0.1:${source.port}`, "--secret-file", file]);
    const port = await first.port();
    const second = start(["--peer", `127.0.0.1:${port}`, "--anti-entropy-ms", "5"], { EVENKEEL_MEMDS_SECRET: secret });
    await second.says(/ready at version 1\n/);
    source.apply({ version: 2, changes: [put("a", "2")] });
    let seen: string | undefined;
    const asking = async () => {
      seen = await ask(await second.port(), { secret });
    };
    while (seen !== "a=2") await asking();
    await expect(ask(port)).rejects.toMatchObject({ code: "ERR_MEMDS_UNAVAILABLE" });
    await until(() => source.stats().followers === 1, "one follower");
  });

  it.each([
    [["--host", "0.0.0.0", "--peer", "127.0.0.1:1"], /host 0\.0\.0\.0 can be reached from elsewhere: give a secret/],
    [["--host", "example.test", "--peer", "127.0.0.1:1"], /can be reached from elsewhere/],
    [["--host", "127.example.test", "--peer", "127.0.0.1:1"], /can be reached from elsewhere/],
    [[], /one member of a fleet/],
    [["--peer", "nowhere"], /--peer must be HOST:PORT, not "nowhere"/],
    [["--peer", "127.0.0.1:1", "--port", "x"], /port must be an integer from 0 to 65535, not NaN/],
    [["--peer", "127.0.0.1:1", "--entries-max", ""], /entriesMax must be an integer/],
    [["--wrong"], /--wrong/],
    [["--snapshot", "/nowhere/at/all"], /ENOENT/],
  ])("refuses %j and says why", async (args, why) => {
    const said: string[] = [];
    const edge = { out: () => {}, err: (text: string) => void said.push(text), env: {}, signal: AbortSignal.abort() };
    expect(await runCommand(args, edge)).toBe(2);
    expect(said.join("")).toMatch(why);
  });
});
