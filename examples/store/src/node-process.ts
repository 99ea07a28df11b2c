/** One storage node as a process of its own. Started by the supervisor, which hands it its settings and tells it where its peers are. */

import { tcpTransport } from "@evenkeel/paxos/transport";
import { FileObjectStore } from "@evenkeel/wal/archive";
import { archiveDir, NODE_IDS, nodeDir, zoneOf } from "./control/fleet.js";
import { growHeapInLargeSteps } from "./control/heap-growth.js";
import { watchNews } from "./control/news.js";
import type { FromNode, NodeSettings, ToNode } from "./control/node-messages.js";
import { tellingCode } from "./control/telling-code.js";
import { reason } from "./reason.js";
import { RpcClient } from "./rpc/client.js";
import { RpcServer } from "./rpc/server.js";
import { StorageNode } from "./storage-node/node.js";

const HOST = "127.0.0.1";
const LOOK_EVERY_MS = 100;
const ORPHAN_ENDS_WITHIN_MS = 5_000;

function tell(message: FromNode): void {
  if (process.connected) process.send?.(message);
}

function fail(error: unknown): void {
  tell({ kind: "failed", code: tellingCode(error), message: reason(error) });
  // The log is closed by the kernel; what was acknowledged is on disk, and nothing else was promised.
  setImmediate(() => process.exit(1));
}

/** Until the node is open there is nothing to close that a crash would not close as well. */
let stop = async (): Promise<void> => process.exit(0);

/** Without its supervisor a node is an orphan that holds locks and ports. */
function orphaned(): void {
  setTimeout(() => process.exit(1), ORPHAN_ENDS_WITHIN_MS).unref();
  stop().catch(() => process.exit(1));
}

async function main({ nodeId, dir, partitionsPerTable, upkeep }: NodeSettings): Promise<void> {
  growHeapInLargeSteps();
  const transport = await tcpTransport({ nodeId, host: HOST, port: 0, peers: {} });
  const clients = new Map<string, RpcClient>();
  const clientTo = (id: string): RpcClient => {
    const client = clients.get(id) ?? new RpcClient();
    clients.set(id, client);
    return client;
  };
  let nodeIds: readonly string[] = [nodeId];
  const node = await StorageNode.open({
    nodeId,
    zone: zoneOf(nodeId),
    dir: nodeDir(dir, nodeId),
    founders: NODE_IDS,
    nodeIds: () => nodeIds,
    transport,
    archive: new FileObjectStore({ dir: archiveDir(dir) }),
    callerTo: clientTo,
    partitionsPerTable,
    upkeep,
    onFailure: fail,
  });
  const rpc = await RpcServer.listen(node.handlers, { host: HOST });

  let stopping = false;
  stop = async () => {
    if (stopping) return;
    stopping = true;
    await rpc.close();
    for (const client of clients.values()) await client.close();
    await node.close();
    await transport.close();
    process.exit(0);
  };
  process.on("message", (message: ToNode) => {
    if (message.kind === "stop") stop().catch(fail);
    else {
      nodeIds = message.nodeIds;
      for (const [id, { paxosPort, rpcPort }] of Object.entries(message.peers)) {
        clientTo(id).setAddress({ host: HOST, port: rpcPort });
        if (id !== nodeId) transport.setPeer(id, { host: HOST, port: paxosPort });
      }
    }
  });
  const looking = setInterval(() => {
    if (!node.knowsMetadata) return;
    clearInterval(looking);
    tell({ kind: "knows-metadata" });
  }, LOOK_EVERY_MS).unref();
  watchNews((line) => tell({ kind: "news", line }));
  tell({ kind: "listening", addresses: { paxosPort: transport.port, rpcPort: rpc.port, memdsPort: node.memds.port } });
}

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
process.on("disconnect", orphaned);
process.on("SIGTERM", () => void stop().catch(fail));
// Ctrl-C reaches the whole process group; the supervisor decides when each node stops.
process.on("SIGINT", () => undefined);
// The supervisor may have died while this program was still being loaded.
if (process.connected) main(JSON.parse(process.argv[2] ?? "{}") as NodeSettings).catch(fail);
else orphaned();
