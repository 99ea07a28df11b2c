import { execFile } from "node:child_process";
import { mkdir, symlink, unlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runCommand } from "../src/command/command.js";
import { encodeKey, keyText } from "../src/command/json-lines.js";
import { bytesText, Progress } from "../src/command/progress.js";
import { withDir } from "./support/temporary-dir.js";

async function run(...args: string[]) {
  const { shown, ...seen } = await runShowing(undefined, ...args);
  expect(shown).toBe("");
  return seen;
}

/** On a terminal (`unasked`) or not; time goes on by a second with each look at the clock. */
async function runShowing(unasked: boolean | undefined, ...args: string[]) {
  let [out, err, shown, now] = ["", "", "", 0];
  const progress = {
    write: (text: string) => {
      shown += text;
    },
    overwrites: true,
    columns: 80,
    nowMs: () => {
      now += 1_000;
      return now;
    },
  };
  const status = await runCommand(args, {
    out: async (text) => {
      out += text;
    },
    err: async (text) => {
      err += text;
    },
    ...(unasked === undefined ? {} : { progress: { ...progress, unasked } }),
  });
  return { status, out, err, shown };
}

const lines = (...objects: object[]) => objects.map((object) => `${JSON.stringify(object)}\n`).join("");

async function files(dir: string, contents: Record<string, string>): Promise<string[]> {
  for (const [name, text] of Object.entries(contents)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), text);
  }
  return Object.keys(contents).map((name) => join(dir, name));
}

describe("lines of JSON", () => {
  it("agree whatever the order of their fields", async () =>
    withDir(async (dir) => {
      const paths = await files(dir, {
        "a.jsonl": lines({ key: "k1", x: 1, y: { b: 1, a: [1, 2] } }, { key: "k2" }),
        "b.jsonl": `${lines({ y: { a: [1, 2], b: 1 }, x: 1, key: "k1" })}\n${lines({ key: "k2" })}`,
      });
      expect(await run(...paths)).toEqual({ status: 0, out: "2 keys in 2 sources compared: all agree\n", err: "" });
    }));

  it("that differ are named, and three of them tell who is wrong", async () =>
    withDir(async (dir) => {
      const good = Array.from({ length: 50 }, (_, i) => ({ id: i * 7, text: `line ${i}`, seen: i }));
      const [a, b, c] = (await files(dir, {
        "a.jsonl": lines(...good.map((one) => ({ ...one, seen: 0 }))),
        "b.jsonl": lines(...good.filter(({ id }) => id !== 70)),
        "c.jsonl": lines(...good.map((one) => (one.id === 21 ? { ...one, text: "l1ne 3" } : one)), {
          id: 999,
          text: "stray",
        }),
      })) as [string, string, string];
      const { status, out } = await run("--key", "id", "--ignore", "seen", a, b, c);
      expect(status).toBe(1);
      expect(out).toBe(
        `21: differs in ${c} (${a} and ${b} agree)\n70: is missing in ${b} (${a} and ${c} agree)\n` +
          `999: should not be there in ${c} (${a} and ${b} agree)\n\n51 keys in 3 sources compared: 3 differ\n`,
      );
      const json = JSON.parse((await run("--key=id", "--ignore=seen", "--json", a, b, "--reference", c)).out);
      expect(json).toMatchObject({ agree: false, complete: true, keys: 51, compared: [a, b, c] });
      expect(json.divergences[0]).toMatchObject({
        key: "21",
        source: c,
        kind: "different",
        against: "majority",
        agreed: [a, b],
      });
    }));

  it("of two files nobody is convicted", async () =>
    withDir(async (dir) => {
      const [a, b] = (await files(dir, {
        "a.jsonl": lines({ key: "k1", x: 1 }, { key: "k2" }),
        "b.jsonl": lines({ key: "k1", x: 2 }, { key: "k3" }),
      })) as [string, string];
      expect((await run(a, b)).out).toBe(
        `k1: differs, and no two sources agree\nk2: is missing in ${b}, and no two sources agree\n` +
          `k3: is missing in ${a}, and no two sources agree\n\n2 keys in 2 sources compared: 3 differ\n`,
      );
    }));

  it("in any order, and more of them than memory holds, are sorted first", async () =>
    withDir(async (dir) => {
      const objects = Array.from({ length: 500 }, (_, i) => ({ at: { id: `k${i}` }, n: i }));
      const [a, b] = (await files(dir, {
        "a.jsonl": lines(...objects),
        "b.jsonl": lines(...objects.toReversed()),
      })) as [string, string];
      expect((await run("--key", "at.id", a, b)).out).toMatch(/cannot be read .*ascending order/);
      expect(await run("--sort", "--key", "at.id", a, b)).toMatchObject({ status: 0 });
      const twice = await run(
        "--sort",
        "--key",
        "n",
        a,
        ...(await files(dir, { "twice.jsonl": lines({ n: 1 }, { n: 1 }) })),
      );
      expect(twice).toMatchObject({ status: 2, err: expect.stringContaining("two lines have the key 1") as unknown });
    }));

  it("of a pipe come once, and so have to be sorted", async () =>
    withDir(async (dir) => {
      const [path] = (await files(dir, { "a.jsonl": lines({ key: "a" }, { key: "b" }) })) as [string];
      const pipe = join(dir, "pipe");
      await promisify(execFile)("mkfifo", [pipe]);
      expect(await run(path, pipe)).toEqual({
        status: 2,
        out: "",
        err: `${pipe} can be read only once: add --sort\n`,
      });
      const written = writeFile(pipe, lines({ key: "b" }, { key: "c" }));
      const { status, out } = await run("--sort", path, pipe);
      await written;
      expect([status, out]).toEqual([1, expect.stringContaining("2 keys in 2 sources compared: 2 differ\n")]);
    }));

  it("keys sort as they should, numbers by value and text by its bytes, and can be read", () => {
    const number = fc.double({ noNaN: true });
    fc.assert(
      fc.property(number, number, (x, y) => {
        expect(Math.sign(Buffer.compare(encodeKey([x]), encodeKey([y])))).toBe(x === y ? 0 : x < y ? -1 : 1);
        expect(keyText(encodeKey([x, "é", y]))).toBe(`${x === 0 ? 0 : x} / é / ${y === 0 ? 0 : y}`);
      }),
    );
    expect(keyText(encodeKey(["a", "b"]))).toBe("a / b");
    expect(Buffer.compare(encodeKey(["a"]), encodeKey(["a", "b"]))).toBe(-1);
  });

  it("what is no JSON, no object, has no key, is damage with its line", async () =>
    withDir(async (dir) => {
      const good = lines({ key: "a" }, { key: "b" });
      for (const [bad, message] of [
        [`${good}{"key":`, ":3: not JSON"],
        [`${good}[1]\n`, ":3: not an object"],
        [`${good}{"id":1}\n`, ":3: no text or number in key"],
      ] as const) {
        const paths = await files(dir, { "good.jsonl": good, "bad.jsonl": bad });
        const { status, out } = await run(...paths);
        expect([status, out]).toEqual([1, expect.stringContaining(message) as unknown]);
      }
    }));
});

describe("folders", () => {
  it("are compared by path and contents", async () =>
    withDir(async (dir) => {
      const tree = {
        "p/1.object": "one",
        "p/1.manifest": "{}",
        "p/deep/er/2.object": "two",
        "q-0": "",
        q: "x".repeat(3_000_000),
      };
      const copies = ["a", "b", "c"].map((name) => join(dir, name)) as [string, string, string];
      for (const copy of copies) await files(copy, tree);
      expect(await run(...copies)).toMatchObject({ status: 0, out: "5 keys in 3 sources compared: all agree\n" });
      await writeFile(join(copies[1], "q"), `${"x".repeat(2_999_999)}y`);
      await unlink(join(copies[2], "p/deep/er/2.object"));
      // A link is where it leads to, not what lies there.
      await symlink("./1.object", join(copies[0], "p/link"));
      for (const copy of copies.slice(1)) await symlink("1.object", join(copy, "p/link"));
      const { status, out } = await run(...copies);
      expect(status).toBe(1);
      expect(out.split("\n").slice(0, 3)).toEqual([
        `p/deep/er/2.object: is missing in ${copies[2]} (${copies[0]} and ${copies[1]} agree)`,
        `p/link: differs in ${copies[0]} (${copies[1]} and ${copies[2]} agree)`,
        `q: differs in ${copies[1]} (${copies[0]} and ${copies[2]} agree)`,
      ]);
    }));
});

it("a module brings any other sources", async () =>
  withDir(async (dir) => {
    const index = fileURLToPath(new URL("../src/index.ts", import.meta.url));
    const [path] = (await files(dir, {
      "scrub.config.mjs": `import { memoryReplica } from ${JSON.stringify(index)};
        const replicas = ["a", "b", "c"].map((name) => memoryReplica(name));
        replicas[1].store.put(Buffer.from("k"), Buffer.from("v"));
        export default { replicas };`,
      "none.mjs": "export const x = 1;",
    })) as [string, string];
    expect(await run("--config", path)).toMatchObject({
      status: 1,
      out: "k: should not be there in b (a and c agree)\n\n1 key in 3 sources compared: 1 differs\n",
    });
    expect(await run("--config", join(dir, "none.mjs"))).toMatchObject({
      status: 2,
      err: expect.stringContaining("default export") as unknown,
    });
  }));

it("a source that took no part, and one that does not read the same twice, are no agreement", async () =>
  withDir(async (dir) => {
    const index = fileURLToPath(new URL("../src/index.ts", import.meta.url));
    const config = (third: string) =>
      files(dir, {
        [`${third.length}.mjs`]: `import { memoryReplica } from ${JSON.stringify(index)};
          const [a, b, c] = ["a", "b", "c"].map((name) => memoryReplica(name));
          for (const { store } of [a, b, c]) store.put(Buffer.from("k"), Buffer.from("v"));
          export default { replicas: [a, b, { name: "c", snapshot: ${third} }] };`,
      });
    const [away] = await config("async () => { throw new Error('no route to host'); }");
    expect(await run("--config", away as string)).toEqual({
      status: 1,
      out: "c: took no part, unreachable: no route to host\n\n1 key in 2 sources compared: none differs, but not everything could be compared\n",
      err: "",
    });
    const [flickers] = await config(
      "async (at) => { const snapshot = await c.snapshot(at); return { ...snapshot, digests: async (ranges) => (await snapshot.digests(ranges)).map((one) => ({ ...one, bytes: 1 })) }; }",
    );
    expect(await run("--config", flickers as string)).toMatchObject({
      status: 1,
      out: expect.stringContaining("does not read the same twice: anywhere\n") as unknown,
    });
  }));

it("shows how far it is on a terminal, or where that is asked for, of what it reads and of what a module's sources compare", async () =>
  withDir(async (dir) => {
    const objects = Array.from({ length: 3_000 }, (_, i) => ({
      key: `k${String(i).padStart(5, "0")}`,
      text: "x".repeat(40),
    }));
    const index = fileURLToPath(new URL("../src/index.ts", import.meta.url));
    const [a, b, config] = (await files(dir, {
      "a.jsonl": lines(...objects),
      "b.jsonl": lines(...objects),
      "c.mjs": `import { memoryReplica } from ${JSON.stringify(index)};
        const replicas = ["a", "b"].map((name) => memoryReplica(name));
        for (const { store } of replicas)
          for (let i = 0; i < 1000; i++) store.put(Buffer.from("k" + i), Buffer.alloc(3000));
        export default { replicas };`,
    })) as [string, string, string];
    const bar = /^\r\S\[K 1?\d\d? % \[[#.]{24}\] .* s left/;
    expect((await runShowing(true, a, b)).shown).toMatch(bar);
    expect((await runShowing(true, a, b)).shown).toContain("100 % [########################]");
    expect((await runShowing(false, "--progress", a, b)).shown).toMatch(bar);
    expect((await runShowing(true, "--config", config)).shown).toMatch(/^\r\S\[Kcompared \d.*\/s/);
    expect((await runShowing(true, "--no-progress", a, b)).shown).toBe("");
    expect((await runShowing(true, "--json", a, b)).shown).toBe("");
    expect((await runShowing(false, a, b)).shown).toBe("");
  }));

it("says what is wrong with its arguments, and helps", async () => {
  expect(await run("one")).toEqual({
    status: 2,
    out: "",
    err: "two sources or more are needed, got 1\nevenkeel-scrub --help tells more.\n",
  });
  expect(await run("--nonsense")).toMatchObject({ status: 2 });
  expect(await run("--key", "", "a", "b")).toMatchObject({
    status: 2,
    err: expect.stringContaining("--key needs the name of a field") as unknown,
  });
  expect(await run("/nowhere/a", "/nowhere/b")).toMatchObject({
    status: 2,
    err: expect.stringContaining("ENOENT") as unknown,
  });
  expect(await run("/tmp", "/tmp")).toMatchObject({ status: 2, err: "/tmp is named twice\n" });
  expect(await run("--config", "x.mjs", "y")).toMatchObject({ status: 2 });
  expect((await run("-h")).out).toContain("evenkeel-scrub SOURCE SOURCE");
});

it("shows its progress", () => {
  let now = 0;
  let written = "";
  const write = (text: string): void => {
    written += text;
  };
  const output = { write, overwrites: true, columns: 80, nowMs: () => now };
  const progress = new Progress(output, 4_000);
  progress.add(500);
  expect(written).toBe("");
  now = 1_000;
  progress.add(500);
  expect(written).toBe("\r\u001b[K 25 % [######..................] 1000 B, 1000 B/s, 3 s left");
  progress.end();
  expect(written.endsWith("\r\u001b[K")).toBe(true);
  expect([bytesText(0), bytesText(1_536), bytesText(5 * 1024 ** 3)]).toEqual(["0 B", "1.5 KiB", "5.0 GiB"]);
});

it("runs as a program of its own", { timeout: 240_000 }, async () =>
  withDir(async (dir) => {
    const paths = await files(dir, { "a.jsonl": lines({ key: "k" }), "b.jsonl": lines({ key: "k" }, { key: "l" }) });
    const main = fileURLToPath(new URL("../src/evenkeel-scrub.ts", import.meta.url));
    const { code, stdout } = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
      execFile(process.execPath, ["--import", "tsx", main, "--json", ...paths], (error, stdout) => {
        resolve({ code: error?.code ?? 0, stdout });
      });
    });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ agree: false, divergences: [{ key: "l" }, { key: "l" }] });
  }),
);

describe("a pair", () => {
  const config = (change: string) => `
    import { memoryReplica } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
    const [eu, us] = ["eu", "us"].map((name) => memoryReplica(name, { position: 9 }));
    for (const { store } of [eu, us])
      for (let i = 0; i < 100; i++) store.put(Buffer.from("order/" + i), Buffer.from("total " + i));
    const put = ({ store }, key, value) => store.put(Buffer.from(key), Buffer.from(value));
    const side = (source) => ({ source, position: () => 9, appliedOfOther: () => 9 });
    export const sides = { left: side(eu), right: side(us), waitMs: 1, waitsMax: 3 };
    ${change}
    export default sides;
  `;
  const runPair = (change: string, ...args: string[]) =>
    withDir(async (dir) => {
      const [path] = await files(dir, { "pair.mjs": config(change) });
      return run("pair", "--config", path as string, ...args);
    });

  it("that holds the same agrees", async () => {
    expect(await runPair("")).toEqual({
      status: 0,
      out: "100 keys compared: none differs, 0 under way, 0 unsettled\n",
      err: "",
    });
  });

  it("that stays different is named, with what is under way told apart", async () => {
    const change = `us.store.delete(Buffer.from("order/7")); put(eu, "order/9", "else"); put(eu, "order/11", "sent late");
      let looks = 0;
      sides.right.position = () => { if (looks++ === 1) put(us, "order/11", "sent late"); return 9; };`;
    const { status, out } = await runPair(change);
    expect({ status, out }).toEqual({
      status: 1,
      out: "order/7: is missing in us\norder/9: differs\n\n100 keys compared: 2 differ, 1 under way, 0 unsettled\n",
    });
    const json = JSON.parse((await runPair(change, "--json")).out);
    expect(json).toMatchObject({
      agree: false,
      lagged: 1,
      divergences: [
        { key: "order/7", kind: "missing-right", left: Buffer.from("total 7").toString("base64"), right: null },
        { key: "order/9", kind: "different" },
      ],
    });
  });

  it("whose watermark stands still is not judged", async () => {
    const { status, out } = await runPair('put(eu, "order/9", "else"); sides.right.appliedOfOther = () => 3;');
    expect(status).toBe(1);
    expect(out).toContain("order/9: nothing can be said yet\n");
    expect(out).toContain("none differs, 0 under way, 1 unsettled");
  });

  it("of which one side cannot be read is no agreement", async () => {
    const { status, out } = await runPair(`sides.right.source = { name: "us", snapshot: async (at) => ({
      ...(await us.snapshot(at)),
      digests: async () => { throw new Error("page 17"); },
      entries: () => { throw new Error("page 17"); },
    }) };`);
    expect(status).toBe(1);
    expect(out).toContain("right: cannot be read anywhere: page 17\n");
  });

  it("is refused without watermarks, and helps", async () => {
    expect(await run("pair")).toMatchObject({ status: 2, err: expect.stringContaining("--config is needed") });
    expect(await runPair("delete sides.left.appliedOfOther; delete sides.right.appliedOfOther;")).toMatchObject({
      status: 2,
      err: expect.stringContaining("without a watermark lag and damage look the same"),
    });
    expect(await run("pair", "--help")).toMatchObject({ status: 0, out: expect.stringContaining("PairScrubber") });
  });
});
