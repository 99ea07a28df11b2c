import { describe, expect, it } from "vitest";
import { Tails } from "../src/core/index.js";
import { settings } from "../src/core/options.js";
import { type GroupHostOptions, hostSettings } from "../src/host/options.js";
import { GroupHost, inProcessNetwork, memoryStorage, snapshotOf } from "../src/index.js";
import { walStorage } from "../src/storage/index.js";
import { tcpTransport } from "../src/transport/index.js";

const hour = 3_600_000;
const gigabyte = 2 ** 30;
const ever = Number.MAX_SAFE_INTEGER;

type Bounds = Record<string, readonly [number, number]>;

/** What of these is taken at its ends and not beyond, nor between two numbers. */
function misjudged(bounds: Bounds, take: (options: Record<string, unknown>) => unknown): string[] {
  const wrong: string[] = [];
  for (const [name, [least, most]] of Object.entries(bounds)) {
    for (const value of [least, most]) {
      try {
        take({ [name]: value });
      } catch (error) {
        wrong.push(String(error));
      }
    }
    for (const value of [least - 1, most + 1, least + 0.5, Number.NaN, "7"]) {
      // Where whole numbers end there is none that is too high.
      if (value === ever + 1) continue;
      try {
        take({ [name]: value });
        wrong.push(`${name} ${value}`);
      } catch (error) {
        if (!String(error).includes(`${name} must be`)) wrong.push(`${name} ${value}: ${error}`);
      }
    }
  }
  return wrong;
}

describe("what follows from a core's options", () => {
  const base = { nodeId: "a", members: ["a", "b"], random: () => 0.5 };

  it("is shared by all who are given the same, and by nobody else", () => {
    const options = { ...base, members: ["a", "b"], leaseMs: 400 };
    const first = settings(options);
    expect(settings({ ...options, members: ["a", "b"] })).toBe(first);
    expect(settings({ ...options, nodeId: "b" })).toMatchObject({ nodeId: "b", leaseMs: 400 });
    expect(settings({ ...options, leaseMs: 600 })).toMatchObject({ leaseMs: 600, quorumLostMs: 1200 });
    expect(settings({ ...options, mute: true }).mute).toBe(true);
    expect(settings(options).mute).toBe(false);
    expect(() => settings({ ...options, heartbeatMs: 201 })).toThrow(/heartbeatMs/);
    expect(settings({ ...options, members: ["a", "c"] }).founders.storage).toEqual(["a", "c"]);
    // Many nodes in one process: as many as are remembered, and one more.
    for (let node = 0; node < 17; node++) expect(settings({ ...options, nodeId: `n${node}` }).nodeId).toBe(`n${node}`);
    // The caller's own array, changed behind our back.
    settings(options);
    options.members.push("c");
    expect(settings(options).founders.storage).toEqual(["a", "b", "c"]);
    expect(first.founders.storage).toEqual(["a", "b"]);
  });

  it("is what is told, within bounds, and refused beyond", () => {
    const bounds: Bounds = {
      heartbeatMs: [1, 150],
      electionJitterMs: [1, hour],
      voteTimeoutMs: [1, hour],
      quorumLostMs: [300, 2 * hour],
      diskStallMs: [300, 24 * hour],
      pipelineSlotsMax: [1, 1 << 20],
      queueMax: [0, 1 << 24],
      queueBytesMax: [0, gigabyte],
      readsMax: [1, 1 << 24],
      commandBytesMax: [1, 8 << 20],
      messageBytesMax: [1, gigabyte],
      tailBytesMax: [0, gigabyte],
      sleepAfterMs: [0, ever],
      candidateLagMax: [0, ever],
    };
    expect(misjudged(bounds, (options) => settings({ ...base, ...options }))).toEqual([]);
    const lease: Bounds = { leaseMs: [2, hour] };
    expect(misjudged(lease, (options) => settings({ ...base, heartbeatMs: 1, ...options }))).toEqual([]);
    const pipeline: Bounds = { pipelineBytesMax: [1, gigabyte] };
    expect(misjudged(pipeline, (options) => settings({ ...base, commandBytesMax: 1, ...options }))).toEqual([]);
    for (const clockDriftMax of [0, 0.5])
      expect(settings({ ...base, clockDriftMax }).clockDriftMax).toBe(clockDriftMax);
    for (const wrong of [
      { clockDriftMax: -0.01 },
      { clockDriftMax: 0.51 },
      { leaseReads: 1 },
      { role: "voter" },
      { awaitsState: 1 },
      { tails: {} },
      { random: 0.5 },
      { nodeId: "" },
      { nodeId: 1 },
      { members: [] },
      { members: ["a", ""] },
      { members: ["a", 1] },
      { members: "a" },
    ]) {
      expect(() => settings({ ...base, ...wrong } as never), JSON.stringify(wrong)).toThrow(Object.keys(wrong)[0]);
    }
  });

  it("is, where nothing is told, as the documentation has it", () => {
    const told = settings({ ...base, quorumLostMs: undefined as never });
    expect(told).toMatchObject({ role: "storage", awaitsState: false, doubtful: false, takesRequests: false });
    expect(told).toMatchObject({
      leaseMs: 300,
      heartbeatMs: 50,
      quorumLostMs: 600,
      diskStallMs: 3000,
      tails: undefined,
    });
    expect(told.leaseUsableMs).toBeCloseTo((300 * 0.9) / 1.1);
    expect(settings({ ...base, role: "log" }).takesRequests).toBe(true);
    expect(settings({ ...base, takesRequests: true, doubtful: true })).toMatchObject({
      takesRequests: true,
      doubtful: true,
    });
  });
});

describe("what follows from a host's options", () => {
  const transport = inProcessNetwork().transport("a");
  const storage = memoryStorage();
  const take = (options: Record<string, unknown>) =>
    hostSettings({ transport, storage, ...options } as GroupHostOptions, transport);

  it("is what is told, within bounds, and refused beyond", () => {
    const bounds: Bounds = {
      tickMs: [1, 60_000],
      outstandingMax: [1, 1 << 20],
      outstandingBytesMax: [1, gigabyte],
      logKeptBytesMax: [0, ever],
      logsKeptBytesMax: [0, ever],
      snapshotBytesPerSecondMax: [1, 2 ** 40],
      snapshotPieceBytes: [1, 2 ** 24],
      packAfterMs: [0, ever],
      batchesMax: [1, 1 << 20],
      tailsBytesMax: [0, ever],
    };
    expect(misjudged(bounds, take)).toEqual([]);
    for (const wrong of [
      { nodeId: "b" },
      { snapshotDir: "" },
      { snapshotDir: 7 },
      { now: 7 },
      { random: 7 },
      { leaseMs: 1 },
    ]) {
      expect(() => take(wrong), JSON.stringify(wrong)).toThrow(Object.keys(wrong)[0]);
    }
    expect(() => hostSettings({ transport } as never, transport)).toThrow("storage");
  });

  it("reaches each group, whose queue takes all that the host lets in", () => {
    const { tuning, tails } = take({ outstandingMax: 9, outstandingBytesMax: 70, leaseMs: 400, tailsBytesMax: 11 });
    expect(tuning).toEqual({ leaseMs: 400, queueMax: 9, queueBytesMax: 70, tails });
    expect([tails instanceof Tails, tails.bytesMax]).toEqual([true, 11]);
    expect(take({})).toMatchObject({ commandBytesMax: 1 << 20, readsMax: 65_536, packAfterMs: 30_000, batchesMax: 2 });
    expect(take({ commandBytesMax: 5, readsMax: 6 })).toMatchObject({ commandBytesMax: 5, readsMax: 6 });
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
    // A core's own, which follows from `outstandingMax`.
    await expect(open({ queueMax: 5 })).rejects.toMatchObject(refusal("GroupHost.open must be"));
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
