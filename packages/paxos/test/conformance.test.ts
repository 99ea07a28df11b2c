import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Wal } from "@evenkeel/wal";
import { describe, expect, it } from "vitest";
import { memoryStorage, type StateMachine } from "../src/index.js";
import { walStorage } from "../src/storage/index.js";
import {
  type ConformanceCase,
  type StateMachineUnderTest,
  type StorageUnderTest,
  stateMachineCases,
  storageCases,
  type TransportsUnderTest,
  transportCases,
} from "../src/testing/index.js";
import { inProcessNetwork, type TcpTransportOptions, type Transport, tcpTransport } from "../src/transport/index.js";
import { Counts } from "./support/counts.js";
import { FakeWal } from "./support/fake-wal.js";
import { stateMistakes } from "./support/state-mistakes.js";
import { storageMistakes } from "./support/storage-mistakes.js";
import { transportMistakes } from "./support/transport-mistakes.js";

function run(cases: readonly ConformanceCase[]): void {
  for (const one of cases) it(one.name, { timeout: 60_000 }, one.run);
}

/** Each mistake is noticed, each case notices one, and without a mistake nothing is. */
function bites<M>(mistakes: Record<string, M>, cases: (mistake: M | undefined) => ConformanceCase[]): void {
  const noticed = new Set<string>();
  const failing = async (mistake: M | undefined) => {
    const names: string[] = [];
    for (const { name, run } of cases(mistake)) await run().catch(() => names.push(name));
    return names;
  };
  it.each(Object.entries(mistakes))("notices who %s", { timeout: 60_000 }, async (_, mistake) => {
    const names = await failing(mistake);
    expect(names).not.toEqual([]);
    for (const name of names) noticed.add(name);
  });
  it("notices nothing in who makes none, and has no case that notices nobody", { timeout: 60_000 }, async () => {
    expect(await failing(undefined)).toEqual([]);
    expect(cases(undefined).filter(({ name }) => !noticed.has(name))).toEqual([]);
  });
}

describe("transports", () => {
  const inProcess = (names: readonly string[]): TransportsUnderTest => {
    const network = inProcessNetwork({ messagesMax: 1_000 });
    return { transports: names.map((name) => network.transport(name)), reopen: (name) => network.transport(name) };
  };

  describe("in one process", () => run(transportCases(inProcess, { queueBytesMax: 1_000 * 64 * 1024 })));

  describe("over TCP", () => {
    const tcp = async (names: readonly string[]): Promise<TransportsUnderTest> => {
      const secret = "a secret of sixteen bytes and more";
      const opened = (nodeId: string, options: Partial<TcpTransportOptions> = {}) =>
        tcpTransport({ nodeId, secret, backoffMinMs: 2, backoffMaxMs: 20, ...options });
      const transports = await Promise.all(names.map((name) => opened(name)));
      for (const a of transports)
        for (const b of transports) if (a !== b) a.setPeer(b.nodeId, { host: b.host, port: b.port });
      const all = [...transports];
      return {
        transports,
        reopen: async (nodeId) => {
          const peers = transports.filter((one) => one.nodeId !== nodeId);
          const again = await opened(nodeId, { port: transports.find((one) => one.nodeId === nodeId)?.port ?? 0 });
          for (const { nodeId: peer, host, port } of peers) again.setPeer(peer, { host, port });
          all.push(again);
          return again;
        },
        close: async () => void (await Promise.all(all.map((one) => one.close()))),
      };
    };
    run(transportCases(tcp));
  });

  describe("the suite", () =>
    bites(transportMistakes, (mistake) =>
      transportCases(
        (names) => {
          const { transports, reopen } = inProcess(names);
          const wrong = (one: Transport) => mistake?.(one) ?? one;
          return {
            transports: transports.map(wrong),
            reopen: async (name) => wrong((await reopen?.(name)) as Transport),
          };
        },
        { timeoutMs: mistake === undefined ? 10_000 : 50, messageBytesMax: 100_000, queueBytesMax: 1_000 * 64 * 1024 },
      ),
    ));
});

describe("storages", () => {
  const memory = (): StorageUnderTest => {
    const storage = memoryStorage();
    return { storage, reopen: () => storage };
  };
  /** Groups of the log, on a log in memory whose end a power cut takes away. */
  const cuttable = (): StorageUnderTest => {
    const wal = new FakeWal();
    return {
      storage: walStorage(wal),
      reopen: () => walStorage(wal),
      crash: () => {
        const crashed = new FakeWal();
        for (const [name, stream] of wal.streams) crashed.streams.set(name, stream.until(stream.lastSequence));
        return walStorage(crashed);
      },
    };
  };

  describe("in memory", () => run(storageCases(memory)));

  describe("in a real log", () => {
    const real = async (): Promise<StorageUnderTest> => {
      const dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-conformance-"));
      const opened = () => Wal.open({ dir, segmentBytes: 1024 * 1024 });
      let wal = await opened();
      return {
        storage: walStorage(wal),
        reopen: async () => {
          await wal.close();
          wal = await opened();
          return walStorage(wal);
        },
        close: async () => {
          await wal.close();
          await rm(dir, { recursive: true });
        },
      };
    };
    run(storageCases(real, { stepsMany: 60 }));
  });

  describe("the suite", () =>
    bites(storageMistakes, (mistake) =>
      storageCases(() => mistake?.(cuttable()) ?? cuttable(), { stepsMany: 60, commandBytesMax: 80_000 }),
    ));
});

describe("state machines", () => {
  const command = (slot: number) => Uint8Array.of((slot * 7) % 23);
  const counts = async (
    wrong: (machine: Counts) => StateMachine = (machine) => machine,
  ): Promise<StateMachineUnderTest> => {
    const dir = await mkdtemp(join(tmpdir(), "evenkeel-paxos-counts-"));
    const all: Counts[] = [];
    const opened = async (): Promise<StateMachineUnderTest> => {
      const machine = await new Counts(join(dir, "counts")).load();
      all.push(machine);
      return {
        stateMachine: wrong(machine),
        state: () => [...machine.counts].sort(([a], [b]) => a - b),
        reopen: async () => {
          await machine.end();
          return opened();
        },
        close: async () => {
          for (const one of all) await one.end();
          await rm(dir, { recursive: true });
        },
      };
    };
    return opened();
  };

  describe("one that keeps a file", () => run(stateMachineCases(counts, { command })));

  describe("one that begins anew each time", () => {
    const total = (): StateMachineUnderTest => {
      let sum = 0;
      return {
        stateMachine: { appliedThrough: 0, apply: ({ command: [by = 0] }) => (sum += by) },
        state: () => sum,
      };
    };
    run(stateMachineCases(total, { command }));
  });

  describe("the suite", () =>
    bites(stateMistakes, (mistake) => stateMachineCases(() => counts(mistake), { command, commandsMany: 60 })));
});

it("a suite that is asked for without what it is about says so at once", () => {
  expect(() => transportCases(undefined as never)).toThrow(expect.objectContaining({ code: "ERR_PAXOS_ARGUMENT" }));
  expect(() => storageCases({} as never)).toThrow(expect.objectContaining({ code: "ERR_PAXOS_ARGUMENT" }));
  expect(() => stateMachineCases(() => ({}) as never, undefined as never)).toThrow(/command/);
});
