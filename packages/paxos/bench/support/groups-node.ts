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
        const status = Array.from({ length: count }, (_, i) => host.group(`bench/${i}`)?.status());
        if (!status.every((one) => one?.leader !== undefined)) return;
        clearInterval(led);
        tell({ type: "leading" });
      }, 200);
      return;
    }
    if (message.type !== "load") return;
    const led = Array.from({ length: count }, (_, i) => host.group(`bench/${i}`)).filter(
      (group) => group?.status().ready,
    );
    let next = 0;
    const ask = async () => {
      const group = led[next++ % led.length];
      if (group === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
      else await group.propose(command).catch(() => {});
    };
    const load = await measured(message.demand, ask);
    tell({ type: "load", load: led.length === 0 ? { ...load, throughput: 0 } : load });
  });
}
