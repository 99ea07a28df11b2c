import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { describeWith, missingCommand } from "../../../scripts/needs.js";
import { builtLibrary, MoodyDisk } from "./support/moody-disk.js";
import { Proxies } from "./support/networks.js";
import { RealClients } from "./support/real-clients.js";
import { RealCluster, until } from "./support/real-cluster.js";

const names = ["a", "b", "c"];
const callers = 4;
const EIO = 5;
const ENOSPC = 28;

const missing = process.platform === "linux" ? missingCommand("cc", "gcc") : "needs Linux: LD_PRELOAD";

describeWith(missing, "three processes on disks that are slow, full or broken", () => {
  it("serve on, give leadership away where it must be, and come back with every answer right", {
    timeout: 300_000,
  }, async () => {
    const work = await mkdtemp(join(tmpdir(), "evenkeel-paxos-disks-"));
    const library = await builtLibrary(work);
    const disks = new Map(names.map((name) => [name, new MoodyDisk(library, join(work, name))]));
    const disk = (name: string) => disks.get(name) as MoodyDisk;
    const environment = (name: string) => disk(name).environment;
    const cluster = new RealCluster({ names, network: new Proxies(), leaseMs: 500, environment });
    try {
      await cluster.open();
      const clients = new RealClients(cluster, callers);
      await clients.served(4);
      const others = (name: string) => names.filter((other) => other !== name);

      // A slow follower. If each write waited for that disk, each of its syncs would end one write a caller at the most, and this would never come true.
      let leader = await cluster.leader();
      const [slow] = others(leader.name) as [string];
      disk(slow).set({ syncMs: 300 });
      const [syncs, answered] = [disk(slow).syncs, clients.writesAnswered];
      await until(() => {
        const ended = disk(slow).syncs - syncs;
        return ended >= 3 && clients.writesAnswered - answered > 3 * callers * (ended + 2);
      });
      disk(slow).set({});

      const troubles = [
        { who: "leader", mood: { syncErrno: EIO } },
        { who: "leader", mood: { writeErrno: ENOSPC } },
        { who: "follower", mood: { writeErrno: ENOSPC } },
      ] as const;
      for (const { who, mood } of troubles) {
        leader = await cluster.leader();
        const victim = who === "leader" ? leader : cluster.node(others(leader.name)[0] as string);
        disk(victim.name).set(mood);
        // It says so, and never tries that disk again: not even when it is well.
        await until(async () => (await victim.status())?.failed === "ERR_PAXOS_STORAGE");
        await cluster.leader(others(victim.name));
        await clients.served(4);
        disk(victim.name).set({});
        expect((await victim.ask({ type: "call", op: { kind: "read", key: 0 } }))?.code).toBe("ERR_PAXOS_STORAGE");
        await victim.kill();
        await cluster.restart(victim.name);
        await clients.served(4);
      }
      await clients.stop();
      await cluster.agree();
    } finally {
      await cluster.close();
      for (const one of disks.values()) one.close();
      await rm(work, { recursive: true, force: true });
    }
  });
});
