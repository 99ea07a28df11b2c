/** Calls `once` in blocks for a turn; how many calls there were in a second. */
export function perSecond(turnMs: number, once: (i: number) => boolean): { rate: number } {
  const block = 10_000;
  let calls = 0;
  let admitted = 0;
  const start = performance.now();
  let elapsed = 0;
  while (elapsed < turnMs) {
    for (let i = 0; i < block; i += 1) if (once(i)) admitted += 1;
    calls += block;
    elapsed = performance.now() - start;
  }
  if (admitted === 0) throw new Error("nothing was admitted");
  return { rate: (calls / elapsed) * 1000 };
}
