import { Wal } from "@evenkeel/wal";
import { type Group, GroupHost, PaxosError } from "../../src/index.js";
import { walStorage } from "../../src/storage/index.js";
import { tcpTransport } from "../../src/transport/index.js";

/** What the test asks of a node in a process of its own; every question has an answer, unless the process dies first. */
export type Ask =
  | { readonly type: "start"; readonly ports: Readonly<Record<string, number>> }
  | { readonly type: "propose"; readonly command: string }
  | { readonly type: "read" }
  | { readonly type: "journal" }
  | { readonly type: "status" };

export interface Answer {
  readonly ask: number;
  readonly value?: unknown;
  readonly code?: string;
}

const [nodeId = "", dir = "", port = "0", leaseMs = "300"] = process.argv.slice(2);
const members = ["a", "b", "c"];
const transport = await tcpTransport({
  nodeId,
  port: Number(port),
  backoffMinMs: 5,
  backoffMaxMs: 50,
  secret: "sixteen bytes at the least",
});
const wal = await Wal.open({ dir, segmentBytes: 1024 * 1024 });
const host = await GroupHost.open({ transport, storage: walStorage(wal), leaseMs: Number(leaseMs) });
const commands: string[] = [];
const stateMachine = {
  appliedThrough: 0,
  apply: ({ command }: { command: Uint8Array }) => commands.push(Buffer.from(command).toString("utf8")),
};
let group: Group<number> | undefined;

async function answer(ask: Ask): Promise<unknown> {
  if (ask.type === "start") {
    for (const name of members) transport.setPeer(name, { host: "127.0.0.1", port: ask.ports[name] as number });
    group = await host.join("g", { members, stateMachine });
    return true;
  }
  if (!group) throw new PaxosError("ERR_PAXOS_CLOSED", "not started");
  if (ask.type === "propose") return group.propose(Buffer.from(ask.command, "utf8"));
  if (ask.type === "read") return group.read(() => [...commands]);
  if (ask.type === "journal") return commands;
  return group.status();
}

process.on("message", (message: { ask: number } & Ask) => {
  answer(message).then(
    (value) => process.send?.({ ask: message.ask, value } satisfies Answer),
    (error: unknown) =>
      process.send?.({
        ask: message.ask,
        code: error instanceof PaxosError ? error.code : String(error),
      } satisfies Answer),
  );
});
process.once("disconnect", () => process.exit());
process.send?.({ ask: 0, value: transport.port } satisfies Answer);
