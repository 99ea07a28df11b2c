import type { MemdsCarrier } from "@evenkeel/memds";
import type { RpcClient } from "./client.js";

/** As long as the client of the fleet waits by itself. */
const TIMEOUT_MS = 1_000;

/**
 * The way of a router's look-ups to a node's member of the memds fleet: in the frame that takes the turn's requests there. On a connection of their own they cost either side a
 * system call and a wake-up for each turn, which was more than all the rest of their work.
 */
export function carrierTo(nodeId: string, client: Pick<RpcClient, "call" | "isDue">): MemdsCarrier {
  return {
    name: nodeId,
    get isDue() {
      return client.isDue;
    },
    carry: (frame) => client.call("lookUp", { frame }, { timeoutMs: TIMEOUT_MS }),
  };
}
