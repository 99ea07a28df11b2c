/** What the tour tells while it goes, and how it fails. */
export class Report {
  #step = 0;

  step(title: string): void {
    process.stdout.write(`\n${++this.#step}. ${title}\n`);
  }

  say(line: string): void {
    process.stdout.write(`   ${line}\n`);
  }

  /** A promise of the tour: it is told when it holds, and ends the tour when it does not. */
  promise(holds: boolean, line: string): void {
    if (!holds) throw new Error(`the tour promised this, and it did not happen: ${line}`);
    process.stdout.write(`   ok: ${line}\n`);
  }
}

const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export const figure = (value: number): string => numbers.format(value);

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** Runs `work` on every element, `width` at a time. */
export async function inParallel<T>(
  elements: readonly T[],
  width: number,
  work: (element: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (next < elements.length) await work(elements[next++] as T);
    }),
  );
}

/** Looks every 50 ms until `look` has an answer; fails, saying what was waited for, at the deadline. */
export async function until<T>(what: string, look: () => Promise<T | undefined>, deadlineMs = 30_000): Promise<T> {
  const giveUpAt = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > giveUpAt) throw new Error(`not within ${deadlineMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
