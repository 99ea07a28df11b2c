import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Measures } from "./measure.js";
import { plot } from "./plot.js";
import { play, type Scenario, scenarios } from "./scenarios.js";
import { evenkeel, proportional } from "./systems.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    svg: { type: "string" },
  },
});

const percent = (value: number, digits = 2) => `${(value * 100).toFixed(digits)} %`;
const columns = ["scenario", "", "worst 1 s", "worst 10 s", "use", "Jain", "messages/s", ""];
const widths = [59, 12, 10, 10, 8, 7, 10, 0];
const row = (cells: readonly string[]) =>
  cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join("  ");

function missed(scenario: Scenario, { overshoot1s, overshoot10s, use, jain }: Measures): string {
  const of = [
    overshoot1s > scenario.overshootMax && `1 s above ${percent(scenario.overshootMax, 0)}`,
    overshoot10s > (scenario.overshootMax > 0.01 ? scenario.overshootMax / 10 : 0.001) && "10 s",
    scenario.useMin !== undefined && use < scenario.useMin && `use below ${percent(scenario.useMin, 0)}`,
    scenario.jainMin !== undefined && jain < scenario.jainMin && `Jain below ${scenario.jainMin}`,
  ].filter((one) => one !== false);
  return of.length > 0 ? `MISSED: ${of.join(", ")}` : "met";
}

const seed = Number(values.seed);
console.log(`seed ${seed}; overshoot is what goes beyond one bucket of the whole size, as a part of the limit\n`);
console.log(row(columns));
const curves: { name: string; ours: readonly number[]; plain: readonly number[] }[] = [];
let misses = 0;
for (const scenario of scenarios.filter(({ name }) => name.includes(values.only))) {
  const ours = await play(scenario, evenkeel, seed);
  const plain = await play(scenario, proportional, seed);
  const verdict = missed(scenario, ours);
  if (verdict !== "met") misses += 1;
  for (const [name, measures, said] of [
    ["evenkeel", ours, verdict],
    ["proportional", plain, ""],
  ] as const) {
    const { overshoot1s, overshoot10s, use, jain, messagesPerSecond } = measures;
    const cells = [percent(overshoot1s), percent(overshoot10s), percent(use, 1), jain.toFixed(3)];
    console.log(row([name === "evenkeel" ? scenario.name : "", name, ...cells, messagesPerSecond.toFixed(1), said]));
  }
  curves.push({ name: scenario.name, ours: ours.perSecond, plain: plain.perSecond });
}
console.log(`\n${misses === 0 ? "Every target is met." : `${misses} of ${curves.length} scenarios miss a target.`}`);
if (values.svg !== undefined) {
  writeFileSync(values.svg, plot(curves));
  console.log(`Admitted in each second: ${values.svg}`);
}
