import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const conditions = ["@evenkeel/source", "module", "node", "development|production"];

/** Tests run against the sources of every workspace: nothing has to be built first. */
const base = defineConfig({
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    // Bounds for what hangs, far above what anything takes, also on a machine that has much else to do: nothing here measures speed.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000, interval: 10 } },
    pool: "forks",
    // On two processors: many files wait, for clocks, disks and other processes, and a third worker has what the other two leave.
    maxWorkers: 3,
    // A worker loads the package once, not for each file again, which took a tenth of the time: nothing at the top of a module may be changed by a test. Files that put
    // other modules in the place of some, or count what a module or the heap holds, are run in workers of their own: `apart`.
    isolate: false,
  },
});
export default base;

/**
 * What a package's tests need to know beyond that.
 * - `longest`: files that are begun before all others, so that at the end no processor waits for the other's last. Vitest goes by how long each took the last time, but where there
 *   was none, as in a new checkout, by its size, and the longest ones are short programs that do a lot. Those that compute stand among those that wait, so that some of both run beside one another.
 * - `apart`: files that replace modules, or look at what one has at its top or at the heap.
 */
export function packageTests({ longest = [], apart = [], ...more }: PackageTests) {
  const files = (names: readonly string[]) => names.map((name) => `test/${name}.test.ts`);
  const test = { ...base.test, ...more.test, sequence: { sequencer: longestFirst(longest) } };
  const parts = { ...base, ...more };
  if (apart.length === 0) return defineConfig({ ...parts, test });
  const projects = [
    { ...parts, test: { ...test, name: "together", exclude: files(apart) } },
    { ...parts, test: { ...test, name: "apart", include: files(apart), isolate: true } },
  ];
  return defineConfig({ ...parts, test: { ...test, projects } });
}

interface PackageTests extends Pick<typeof base, "ssr" | "test"> {
  readonly longest?: readonly string[];
  readonly apart?: readonly string[];
}

function longestFirst(names: readonly string[]) {
  const place = ({ moduleId }: TestSpecification) => {
    const found = names.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
    return found < 0 ? names.length : found;
  };
  return class extends BaseSequencer {
    override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
      return (await super.sort(files)).sort((a, b) => place(a) - place(b));
    }
  };
}
