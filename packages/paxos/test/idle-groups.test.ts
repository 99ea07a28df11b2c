import { afterEach, describe, expect, it } from "vitest";
import { type Group, GroupHost, inProcessNetwork, memoryStorage } from "../src/index.js";
import { until } from "./support/cluster.js";

const names = ["a", "b", "c"];

class Many {
  readonly network = inProcessNetwork();
  readonly disks = new Map(names.map((name) => [name, memoryStorage()]));
  readonly hosts = new Map<string, GroupHost>();
  readonly ids: readonly string[];

  constructor(
    count: number,
    readonly packAfterMs = 0,
  ) {
    this.ids = Array.from({ length: count }, (_, i) => `group/${i}`);
  }

  async open(nodeId: string): Promise<void> {
    const storage = this.disks.get(nodeId) as ReturnType<typeof memoryStorage>;
    const host = await GroupHost.open({
      transport: this.network.transport(nodeId),
      storage,
      leaseMs: 1000,
      packAfterMs: this.packAfterMs,
    });
    this.hosts.set(nodeId, host);
    for (const id of this.ids)
      await host.join(id, { members: names, stateMachine: { appliedThrough: 0, apply: () => 0 } });
  }

  async asleep(): Promise<this> {
    for (const name of names) if (!this.hosts.has(name)) await this.open(name);
    await until(() => [...this.hosts.values()].every((host) => host.stats().groupsAsleep === this.ids.length), 40_000);
    return this;
  }

  led(hosts: Iterable<GroupHost>): number {
    let led = 0;
    for (const host of hosts) led += this.ids.filter((id) => host.group(id)?.leadership().ready).length;
    return led;
  }

  messages(): number {
    return [...this.hosts.values()].reduce((sum, host) => sum + host.stats().messagesSent, 0);
  }

  beats(): number {
    return [...this.hosts.values()].reduce((sum, host) => sum + host.stats().beatsSent, 0);
  }

  async close(): Promise<void> {
    for (const host of this.hosts.values()) await host.close();
  }
}

describe("many groups of which nothing is asked", () => {
  let many: Many;
  afterEach(() => many.close());

  it("say nothing: the nodes' beats are all there is, and a read or a write is served at once all the same", async () => {
    many = await new Many(20).asleep();
    await until(() => many.led(many.hosts.values()) === many.ids.length);
    // Some beats go by in which no group says a word, nor does a read change that. A busy machine may miss beats, and wake some group: then it is looked at again.
    let before: number;
    let group: Group | undefined;
    do {
      before = many.messages();
      let beats = many.beats();
      await until(() => {
        const sent = many.messages();
        if (sent !== before) [before, beats] = [sent, many.beats()];
        return many.beats() >= beats + 30;
      });
      const [host] = [...many.hosts.values()].filter((one) => one.group("group/7")?.status().leading);
      group = host?.group("group/7");
      expect(await group?.read(() => "read")).toBe("read");
    } while (many.messages() !== before || !group?.status().asleep);
    await group?.propose(new Uint8Array(1));
    expect(many.messages()).toBeGreaterThan(before);
    await until(() => [...many.hosts.values()].every((one) => one.group("group/7")?.status().asleep));
    const applied = [...many.hosts.values()].map((one) => one.group("group/7")?.status().appliedThrough);
    expect(new Set(applied).size).toBe(1);
  });

  it("are led again, all of them, when the node dies that leads most, and sleep again without it and with it", async () => {
    many = await new Many(60).asleep();
    const [dead] = [...many.hosts].sort(([, a], [, b]) => b.stats().groupsLed - a.stats().groupsLed)[0] as [
      string,
      GroupHost,
    ];
    many.network.isolate(dead);
    const alive = [...many.hosts].filter(([name]) => name !== dead).map(([, host]) => host);
    await until(() => many.led(alive) === many.ids.length);
    await until(() => alive.every((host) => host.stats().groupsAsleep === many.ids.length));
    many.network.heal();
    // A busy machine may miss beats, and wake some of them again.
    await until(() => many.led(many.hosts.values()) === many.ids.length, 30_000);
    await many.asleep();
  });

  it("forget nothing when one is closed and opened again on a node that goes on", async () => {
    many = await new Many(5).asleep();
    const [name, host] = [...many.hosts].find(([, one]) => !one.group("group/3")?.status().leading) as [
      string,
      GroupHost,
    ];
    await host.leave("group/3");
    await host.join("group/3", { members: names, stateMachine: { appliedThrough: 0, apply: () => 0 } });
    await many.asleep();
    const leaders = [...many.hosts.values()].filter((one) => one.group("group/3")?.status().leading);
    expect(leaders.length, `${name} was the one`).toBe(1);
  });
});
