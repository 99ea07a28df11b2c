import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { Tail, Tails } from "../src/core/tails.js";
import { GroupHost, inProcessNetwork, memoryStorage } from "../src/index.js";
import { bytes, Journal, tuning, until } from "./support/cluster.js";

/** A log that is nothing but its weight. */
class Weight {
  readonly tail = new Tail(this);
  chosen = 0;
  unchosen = 0;

  get bytes(): number {
    return this.chosen + this.unchosen;
  }

  shedTail(bytesMax: number): number {
    this.chosen = Math.max(0, Math.min(this.chosen, bytesMax - this.unchosen));
    return this.bytes;
  }
}

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

describe("the tails of all logs of a node", () => {
  it("are bounded together, but for what is not chosen, and counted to the byte", () => {
    const bytesMax = 100_000;
    const call = fc.record({
      log: fc.nat({ max: 9 }),
      appended: fc.nat({ max: 9000 }),
      chosenShare: fc.double({ min: 0, max: 1, noNaN: true }),
      closes: fc.nat({ max: 20 }).map((n) => n === 0),
    });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 200 }), (calls) => {
        const tails = new Tails(bytesMax);
        const logs = Array.from({ length: 10 }, () => new Weight());
        for (const { log, appended, chosenShare, closes } of calls) {
          const one = logs[log] as Weight;
          if (closes) {
            tails.remove(one.tail);
            logs[log] = new Weight();
          } else {
            one.unchosen += appended;
            const chosen = Math.floor(one.unchosen * chosenShare);
            one.unchosen -= chosen;
            one.chosen += chosen;
            tails.weighed(one.tail, one.bytes);
          }
          expect(tails.bytes).toBe(logs.reduce((sum, { tail }) => sum + tail.bytes, 0));
          const unchosen = logs.reduce((sum, weight) => sum + weight.unchosen, 0);
          if (unchosen < bytesMax) expect(tails.bytes).toBeLessThanOrEqual(bytesMax);
          for (const { tail, bytes } of logs) expect([0, bytes]).toContain(tail.bytes);
        }
      }),
    );
  });

  it("are given up where nothing was chosen for the longest time, half of each and then the rest", () => {
    const tails = new Tails(300_000);
    const [first, second, third] = [new Weight(), new Weight(), new Weight()] as [Weight, Weight, Weight];
    const write = (one: Weight, more: number) => {
      one.chosen += more;
      tails.weighed(one.tail, one.bytes);
      return [first.bytes, second.bytes, third.bytes];
    };
    write(first, 100_000);
    write(second, 100_000);
    expect(write(third, 100_000)).toEqual([100_000, 100_000, 100_000]);
    expect(write(third, 10_000)).toEqual([50_000, 100_000, 110_000]);
    // The first has written again: it is the second's turn.
    expect(write(first, 50_000)).toEqual([100_000, 50_000, 110_000]);
    expect(write(first, 100_000)).toEqual([200_000, 0, 55_000]);
    tails.remove(first.tail);
    expect(tails.bytes).toBe(55_000);
  });

  it("take no more of a node than it allows, and who lags is sent what storage holds", async () => {
    const network = inProcessNetwork();
    const names = ["a", "b", "c"];
    const tailsBytesMax = 40_000;
    const hosts = await Promise.all(
      names.map((name) => {
        const transport = network.transport(name);
        return GroupHost.open({ ...tuning, transport, storage: memoryStorage(), tailsBytesMax, messageBytesMax: 5000 });
      }),
    );
    open.push(() => Promise.all(hosts.map((host) => host.close())));
    const ids = Array.from({ length: 12 }, (_, i) => `t/${i}`);
    const journals = names.map(() => ids.map(() => new Journal()));
    const groups = await Promise.all(
      hosts.map((host, node) =>
        Promise.all(
          ids.map((id, i) => host.join(id, { members: names, stateMachine: journals[node]?.[i] as Journal })),
        ),
      ),
    );
    const leading = (index: number) =>
      groups.findIndex((row) => row[index]?.status().ready === true && row[index]?.status().leading === true);
    await until(() => ids.every((_, index) => leading(index) >= 0));
    const away = 2;
    network.isolate(names[away] as string);
    // Whoever led on the one that is gone is followed by another.
    await until(() => ids.every((_, index) => groups.some((row, node) => node !== away && row[index]?.status().ready)));
    for (let i = 0; i < 15; i++) {
      for (const index of ids.keys()) {
        // A busy machine may depose a leader: then the next one is asked.
        for (let written = false; !written; await new Promise((resolve) => setImmediate(resolve))) {
          const group = groups.find((row, node) => node !== away && row[index]?.status().ready)?.[index];
          const proposed = group?.propose(bytes(`${i}${"x".repeat(1000)}`)).then(
            () => true,
            () => false,
          );
          written = (await proposed) ?? false;
        }
      }
    }
    for (const host of hosts) expect(host.stats().tailBytes).toBeLessThanOrEqual(tailsBytesMax);
    expect(hosts.some((host) => host.stats().tailBytes > tailsBytesMax / 4)).toBe(true);
    network.heal();
    const commands = (node: number) => journals[node]?.map((journal) => journal.commands.join());
    await until(() => JSON.stringify(commands(away)) === JSON.stringify(commands(0)));
    expect(commands(1)).toEqual(commands(0));
    expect(journals[away]?.every((journal) => journal.commands.length >= 10)).toBe(true);
    for (const host of hosts) expect(host.stats().tailBytes).toBeLessThanOrEqual(tailsBytesMax);
    await Promise.all(ids.map((id) => hosts[0]?.leave(id)));
    expect(hosts[0]?.stats().tailBytes).toBe(0);
  });

  it("may be as few as nothing, and no fewer", async () => {
    const transport = inProcessNetwork().transport("a");
    const opened = GroupHost.open({ transport, storage: memoryStorage(), tailsBytesMax: -1 });
    await expect(opened).rejects.toMatchObject({ code: "ERR_PAXOS_ARGUMENT" });
  });
});
