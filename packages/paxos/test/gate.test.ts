import { describe, expect, it } from "vitest";
import { Gate } from "../src/storage/gate.js";

describe("the gate in front of the log", () => {
  it("lets those who wait begin in the order in which they came, and nobody past them", () => {
    const gate = new Gate(10);
    const begun: string[] = [];
    const write = (name: string, bytes: number) => {
      if (gate.enter(bytes)) begun.push(name);
      else gate.wait(bytes, () => begun.push(name));
    };
    write("first", 10);
    write("waited", 5);
    write("large", 10);
    // There would be room for it beside "waited", but not before "large".
    write("small", 1);
    expect(begun).toEqual(["first"]);
    gate.leave(10);
    expect(begun).toEqual(["first", "waited"]);
    write("direct", 1);
    expect(begun).toEqual(["first", "waited"]);
    gate.leave(5);
    expect(begun).toEqual(["first", "waited", "large"]);
    gate.leave(10);
    expect(begun).toEqual(["first", "waited", "large", "small", "direct"]);
    gate.leave(1);
    gate.leave(1);
    write("later", 10);
    expect(begun.at(-1)).toBe("later");
  });

  it("lets what is larger than all that may be under way pass alone", () => {
    const gate = new Gate(10);
    expect(gate.enter(50)).toBe(true);
    expect(gate.enter(1)).toBe(false);
    gate.leave(50);
    expect(gate.enter(1)).toBe(true);
  });
});
