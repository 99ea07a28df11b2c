import { parseArgs } from "node:util";
import { explore } from "@evenkeel/simulation";
import { groupModel } from "./support/explore/group-model.js";
import { type GroupName, groups } from "./support/explore/groups.js";

// npm run explore -w @evenkeel/paxos -- --group reigns --states 50000000
const { values } = parseArgs({ options: { group: { type: "string" }, states: { type: "string" } } });
const name = values.group ?? "reigns";
if (!Object.hasOwn(groups, name)) throw new Error(`--group: one of ${Object.keys(groups).join(", ")}, got ${name}`);
const statesMax = Number(values.states ?? 1_000_000);
const model = groupModel(groups[name as GroupName]);
const explored = explore(model, {
  statesMax,
  frontierBytesMax: 8 * 2 ** 30,
  now: () => performance.now(),
  onProgress: ({ states, transitions, depth, statesPerSecond, bytesMax }) => {
    const megabytes = Math.round(bytesMax / 2 ** 20);
    console.log(`${states} states, ${transitions} steps, depth ${depth}, ${statesPerSecond}/s, ${megabytes} MiB`);
  },
});
if (explored.verdict === "violation") console.error(explored.trace);
const { verdict, states, transitions, depth, statesPerSecond, bytesMax, waitingMax, collisionChance, met, unmet } =
  explored;
console.log({
  group: name,
  verdict,
  states,
  transitions,
  depth,
  statesPerSecond,
  bytesMax,
  waitingMax,
  collisionChance,
  met,
  unmet,
});
console.log(`the core was really stepped ${model.nodes.worked} times; ${model.nodes.states.size} states of one node`);
process.exitCode = explored.verdict === "violation" ? 1 : 0;
