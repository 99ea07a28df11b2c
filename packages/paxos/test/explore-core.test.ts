import { Random } from "@evenkeel/simulation";
import { expect, it } from "vitest";
import { type CoreEvent, type CoreOptions, EMPTY_STATE, type Message, PaxosCore } from "../src/core/index.js";
import { Graphs } from "./support/explore/graph.js";
import { openedCore } from "./support/explore/opened.js";

const members = ["a", "b", "c"];

function options(nodeId: string, seed: number): CoreOptions {
  const random = new Random(`${seed} ${nodeId}`);
  return { nodeId, members, random: () => random.next(), pipelineSlotsMax: 4, tailBytesMax: 200, messageBytesMax: 100 };
}

/**
 * The explorer takes cores apart and puts them together again for each step. This is sound only if a core that was taken apart goes on exactly as one that was
 * not: whatever the shipped classes hold, now or after a change.
 */
it("a core that is taken apart after every step, and put into another instance, does what the shipped one does", () => {
  const opened = openedCore();
  let steps = 0;
  let reigns = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const random = new Random(seed);
    const graphs = new Graphs([], false);
    const shipped = members.map((node) => new PaxosCore(options(node, seed), EMPTY_STATE, 0));
    const taken = members.map((node) => {
      const ours = options(node, seed);
      return { ours, numbers: graphs.save(new opened.PaxosCore(ours, EMPTY_STATE, 0)) };
    });
    // Constructing draws a first wait: both have drawn once. A fresh instance must not draw again from the same stream.
    const vessels = members.map(
      (node) => new opened.PaxosCore({ ...options(node, seed), random: () => 0 }, EMPTY_STATE, 0),
    );
    for (const [i, vessel] of vessels.entries()) {
      const { ours } = taken[i] as (typeof taken)[number];
      (vessel as unknown as { $replica: { settings: { random: () => number } } }).$replica.settings.random =
        ours.random;
    }
    const letters: { from: string; to: number; message: Message }[] = [];
    const tokens = members.map(() => 0);
    let nowMs = 0;
    for (let turn = 0; turn < 400; turn++) {
      nowMs += random.int(40);
      let node = random.int(3);
      let event: CoreEvent = { type: "tick", nowMs };
      const draw = random.next();
      if (draw < 0.6 && letters.length > 0) {
        const at = random.int(letters.length);
        const letter = letters[at] as (typeof letters)[number];
        if (!random.chance(0.2)) letters.splice(at, 1);
        node = letter.to;
        event = { type: "message", from: letter.from, message: letter.message, nowMs };
      } else if (draw < 0.8) event = { type: "persisted", token: tokens[node] as number, nowMs };
      else if (draw < 0.9)
        event = { type: "propose", proposals: [{ id: turn, command: new Uint8Array([turn]) }], nowMs };
      else if (draw < 0.92) event = { type: "read", id: turn, nowMs };
      else if (draw < 0.925) event = { type: "resign", nowMs };

      const effects = (shipped[node] as PaxosCore).step(event);
      const vessel = vessels[node] as PaxosCore;
      const state = taken[node] as (typeof taken)[number];
      graphs.restore(vessel, state.numbers);
      expect(graphs.save(vessel).join(), "put together, then taken apart").toBe(state.numbers.join());
      const text = JSON.stringify(effects);
      expect(JSON.stringify(vessel.step(event)), `seed ${seed}, turn ${turn}, ${event.type}`).toBe(text);
      state.numbers = graphs.save(vessel);
      steps++;
      for (const effect of effects) {
        if (effect.type === "persist") tokens[node] = effect.token;
        else if (effect.type === "send") {
          letters.push({ from: members[node] as string, to: members.indexOf(effect.to), message: effect.message });
        } else if (effect.type === "leadership" && effect.leading) reigns++;
      }
    }
  }
  expect(steps).toBe(12_000);
  expect(reigns).toBeGreaterThan(30);
});
