import { afterEach, describe, expect, it } from "vitest";
import { LeftAsleep } from "../src/host/left-asleep.js";
import { type Group, type GroupStorage, memoryStorage } from "../src/index.js";
import { Crowd } from "./support/crowd.js";

const id = "group/0";

/** One group of three nodes in virtual time, its leader and two followers, all asleep. */
class Three {
  /** In the order of the nodes' names. */
  readonly disks: GroupStorage[] = [];
  /** Opened again in the place of a new one. */
  again: GroupStorage | undefined;
  readonly crowd = new Crowd(1, 0.02, 7, {
    storage: (groupId) => {
      if (this.again !== undefined) return this.again;
      const disk = memoryStorage()(groupId);
      this.disks.push(disk);
      return disk;
    },
  });

  async open(): Promise<this> {
    await this.crowd.open();
    await this.crowd.until(() => this.crowd.led() === 1 && this.crowd.asleep());
    return this;
  }

  group(name: string): Group {
    return this.crowd.hosts.get(name)?.group(id) as Group;
  }

  get followers(): [string, string] {
    return [...this.crowd.hosts.keys()].filter((name) => name !== this.crowd.mostLeading) as [string, string];
  }
}

describe("a group that sleeps", () => {
  let three: Three;
  afterEach(() => three.crowd.close());

  it("has its bond broken too when it stopped in its sleep, and is closed and opened again", async () => {
    three = await new Three().open();
    const { crowd } = three;
    const [name] = three.followers;
    const host = crowd.hosts.get(name);
    const disk = three.disks["abc".indexOf(name)] as GroupStorage;
    const trim = disk.trim.bind(disk);
    disk.trim = () => Promise.reject(new Error("no more"));
    const trimming = three.group(name).trim(1);
    await expect(trimming).rejects.toMatchObject({ code: "ERR_PAXOS_STORAGE" });
    expect(host?.stats().groupsAsleep).toBe(0);
    disk.trim = trim;
    three.again = disk;
    await host?.leave(id);
    await host?.join(id, { members: ["a", "b", "c"], stateMachine: { appliedThrough: 0, apply: () => 0 } });
    // Its leader hears at once that nobody is bound there any more, and asks it to sleep anew before it stands.
    const said = await crowd.pass(1000);
    expect(crowd.asleep()).toBe(true);
    expect(said.preVote).toBeUndefined();
  });

  it("goes on with its leader where the node that is to take over is gone", async () => {
    three = await new Three().open();
    const { crowd } = three;
    const [gone] = three.followers;
    await crowd.kill(gone);
    const leader = three.group(crowd.mostLeading);
    const written = leader.propose(new Uint8Array(1));
    await crowd.until(() => !leader.status().asleep);
    await crowd.until(() => crowd.asleep());
    await written;
    let outcome: unknown;
    leader.handOver(gone).catch((error: unknown) => {
      outcome = error;
    });
    await crowd.pass(1000);
    expect(outcome).toMatchObject({ code: "ERR_PAXOS_OVERLOADED" });
    expect(leader.status().leading).toBe(true);
  });
});

describe("a group that sleeps, and in which something goes on all the same", () => {
  let crowd: Crowd;
  afterEach(() => crowd.close());

  async function opened(messageCostMs: number): Promise<[leader: Group, name: string, follower: Group]> {
    crowd = new Crowd(1, messageCostMs, 7, { packAfterMs: 0 });
    await crowd.open();
    await crowd.until(() => crowd.led() === 1 && packed() === 3);
    const [name] = [...crowd.hosts.keys()].filter((node) => node !== crowd.mostLeading) as [string];
    const of = (node: string) => crowd.hosts.get(node)?.group(id) as Group;
    return [of(crowd.mostLeading), name, of(name)];
  }

  const packed = (): number => [...crowd.hosts.values()].reduce((sum, host) => sum + host.stats().groupsPacked, 0);

  it("is not packed while its state machine lags, which applies everything once", async () => {
    const [leader, name] = await opened(0.02);
    const host = crowd.hosts.get(name);
    const slots: number[] = [];
    let open: (() => void) | undefined;
    const room = new Promise<void>((resolve) => {
      open = resolve;
    });
    const apply = ({ slot }: { slot: number }) => slots.push(slot);
    await host?.leave(id);
    const stateMachine = { appliedThrough: 0, apply, room: () => (open === undefined ? undefined : room) };
    await host?.join(id, { members: ["a", "b", "c"], stateMachine });
    for (let i = 0; i < 3; i++) void leader.propose(new Uint8Array(1));
    await crowd.until(() => crowd.asleep() && packed() === 2);
    await crowd.pass(500);
    expect([crowd.asleep(), packed(), slots]).toEqual([true, 2, []]);
    open?.();
    open = undefined;
    await crowd.until(() => packed() === 3);
    void leader.propose(new Uint8Array(1));
    await crowd.pass(500);
    expect(slots).toEqual([2, 3, 4, 5]);
  });

  it("is not packed while a local read waits for the leader's answer", async () => {
    const [, , follower] = await opened(8);
    const read = follower.readLocal(() => "read", { maxStaleMs: 0 });
    let value: unknown;
    read.then(
      (local) => {
        value = local.value;
      },
      (error: unknown) => {
        value = error;
      },
    );
    expect(await crowd.until(() => value !== undefined)).toBeGreaterThan(10);
    expect(value).toBe("read");
    await crowd.until(() => packed() === 3);
  });

  it("is not packed while its log is trimmed, and forgets nothing of that", async () => {
    const [leader, , follower] = await opened(0.02);
    void leader.propose(new Uint8Array(1));
    await crowd.until(() => follower.status().appliedThrough === 2 && packed() === 3);
    await follower.trim(1);
    await crowd.until(() => packed() === 3);
    expect(follower.status().trimmedThrough).toBe(1);
  });
});

describe("groups that were closed while they slept", () => {
  it("have the bonds broken on which they slept when they are opened again, or when they become too many to remember", () => {
    const broken: string[] = [];
    const left = new LeftAsleep((node) => broken.push(node));
    left.closed("g", "b");
    left.closed("h", "c");
    left.opens("another");
    expect(broken).toEqual([]);
    left.opens("g");
    left.opens("g");
    expect(broken).toEqual(["b"]);
    left.lost("c");
    left.opens("h");
    expect(broken).toEqual(["b"]);
    for (let i = 0; i < 16_384; i++) left.closed(`g${i}`, i === 7 ? "c" : "b");
    expect([left.size, broken.length]).toEqual([16_384, 1]);
    left.closed("one more", "b");
    expect([left.size, broken.slice(1).sort()]).toEqual([0, ["b", "c"]]);
  });
});
