import b from "./idle.bench.js";
const run = (b.subjects.evenkeel as { run(): Promise<unknown> }).run;
const t = performance.now();
console.log(JSON.stringify(await run()), ((performance.now() - t) / 1000).toFixed(0), "s");
process.exit(0);
