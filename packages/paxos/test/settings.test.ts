import { describe, expect, it } from "vitest";
import { settings } from "../src/core/options.js";
import { GroupHost, inProcessNetwork, memoryStorage, snapshotOf } from "../src/index.js";
import { walStorage } from "../src/storage/index.js";
import { tcpTransport } from "../src/transport/index.js";

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

describe("an option that there is not", () => {
  const refusal = (message: string) => ({
    code: "ERR_PAXOS_ARGUMENT",
    message: expect.stringContaining(message) as string,
  });

  it("is named, and the right one where it is near", async () => {
    const network = inProcessNetwork();
    const storage = memoryStorage();
    const transport = network.transport("a");
    const open = (options: object) => GroupHost.open({ transport, storage, ...options });
    await expect(open({ lease: 5 })).rejects.toMatchObject(
      refusal('an option of GroupHost.open must be leaseMs or leaseReads, got "lease"'),
    );
    await expect(open({ tickMs: null })).rejects.toMatchObject(refusal("tickMs must be"));
    await expect(GroupHost.open(5 as never)).rejects.toMatchObject(refusal("options must be"));
    await expect(GroupHost.open(undefined as never)).rejects.toMatchObject(refusal("transport must be"));
    const host = await open({ leaseMs: 400 });
    await expect(host.join("g", { members: ["a"], statemachine: {} } as never)).rejects.toMatchObject(
      refusal("an option of join must be stateMachine"),
    );
    await expect(host.join("g", undefined as never)).rejects.toMatchObject(refusal("members must be"));
    await host.close();
    await expect(tcpTransport({ nodeId: "a", frameByteMax: 5 } as never)).rejects.toMatchObject(
      refusal("an option of tcpTransport must be frameBytesMax"),
    );
    const wal = { stream: () => {} } as never;
    expect(() => walStorage(wal, { uncertain: "trust" } as never)).toThrow(/must be uncertainTail/);
    expect(() => inProcessNetwork({ messageMax: 5 } as never)).toThrow(/must be messagesMax/);
    expect(() => snapshotOf(1, undefined as never)).toThrow(/^bytes must be/);
  });
});
