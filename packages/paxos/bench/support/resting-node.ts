import { GroupHost } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { tcpTransport } from "@evenkeel/paxos/transport";
import { Wal } from "@evenkeel/wal";
import { names, onTold, tell } from "./processes.js";

/** How many groups are opened at once, and how many of those before may still be awake: until they sleep, each of them has heartbeats of its own. */
const atOnce = 250;

/** One node of `count` groups of which nothing is asked, with the times that the host has unless told. */
export async function restingNode(nodeId: string, dir: string, count: number): Promise<void> {
  const transport = await tcpTransport({ nodeId });
  const wal = await Wal.open({ dir });
  const host = await GroupHost.open({ transport, storage: walStorage(wal) });
  tell({ type: "listening", port: transport.port });
  const ids = Array.from({ length: count }, (_, i) => `bench/${i}`);
  onTold(async (message) => {
    if (message.type === "start") {
      for (const name of names) transport.setPeer(name, { host: "127.0.0.1", port: message.ports[name] as number });
      const stateMachine = () => ({ appliedThrough: 0, apply: () => 0 });
      for (let i = 0; i < count; i += atOnce) {
        const some = ids.slice(i, i + atOnce);
        await Promise.all(some.map((id) => host.join(id, { members: names, stateMachine: stateMachine() })));
        await until(() => host.stats().groupsAsleep >= i);
      }
      await until(() => host.stats().groupsAsleep === count);
      tell({ type: "leading" });
      return;
    }
    const led = ids.filter((id) => host.group(id)?.leadership().ready).length;
    const { user, system } = process.cpuUsage();
    tell({ type: "resting", led, messages: host.stats().messagesSent, cpuMs: (user + system) / 1000 });
  });
}

function until(condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = setInterval(() => {
      if (!condition()) return;
      clearInterval(look);
      resolve();
    }, 10);
  });
}
