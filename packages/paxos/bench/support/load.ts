/** What one turn of a closed loop came to. */
export interface Load {
  readonly [metric: string]: number;
  readonly throughput: number;
  readonly p50: number;
  readonly p99: number;
}

/** `clients` callers, each of whom asks again as soon as it is answered, for `ms` milliseconds. */
export async function closedLoop(clients: number, ms: number, ask: () => Promise<unknown>): Promise<Load> {
  const latencies: number[] = [];
  const started = performance.now();
  const end = started + ms;
  const client = async () => {
    for (let before = performance.now(); before < end; ) {
      await ask();
      const now = performance.now();
      latencies.push(now - before);
      before = now;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const seconds = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return { throughput: latencies.length / seconds, p50: at(0.5), p99: at(0.99) };
}
