import { describe, expect, it } from "vitest";
import { settings } from "../src/core/options.js";

describe("what follows from a core's options", () => {
  it("is shared by all who are given the same, and by nobody else", () => {
    const options = { nodeId: "a", members: ["a", "b"], random: () => 0.5, leaseMs: 400 };
    const first = settings(options);
    expect(settings({ ...options, members: ["a", "b"] })).toBe(first);
    expect(settings({ ...options, nodeId: "b" })).toMatchObject({ nodeId: "b", leaseMs: 400 });
    expect(settings({ ...options, leaseMs: 600 })).toMatchObject({ leaseMs: 600, quorumLostMs: 1200 });
    expect(settings({ ...options, mute: true }).mute).toBe(true);
    expect(settings(options).mute).toBe(false);
    expect(() => settings({ ...options, heartbeatMs: 201 })).toThrow(/heartbeatMs/);
    // The caller's own array, changed behind our back.
    options.members.push("c");
    expect(settings(options).founders.storage).toEqual(["a", "b", "c"]);
    expect(first.founders.storage).toEqual(["a", "b"]);
  });
});
