import { parseArgs } from "node:util";
import { explore } from "@evenkeel/simulation";
import { groupModel } from "./support/explore/group-model.js";
import { groups } from "./support/explore/groups.js";
import { nightModel } from "./support/explore/night-model.js";
import { nights } from "./support/explore/nights.js";

// npm run explore -w @evenkeel/paxos -- --group reigns --states 50000000
// npm run explore -w @evenkeel/paxos -- --night links --states 1000000
const options = { group: { type: "string" }, night: { type: "string" }, states: { type: "string" } } as const;
const { values } = parseArgs({ options });
const kind = values.night === undefined ? "group" : "night";
const name = values[kind] ?? "reigns";
const known: object = kind === "night" ? nights : groups;
if (!Object.hasOwn(known, name)) throw new Error(`--${kind}: one of ${Object.keys(known).join(", ")}, got ${name}`);
const statesMax = Number(values.states ?? 1_000_000);
const model =
  kind === "night" ? nightModel(nights[name as keyof typeof nights]) : groupModel(groups[name as keyof typeof groups]);
const began = process.cpuUsage();
const cpuSeconds = () => process.cpuUsage(began).user / 1e6;
const explored = explore(model, {
  statesMax,
  frontierBytesMax: 8 * 2 ** 30,
  now: () => performance.now(),
  onProgress: ({ states, transitions, depth, statesPerSecond, bytesMax }) => {
    const megabytes = Math.round(bytesMax / 2 ** 20);
    const perCpu = Math.round(states / cpuSeconds());
    console.log(
      `${states} states, ${transitions} steps, depth ${depth}, ${statesPerSecond}/s, ${perCpu} a second of processor, ${megabytes} MiB`,
    );
  },
});
if (explored.verdict === "violation") console.error(explored.trace);
const { verdict, states, transitions, depth, statesPerSecond, bytesMax, waitingMax, collisionChance, met, unmet } =
  explored;
console.log({
  [kind]: name,
  verdict,
  states,
  transitions,
  depth,
  statesPerSecond,
  statesPerCpuSecond: Math.round(states / cpuSeconds()),
  bytesMax,
  waitingMax,
  collisionChance,
  met,
  unmet,
});
console.log(`the core was really stepped ${model.nodes.worked} times; ${model.nodes.states.size} states of one node`);
process.exitCode = explored.verdict === "violation" ? 1 : 0;
