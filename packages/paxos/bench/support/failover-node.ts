import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { GroupHost } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { tcpTransport } from "@evenkeel/paxos/transport";
import { Wal } from "@evenkeel/wal";

export const names = ["a", "b", "c"] as const;

export type ToFailoverNode =
  | { readonly type: "start"; readonly ports: Readonly<Record<string, number>> }
  | { readonly type: "handOver"; readonly to: string };

/** Times are of the machine's monotonic clock, which all its processes share. */
export type FromFailoverNode =
  | { readonly type: "listening"; readonly port: number }
  /** The first write of a reign was acknowledged. */
  | { readonly type: "serves"; readonly atMs: number }
  /** A reign is over; its last write was acknowledged then. */
  | { readonly type: "rests"; readonly lastMs: number }
  /** Follows a leader, and has what that one has. */
  | { readonly type: "follows" };

const commandBytes = 256;
const clients = 8;

export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

/** One of three nodes with the default lease. Whichever leads is written to all the time. */
export async function failoverNode(nodeId: string, dir: string, port: number): Promise<void> {
  const transport = await tcpTransport({ nodeId, port });
  const wal = await Wal.open({ dir, segmentBytes: 4 * 1024 * 1024 });
  const host = await GroupHost.open({ transport, storage: walStorage(wal) });
  const tell = (message: FromFailoverNode) => process.send?.(message);
  // The state is nothing but its slot; it comes to disk before the log behind it goes.
  const stateFile = `${dir}.state`;
  const stateMachine = { appliedThrough: existsSync(stateFile) ? Number(readFileSync(stateFile)) : 0, apply: () => 0 };
  const command = Buffer.alloc(commandBytes, "x");
  process.once("disconnect", () => process.exit());
  process.on("message", (message: ToFailoverNode) => {
    if (message.type === "start") void start(message.ports);
    else void host.group("bench")?.handOver(message.to);
  });
  tell({ type: "listening", port: transport.port });

  async function start(ports: Readonly<Record<string, number>>): Promise<void> {
    for (const name of names) transport.setPeer(name, { host: "127.0.0.1", port: ports[name] as number });
    const group = await host.join("bench", { members: names, stateMachine });
    let lastMs = 0;
    let served = false;
    const client = async () => {
      while (group.status().leading) {
        try {
          await group.propose(command);
        } catch {
          // Refused, or in doubt: the reign ends.
          return;
        }
        lastMs = machineMs();
        if (!served) tell({ type: "serves", atMs: lastMs });
        served = true;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    group.onLeadership(({ leading, ready }) => {
      if (!leading && served) tell({ type: "rests", lastMs });
      if (!leading) served = false;
      if (ready) for (let i = 0; i < clients; i++) void client();
    });
    const following = setInterval(() => {
      const { leader, leading, chosenThrough, appliedThrough } = group.status();
      if (leader === undefined || leading || chosenThrough === 0 || appliedThrough < chosenThrough) return;
      clearInterval(following);
      tell({ type: "follows" });
    }, 20);
    // What a node replays when it comes back is kept short: this is not about replaying.
    setInterval(() => {
      const { appliedThrough, trimmedThrough } = group.status();
      if (appliedThrough - trimmedThrough < 20_000) return;
      writeFileSync(stateFile, String(appliedThrough), { flush: true });
      void group.trim(appliedThrough - 10_000);
    }, 100).unref();
  }
}
