import { describe, expect, it } from "vitest";
import { Gate } from "../src/storage/gate.js";

describe("the gate in front of the log", () => {
  it("lets who waited and who came later finish in the order in which they came", async () => {
    const gate = new Gate(10);
    const begun: string[] = [];
    const done: string[] = [];
    let sync: () => void = () => {};
    let synced = new Promise<void>((resolve) => {
      sync = resolve;
    });
    const write = (name: string, bytes: number) =>
      gate
        .pass(bytes, () => {
          begun.push(name);
          return synced;
        })
        .then(() => done.push(name));
    const first = write("first", 10);
    const waited = write("waited", 5);
    sync();
    synced = new Promise<void>((resolve) => {
      sync = resolve;
    });
    await first;
    expect(begun).toEqual(["first", "waited"]);
    const direct = write("direct", 5);
    expect(begun).toEqual(["first", "waited", "direct"]);
    // One sync of the log serves both.
    sync();
    await Promise.all([waited, direct]);
    expect(done).toEqual(["first", "waited", "direct"]);
  });
});
