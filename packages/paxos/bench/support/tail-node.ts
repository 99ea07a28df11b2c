import { GroupHost } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { tcpTransport } from "@evenkeel/paxos/transport";
import { Wal } from "@evenkeel/wal";

export const founders = ["a", "b", "c"] as const;
export const spare = "l";

export type ToTailNode =
  | { readonly type: "start"; readonly ports: Readonly<Record<string, number>> }
  /** Writes until the log holds so much. */
  | { readonly type: "fill"; readonly bytes: number }
  | { readonly type: "replace"; readonly failed: string; readonly by: string };

export type FromTailNode =
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "leading" }
  | { readonly type: "filled" }
  | { readonly type: "replaced"; readonly seconds: number; readonly stallMs: number; readonly writes: number };

const commandBytes = 1024;
const clients = 8;

/** A node whose log is never let go of, so that there is a tail to copy; `spare` joins as a log replica. */
export async function tailNode(nodeId: string, dir: string): Promise<void> {
  const transport = await tcpTransport({ nodeId });
  const wal = await Wal.open({ dir });
  // The lease is long: what is measured is the copying, and a busy machine must not turn it into an election.
  const host = await GroupHost.open({ transport, storage: walStorage(wal), leaseMs: 2000 });
  const tell = (message: FromTailNode) => process.send?.(message);
  const command = Buffer.alloc(commandBytes, "x");
  const group = () => host.group("bench") ?? fail();
  process.once("disconnect", () => process.exit());
  process.on("message", (message: ToTailNode) => {
    if (message.type === "start") void start(message.ports);
    else if (message.type === "fill") void fill(message.bytes);
    else void replace(message.failed, message.by);
  });
  tell({ type: "listening", port: transport.port });

  async function start(ports: Readonly<Record<string, number>>): Promise<void> {
    for (const [name, port] of Object.entries(ports)) transport.setPeer(name, { host: "127.0.0.1", port });
    const machine = { appliedThrough: 0, apply: () => 0 };
    const role = nodeId === spare ? ({ role: "log" } as const) : { stateMachine: machine };
    const joined = await host.join("bench", { members: founders, ...role });
    joined.onLeadership(({ ready }) => {
      if (ready) tell({ type: "leading" });
    });
  }

  async function fill(bytes: number): Promise<void> {
    let left = Math.ceil(bytes / commandBytes);
    const client = async () => {
      while (left-- > 0) await group().propose(command);
    };
    await Promise.all(Array.from({ length: 256 }, client));
    tell({ type: "filled" });
  }

  /** What a user of the group sees meanwhile: writes all the time, and the longest time without an answer. */
  async function replace(failed: string, by: string): Promise<void> {
    let running = true;
    let lastMs = performance.now();
    let stallMs = 0;
    let writes = 0;
    const client = async () => {
      while (running) {
        await group().propose(command);
        const now = performance.now();
        stallMs = Math.max(stallMs, now - lastMs);
        lastMs = now;
        writes++;
      }
    };
    const all = Array.from({ length: clients }, client);
    const startedMs = performance.now();
    await group().replaceWithLogReplica({ failed, by });
    const seconds = (performance.now() - startedMs) / 1000;
    running = false;
    await Promise.all(all);
    tell({ type: "replaced", seconds, stallMs, writes });
  }
}

function fail(): never {
  throw new Error("not started");
}
