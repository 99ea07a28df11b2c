import { defineConfig } from "tsup";

export default defineConfig({
  entry: { index: "src/index.ts", tour: "src/tour/tour.ts", cli: "src/cli.ts", "node-process": "src/node-process.ts" },
  format: ["esm"],
  target: "node20",
  dts: false,
  sourcemap: true,
  clean: true,
});
