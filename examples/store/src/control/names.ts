import { closeSync, existsSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

const FILE = "nodes.json";
const VERSION = 1;

/**
 * Which node stands in which place. A node that has lost its disk, or was replaced while it was away, never comes back under its name: the next one in
 * its place is called `a1-2`, and so on. What was given out is in a file before it is used.
 */
export class Names {
  readonly #path: string;
  readonly #generations: Map<string, number>;

  private constructor(path: string, generations: Map<string, number>) {
    this.#path = path;
    this.#generations = generations;
  }

  /** Throws where the file says what this program cannot read. */
  static open(dir: string): Names {
    const path = join(dir, FILE);
    if (!existsSync(path)) return new Names(path, new Map());
    const { version, generations } = JSON.parse(readFileSync(path, "utf8")) as {
      version: unknown;
      generations: Record<string, number>;
    };
    if (version !== VERSION) throw new Error(`${path} has version ${String(version)}; this program reads ${VERSION}`);
    return new Names(path, new Map(Object.entries(generations)));
  }

  of(place: string): string {
    const generation = this.#generations.get(place) ?? 1;
    return generation === 1 ? place : `${place}-${generation}`;
  }

  /** The next name there; on disk when it returns. */
  next(place: string): string {
    this.#generations.set(place, (this.#generations.get(place) ?? 1) + 1);
    const temporary = `${this.#path}.new`;
    const file = openSync(temporary, "w");
    try {
      writeSync(file, JSON.stringify({ version: VERSION, generations: Object.fromEntries(this.#generations) }));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, this.#path);
    const dir = openSync(join(this.#path, ".."), "r");
    try {
      fsyncSync(dir);
    } finally {
      closeSync(dir);
    }
    return this.of(place);
  }

  /** Places of which something is there from an earlier start: a node that has members' disks is not left out because it was not asked for. */
  placesFound(dir: string): string[] {
    const nodes = join(dir, "nodes");
    if (!existsSync(nodes)) return [];
    return [...new Set(readdirSync(nodes).map((name) => name.split("-")[0] as string))].filter((name) =>
      /^[a-l]1$/.test(name),
    );
  }
}
