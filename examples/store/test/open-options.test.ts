import { describe, expect, it } from "vitest";
import { complain } from "../src/complaint.js";
import { Store, type StoreOptions } from "../src/store.js";

describe("what a store is opened with", () => {
  // As it comes from a program without types: none of these may come as far as a process or a file.
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /^dir must be/],
    [{}, /^dir must be/],
    [{ dir: "" }, /^dir must be/],
    [{ host: 5 }, /^host must be/],
    [{ port: "8000" }, /^port must be/],
    [{ port: 65_536 }, /^port must be/],
    [{ port: Number.NaN }, /^port must be/],
    [{ mode: "one" }, /^mode must be "processes" or "single"; got one/],
    [{ credentials: "key" }, /^credentials must be/],
    // On another address than loopback these would stand for somebody who is known.
    [{ host: "0.0.0.0", credentials: [{}] }, /^credentials must be/],
    [{ credentials: [{ accessKeyId: "me" }] }, /^credentials must be/],
    [{ partitionsPerTable: 0 }, /^partitionsPerTable must be/],
    [{ spares: 10 }, /^spares must be/],
    [{ scrubEveryMs: 999 }, /^scrubEveryMs must be/],
    [{ onNews: "log" }, /^onNews must be a function/],
    [{ upkeep: { slotsKept: 0 } }, /^slotsKept must be/],
    [{ upkeep: { slotKept: 5 } }, /^upkeep knows no slotKept; it has slotsKept, /],
  ];

  it.each(cases)("is refused by its name: %j", async (options, message) => {
    const given = options as Partial<StoreOptions> | undefined;
    const whole = given === undefined || Object.keys(given).length === 0 ? given : { dir: "/proc/nowhere", ...given };
    await expect(Store.open(whole as StoreOptions)).rejects.toThrow(message);
  });
});

describe("what the command line says of a store that does not start", () => {
  const refused = (syscall: string): Error => Object.assign(new Error("refused"), { code: "EACCES", syscall });

  it("tells a port that is not for everybody from a directory that is not", () => {
    expect(complain(refused("listen"), "/data", "127.0.0.1", 80)).toBe(
      "port 80 cannot be listened on (EACCES): choose another one with --port, from 1024 on as a rule",
    );
    expect(complain(refused("mkdir"), "/data", "127.0.0.1", 80)).toMatch(
      /^the data directory \/data cannot be written/,
    );
  });
});
