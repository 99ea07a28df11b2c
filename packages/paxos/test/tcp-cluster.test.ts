import { afterEach, describe, expect, it } from "vitest";
import { bytes, TcpCluster, until } from "./support/cluster.js";

let cluster: TcpCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

describe("three nodes over TCP, each with its log on disk", () => {
  it("elect, write, read, lose the leader without a word, go on, and take it back", async () => {
    // Long enough for a busy machine not to depose who is told to carry all of this out.
    cluster = await new TcpCluster(["a", "b", "c"], { leaseMs: 1000 }).open();
    const first = await cluster.leader();
    const results = await Promise.all(Array.from({ length: 200 }, (_, i) => first.group.propose(bytes(`w${i}`))));
    expect(results).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(await first.group.read(() => first.journal.commands.length)).toBe(200);
    expect(first.group.status().leaseRemainingMs).toBeGreaterThan(0);

    await cluster.drop(first.nodeId);
    const second = await cluster.leader();
    expect(second.nodeId).not.toBe(first.nodeId);
    expect(await second.group.read(() => [...second.journal.commands])).toEqual(first.journal.commands);
    for (let i = 0; i < 20; i++) await second.group.propose(bytes(`x${i}`));

    const again = await cluster.start(first.nodeId);
    await until(() => again.journal.commands.length === 220);
    for (const node of cluster.nodes.values()) {
      await until(() => node.journal.commands.length === 220);
      expect(node.journal.commands).toEqual(second.journal.commands);
      expect(node.journal.slots).toEqual([...node.journal.slots].sort((a, b) => a - b));
    }
  });
});
