import { defineConfig } from "tsup";

/** How every published package is built: ESM and CJS, each with types, one entry per export. */
export function library(entry: Record<string, string>) {
  return defineConfig({
    entry,
    format: ["esm", "cjs"],
    target: "node20",
    dts: { compilerOptions: { ignoreDeprecations: "6.0", customConditions: [] } },
    sourcemap: true,
    clean: true,
    splitting: true,
    treeshake: false,
  });
}
