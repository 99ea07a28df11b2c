import fc from "fast-check";
import { expect, it } from "vitest";
import { type Change, MemdsClient, MemdsServer } from "../src/index.js";
import { bytes, text } from "./helpers.js";
import { Link } from "./link.js";

/** A partition's entry says where it ends, so that a reader can tell a gap or an overlap by itself. */
const key = (n: number) => bytes(`t/${String(n).padStart(7, "0")}`);
const end = 1_000_000;

/** The feeder's truth: where ranges begin, and each version's changes. */
class Feeder {
  readonly updates: Change[][] = [];
  readonly #starts = [0];

  entries(): { version: number; entries: { key: Uint8Array; value: Uint8Array }[] } {
    const entries = this.#starts.map((start, i) => ({ key: key(start), value: key(this.#starts[i + 1] ?? end) }));
    return { version: this.updates.length, entries };
  }

  splitOrMerge(draw: number): void {
    const index = draw % this.#starts.length;
    const start = this.#starts[index]!;
    const stop = this.#starts[index + 1] ?? end;
    if (draw % 3 === 0 && this.#starts.length > 1 && index > 0) {
      const before = this.#starts[index - 1]!;
      this.#starts.splice(index, 1);
      this.updates.push([
        { key: key(start), value: null },
        { key: key(before), value: key(stop) },
      ]);
    } else if (stop - start > 1) {
      const middle = start + 1 + (draw % (stop - start - 1));
      this.#starts.splice(index + 1, 0, middle);
      this.updates.push([
        { key: key(start), value: key(middle) },
        { key: key(middle), value: key(stop) },
      ]);
    }
  }
}

it("no reader sees a gap, an overlap or an older version while members are killed, paused and fed badly", async () => {
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fc.nat(2 ** 30)), async (draws) => {
      const draw = (below: number) => (draws.next().value as number) % below;
      const feeder = new Feeder();
      for (let i = 0; i < 50; i++) feeder.splitOrMerge(draw(2 ** 30));
      const members = await Promise.all([0, 1, 2].map(() => MemdsServer.listen()));
      for (const member of members) member.load(feeder.entries());
      // A server that comes back has another port: its former one may be another test's by then.
      const links = await Promise.all(members.map(({ host, port }) => Link.open({ host, port })));
      const servers = links.map(({ host, port }) => ({ host, port }));
      const clients = [0, 1].map(() => new MemdsClient({ servers, timeoutMs: 20_000, retryAfterMs: 1 }));
      const seen = [0, 0];
      const paused = new Set<number>();

      const feed = (index: number) => {
        const member = members[index]!;
        const version =
          draw(4) === 0 ? 1 + draw(feeder.updates.length) : (member.version ?? 0) + 1 + (draw(6) === 0 ? 1 : 0);
        const changes = feeder.updates[version - 1];
        if (changes === undefined) return;
        try {
          member.apply({ version, changes });
        } catch (error) {
          const { code } = error as { code: string };
          if (code === "ERR_MEMDS_GAP" || code === "ERR_MEMDS_NOT_READY") member.load(feeder.entries());
          else expect(code).toBe("ERR_MEMDS_STALE");
        }
      };
      const read = async (index: number): Promise<number> => {
        const answers = await clients[index]!.lookup([
          { kind: "floor", key: key(draw(end)) },
          { kind: "range", from: key(0), to: key(end), limitMax: 100_000 },
        ]).catch((error: { code: string }) => {
          expect(error.code).toMatch(/^ERR_MEMDS_(STALE|UNAVAILABLE)$/); // all that are left are behind: refused, not shown
          return [];
        });
        const [floor, whole] = answers;
        if (floor === undefined || whole === undefined) return 0;
        expect(floor.version).toBe(whole.version);
        expect(whole.version).toBeGreaterThanOrEqual(seen[index]!);
        seen[index] = whole.version;
        let at = text(key(0));
        for (const entry of whole.entries) {
          expect(text(entry.key)).toBe(at);
          at = text(entry.value);
        }
        expect(at).toBe(text(key(end)));
        expect(floor.entries).toHaveLength(1);
        return 1;
      };

      let reads = 0;
      for (let step = 0; step < 80; step++) {
        feeder.splitOrMerge(draw(2 ** 30));
        for (let i = 0; i < 3; i++) if (!paused.has(i)) feed(i);
        const event = draw(20);
        const victim = draw(3);
        if (event === 0) {
          links[victim]!.target = 1;
          await members[victim]!.close();
          members[victim] = await MemdsServer.listen();
          links[victim]!.target = members[victim].port;
        } else if (event === 1) paused.add(victim);
        else if (event === 2) paused.clear();
        const [one, other] = await Promise.all([read(0), read(1)]);
        reads += one + other;
      }
      expect(reads).toBeGreaterThan(0);

      for (const member of members) {
        if (member.version !== feeder.updates.length) member.load(feeder.entries());
        expect(member.rootHash).toEqual(members[0]!.rootHash);
      }
      for (const each of [...clients, ...links, ...members]) await each.close();
    }),
    { numRuns: 3 },
  );
});
