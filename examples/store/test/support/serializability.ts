/**
 * Is there one order of all operations that explains every answer? Each write appends its own name to a list at each of its keys, so a list tells in which
 * order its writers came, and a read tells behind which of them it stands (Adya's dependencies; Elle's way to find them). A cycle among those says that
 * there is no such order.
 */
export interface Operation {
  readonly name: string;
  readonly startedAt: number;
  /** Absent: nobody knows what became of it. */
  readonly endedAt?: number;
  readonly outcome: "done" | "unknown" | "refused";
  /** Keys to whose lists it appends its name. */
  readonly appends: readonly string[];
  /** Lists that it read. */
  readonly reads: ReadonlyMap<string, readonly string[]>;
  /** Whether it stands in the order of real time, too: what ended before it began comes before it. */
  readonly inRealTime: boolean;
}

interface Edge {
  readonly to: string;
  readonly why: string;
}

/** @param lists each key's list at the end @throws Error that says what cannot be */
export function assertSerializable(
  operations: readonly Operation[],
  lists: ReadonlyMap<string, readonly string[]>,
): void {
  assertAllOrNothing(operations, lists);
  const edges = new Map<string, Edge[]>();
  const add = (from: string, to: string, why: string) => {
    const out = edges.get(from);
    if (from === to) return;
    if (out === undefined) edges.set(from, [{ to, why }]);
    else out.push({ to, why });
  };
  for (const [key, list] of lists)
    for (let i = 1; i < list.length; i++) add(list[i - 1] as string, list[i] as string, `both wrote ${key}`);
  for (const { name, reads } of operations) {
    for (const [key, seen] of reads) {
      const list = lists.get(key) ?? [];
      if (seen.some((writer, i) => list[i] !== writer))
        throw new Error(`${name} read ${key} as [${seen.join()}], which is no beginning of [${list.join()}]`);
      const before = seen.at(-1);
      const after = list[seen.length];
      if (before !== undefined) add(before, name, `it wrote what the other read at ${key}`);
      if (after !== undefined) add(name, after, `it read ${key} before the other wrote it`);
    }
  }
  addRealTime(operations, add);
  const cycle = findCycle(edges);
  if (cycle !== undefined) throw new Error(`no order explains this:\n${cycle.join("\n")}`);
}

function assertAllOrNothing(operations: readonly Operation[], lists: ReadonlyMap<string, readonly string[]>): void {
  for (const { name, outcome, appends } of operations) {
    const counts = appends.map((key) => (lists.get(key) ?? []).filter((writer) => writer === name).length);
    const wanted = outcome === "done" ? [1] : outcome === "refused" ? [0] : [0, 1];
    const isWhole = new Set(counts).size <= 1 && counts.every((count) => wanted.includes(count));
    if (!isWhole) throw new Error(`${name}, ${outcome}, is there ${counts.join()} times at ${appends.join()}`);
  }
}

/** A chain of moments instead of an edge for each pair: an operation comes before the moment of its end, and behind the last moment before its beginning. */
function addRealTime(operations: readonly Operation[], add: (from: string, to: string, why: string) => void): void {
  const timed = operations.filter(({ inRealTime, outcome }) => inRealTime && outcome === "done");
  const ends = timed.map(({ name, endedAt = 0 }) => ({ name, endedAt })).sort((a, b) => a.endedAt - b.endedAt);
  for (const [i, { name, endedAt }] of ends.entries()) {
    add(name, `moment ${i}`, `it ended at ${endedAt}`);
    if (i > 0) add(`moment ${i - 1}`, `moment ${i}`, "earlier");
  }
  for (const { name, startedAt } of timed) {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle]?.endedAt ?? 0) < startedAt) low = middle + 1;
      else high = middle;
    }
    if (low > 0) add(`moment ${low - 1}`, name, `it began at ${startedAt}`);
  }
}

/** Depth first, without recursion: histories are long. */
function findCycle(edges: ReadonlyMap<string, readonly Edge[]>): string[] | undefined {
  const done = new Set<string>();
  for (const start of edges.keys()) {
    if (done.has(start)) continue;
    const path: { name: string; next: number }[] = [{ name: start, next: 0 }];
    const onPath = new Set([start]);
    while (path.length > 0) {
      const top = path.at(-1) as { name: string; next: number };
      const edge = edges.get(top.name)?.[top.next++];
      if (edge === undefined) {
        done.add(top.name);
        onPath.delete(top.name);
        path.pop();
      } else if (onPath.has(edge.to))
        return told(
          path.map(({ name }) => name),
          edge.to,
          edges,
        );
      else if (!done.has(edge.to)) {
        onPath.add(edge.to);
        path.push({ name: edge.to, next: 0 });
      }
    }
  }
  return undefined;
}

function told(path: readonly string[], back: string, edges: ReadonlyMap<string, readonly Edge[]>): string[] {
  const cycle = [...path.slice(path.indexOf(back)), back];
  return cycle.slice(1).map((to, i) => {
    const from = cycle[i] as string;
    return `${from} comes before ${to}: ${edges.get(from)?.find((edge) => edge.to === to)?.why}`;
  });
}
