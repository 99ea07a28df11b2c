import { GroupHost } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { tcpTransport } from "@evenkeel/paxos/transport";
import { Wal } from "@evenkeel/wal";
import { measured } from "./load.js";
import { names, onTold, tell } from "./processes.js";
import { Syncs, timedFileSystem } from "./syncs.js";

const commandBytes = 256;
/** What stays in the log behind the state machine: so little that its segments are written again and again, as in a long life. */
const logKeptBytesMax = 64 * 1024 * 1024;

/** One node of a group of three, the package as a user runs it: TCP, a log with `fdatasync`, a state machine that counts. */
export async function evenkeelNode(nodeId: string, dir: string): Promise<void> {
  const transport = await tcpTransport({ nodeId });
  const syncs = new Syncs();
  const wal = await Wal.open({ dir, fileSystem: timedFileSystem(syncs) });
  // The lease is long: what is measured is the steady state, and a busy machine must not turn it into a series of elections.
  const host = await GroupHost.open({ transport, storage: walStorage(wal), leaseMs: 2000, logKeptBytesMax });
  tell({ type: "listening", port: transport.port });
  let applied = 0;
  const stateMachine = {
    appliedThrough: 0,
    apply: () => ++applied,
    // Slots and commands are nearly one; what is not quite durable yet stays in the log.
    get durableThrough() {
      return applied;
    },
  };
  const command = Buffer.alloc(commandBytes, "x");
  onTold(async (message) => {
    if (message.type === "start") {
      for (const name of names) transport.setPeer(name, { host: "127.0.0.1", port: message.ports[name] as number });
      const group = await host.join("bench", { members: names, stateMachine });
      group.onLeadership(({ ready }) => {
        if (ready) tell({ type: "leading" });
      });
      return;
    }
    if (message.type !== "load") return;
    const group = host.group("bench");
    if (!group) throw new Error("not started");
    // A read by lease is answered at once; its callers come from the event loop, or nothing else (no heartbeat) would ever have its turn.
    const read = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return group.read(() => applied);
    };
    const ask = message.demand.what === "write" ? () => group.propose(command) : read;
    syncs.begin();
    const load = await measured(message.demand, ask);
    tell({ type: "load", load: { ...load, sync: syncs.p99 } });
  });
}
