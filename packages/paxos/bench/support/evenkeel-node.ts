import { GroupHost } from "@evenkeel/paxos";
import { walStorage } from "@evenkeel/paxos/storage";
import { tcpTransport } from "@evenkeel/paxos/transport";
import { Wal } from "@evenkeel/wal";
import { measured } from "./load.js";
import { names, onTold, tell } from "./processes.js";

const commandBytes = 256;
/** What stays in the log behind the state machine, in slots. */
const keptSlots = 8_000;

/** One node of a group of three, the package as a user runs it: TCP, a log with `fdatasync`, a state machine that counts. */
export async function evenkeelNode(nodeId: string, dir: string): Promise<void> {
  const transport = await tcpTransport({ nodeId });
  const wal = await Wal.open({ dir, segmentBytes: 4 * 1024 * 1024 });
  // The lease is long: what is measured is the steady state, and a busy machine must not turn it into a series of elections.
  const host = await GroupHost.open({ transport, storage: walStorage(wal), leaseMs: 2000 });
  tell({ type: "listening", port: transport.port });
  let applied = 0;
  const stateMachine = { appliedThrough: 0, apply: () => ++applied };
  const command = Buffer.alloc(commandBytes, "x");
  onTold(async (message) => {
    if (message.type === "start") {
      for (const name of names) transport.setPeer(name, { host: "127.0.0.1", port: message.ports[name] as number });
      const group = await host.join("bench", { members: names, stateMachine });
      group.onLeadership(({ ready }) => {
        if (ready) tell({ type: "leading" });
      });
      // The log is let go of behind the state machine, so that its segments are written again and again as in a long life.
      setInterval(() => {
        const { appliedThrough, trimmedThrough } = group.status();
        if (appliedThrough - trimmedThrough > 2 * keptSlots) void group.trim(appliedThrough - keptSlots);
      }, 100).unref();
      return;
    }
    const group = host.group("bench");
    if (!group) throw new Error("not started");
    // A read by lease is answered at once; its callers come from the event loop, or nothing else (no heartbeat) would ever have its turn.
    const read = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return group.read(() => applied);
    };
    const ask = message.demand.what === "write" ? () => group.propose(command) : read;
    tell({ type: "load", load: await measured(message.demand, ask) });
  });
}
