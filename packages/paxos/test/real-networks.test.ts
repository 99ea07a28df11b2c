import { describe, expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import { Namespaces, Proxies, type RealNetwork } from "./support/networks.js";
import { RealClients } from "./support/real-clients.js";
import { RealCluster, until } from "./support/real-cluster.js";

const names = ["a", "b", "c"];
/** Long enough for a busy machine not to depose leaders that are well. */
const leaseMs = 500;
const callers = 4;
/** What each of them is answered before the next trouble begins. */
const callsEach = 4;

/** Every kind of trouble, once each, under callers whose whole history is checked in the end. */
async function badDay(network: RealNetwork): Promise<void> {
  const cluster = await new RealCluster({ names, network, leaseMs }).open();
  try {
    const clients = new RealClients(cluster, callers);
    const others = (name: string) => names.filter((other) => other !== name);
    const healed = async () => {
      network.heal();
      await clients.served(callsEach);
    };
    await clients.served(callsEach);

    // Mute: nobody hears the leader, who hears everybody. The others elect one of them.
    let leader = await cluster.leader();
    for (const other of others(leader.name)) network.cut(leader.name, other);
    await cluster.leader(others(leader.name));
    await clients.served(callsEach);
    await healed();

    // Deaf: it hears nobody, and would keep them waiting for ever if it did not notice.
    leader = await cluster.leader();
    for (const other of others(leader.name)) network.cut(other, leader.name);
    await cluster.leader(others(leader.name));
    await clients.served(callsEach);
    // Nobody who asks the one that is cut off is told anything but that: its lease is over.
    const read = await leader.ask({ type: "call", op: { kind: "read", key: 0 } });
    expect(read?.code).toMatch(/^ERR_PAXOS_(NOT_LEADER|UNKNOWN_OUTCOME)$/);
    await healed();

    // Two that do not hear one another, the leader and one more, or in one direction only: the third hears both.
    leader = await cluster.leader();
    const [far] = others(leader.name) as [string];
    network.cut(far, leader.name);
    await clients.served(callsEach);
    network.cut(leader.name, far);
    await clients.served(callsEach);
    await healed();

    // Killed, and back from its log.
    leader = await cluster.leader();
    await leader.kill();
    await cluster.leader(others(leader.name));
    await clients.served(callsEach);
    await cluster.restart(leader.name);
    await clients.served(callsEach);

    // Suspended for longer than its lease: what it finds in its pipe when it wakes up it must not answer from what it believed.
    leader = await cluster.leader();
    leader.child.kill("SIGSTOP");
    await cluster.leader(others(leader.name));
    await clients.served(callsEach);
    leader.child.kill("SIGCONT");
    await clients.served(callsEach);

    // A follower is killed while the leader is cut off from the other one: nobody can write, until the way is open again.
    leader = await cluster.leader();
    const [dead, alive] = others(leader.name) as [string, string];
    network.cut(leader.name, alive);
    await cluster.node(dead).kill();
    await until(async () => (await leader.status())?.leading === false);
    await cluster.restart(dead);
    await healed();

    await clients.stop();
    const { ok } = clients.history.stats();
    expect(ok).toBeGreaterThanOrEqual(callers * callsEach * 13);
    await cluster.agree();
  } finally {
    await cluster.close();
  }
}

// Nearly all of the time passes in waiting for leases: side by side they take no longer than one of them.
describe.concurrent("three processes on a bad day", { timeout: 300_000 }, () => {
  it("are linearizable on loopback, through proxies that hold one direction back", () => badDay(new Proxies()));

  const missing = process.platform === "linux" ? missingCommand("ip", "iproute2") : "needs Linux: network namespaces";
  // Root is nothing that can be installed: without it the suite above stands alone.
  const refused = missing === undefined ? Namespaces.missing() : undefined;
  describeWith(missing, "in network namespaces", () => {
    it.skipIf(refused !== undefined)(
      `are linearizable, each in its own, joined by a bridge${refused === undefined ? "" : ` [skipped: ${refused}]`}`,
      () => badDay(new Namespaces(names)),
    );
  });
});
