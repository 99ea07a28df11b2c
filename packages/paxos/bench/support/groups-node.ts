import { GroupHost } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { tcpTransport } from "@evenkeel/paxos/transport";
import { Wal } from "@evenkeel/wal";
import { measured } from "./load.js";
import { names, onTold, tell } from "./processes.js";

const commandBytes = 256;

/**
 * One node of `count` groups of three, written to at whichever node is asked. The lease is long, as it has to be where each group has its own heartbeats.
 */
export async function groupsNode(nodeId: string, dir: string, count: number): Promise<void> {
  const transport = await tcpTransport({ nodeId });
  const wal = await Wal.open({ dir });
  const host = await GroupHost.open({
    transport,
    storage: walStorage(wal),
    heartbeatMs: 2000,
    leaseMs: 10_000,
    electionJitterMs: 5000,
    // One group takes as many callers as all of them together elsewhere.
    outstandingMax: 65_536,
    // All of them are used: they sleep only until the last of them is led.
    packAfterMs: Number.MAX_SAFE_INTEGER,
  });
  tell({ type: "listening", port: transport.port });
  const command = Buffer.alloc(commandBytes, "x");
  onTold(async (message) => {
    if (message.type === "start") {
      for (const name of names) transport.setPeer(name, { host: "127.0.0.1", port: message.ports[name] as number });
      await Promise.all(
        Array.from({ length: count }, (_, i) =>
          host.join(`bench/${i}`, { members: names, stateMachine: { appliedThrough: 0, apply: () => 0 } }),
        ),
      );
      // Where a group is led is the nodes' own affair: each leads some, and all of them are led.
      const led = setInterval(() => {
        for (let i = 0; i < count; i++) if (host.group(`bench/${i}`)?.leadership().leader === undefined) return;
        clearInterval(led);
        tell({ type: "leading" });
      }, 200);
      return;
    }
    if (message.type !== "load") return;
    const led = Array.from({ length: count }, (_, i) => host.group(`bench/${i}`)).filter(
      (group) => group?.leadership().ready,
    );
    let next = 0;
    let answered = 0;
    const ask = async () => {
      try {
        await led[next++ % led.length]?.propose(command);
        answered++;
      } catch {
        // It is led elsewhere now. Who came back at once would be counted as if it had been answered.
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
    };
    const { clients, ms } = message.demand;
    const before = cpuMs();
    const ended = new Promise((resolve) => setTimeout(resolve, ms));
    const load = await measured({ ...message.demand, clients: Math.round((clients * led.length) / count) }, ask);
    // A node that leads nothing has its part in what the others do.
    await ended;
    const throughput = led.length === 0 ? 0 : load.throughput;
    tell({ type: "load", load: { ...load, throughput }, cpuMs: cpuMs() - before, answered });
  });
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
