import { Wal } from "@evenkeel/wal";
import { BALLOT_ZERO } from "../../src/core/index.js";
import { type Group, GroupHost, PaxosError } from "../../src/index.js";
import { walStorage } from "../../src/storage/index.js";
import { tcpTransport } from "../../src/transport/index.js";
import { encodeSwap, Machine, type Op } from "../support/machine.js";

/** What a test asks of a node that keeps registers, in a process of its own. */
export type Ask =
  | { readonly type: "start"; readonly peers: Readonly<Record<string, { host: string; port: number }>> }
  | { readonly type: "call"; readonly op: Op }
  | { readonly type: "state" }
  | { readonly type: "hand-over"; readonly to: string }
  | { readonly type: "status" };

export interface Answer {
  readonly ask: number;
  readonly value?: unknown;
  readonly code?: string;
  /** Who leads, as far as this node knows. */
  readonly leader?: string | undefined;
}

const [nodeId = "", dir = "", address = "127.0.0.1", leaseMs = "300"] = process.argv.slice(2);
const transport = await tcpTransport({
  nodeId,
  host: address,
  port: 0,
  backoffMinMs: 5,
  backoffMaxMs: 50,
  stallTimeoutMs: 500,
  secret: "sixteen bytes at the least",
});
const wal = await Wal.open({ dir, segmentBytes: 256 * 1024 });
const host = await GroupHost.open({ transport, storage: walStorage(wal), leaseMs: Number(leaseMs) });
const machine = new Machine();
const stateMachine = {
  appliedThrough: 0,
  apply: ({ slot, command }: { slot: number; command: Uint8Array }): number => {
    // No-ops are not told of.
    machine.appliedThrough = slot - 1;
    return machine.apply({ kind: "command", slot, ballot: BALLOT_ZERO, command }) as number;
  },
};
let group: Group<number> | undefined;

async function answer(ask: Ask): Promise<unknown> {
  if (ask.type === "start") {
    for (const [name, peer] of Object.entries(ask.peers)) if (name !== nodeId) transport.setPeer(name, peer);
    group ??= await host.join("g", { members: Object.keys(ask.peers), stateMachine });
    return true;
  }
  if (!group) throw new PaxosError("ERR_PAXOS_CLOSED", "not started");
  switch (ask.type) {
    case "call": {
      const { op } = ask;
      // What the bytes are beside key and value does not matter; enough of them that logs grow.
      return op.kind === "swap"
        ? group.propose(encodeSwap(op.key, op.value, 400))
        : group.read(() => machine.get(op.key));
    }
    case "state":
      return machine.fingerprint();
    case "hand-over":
      return group.handOver(ask.to);
    case "status": {
      const { failure, ...status } = group.status();
      return { ...status, failed: failure?.code };
    }
  }
}

process.on("message", (message: { ask: number } & Ask) => {
  const reply = (rest: Partial<Answer>) => process.send?.({ ask: message.ask, ...rest });
  answer(message).then(
    (value) => reply({ value, leader: nodeId }),
    (error: unknown) =>
      reply(error instanceof PaxosError ? { code: error.code, leader: error.leader } : { code: String(error) }),
  );
});
process.once("disconnect", () => process.exit());
process.send?.({ ask: 0, value: transport.port } satisfies Answer);
