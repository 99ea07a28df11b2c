/** What one turn came to. */
export interface Load {
  readonly [metric: string]: number;
  readonly throughput: number;
  readonly p50: number;
  readonly p99: number;
}

/** What is asked for: so many callers, each of whom asks again as soon as it is answered; or, with `rate`, so many questions a second, answered or not. */
export interface Demand {
  readonly what: "write" | "read";
  readonly clients: number;
  readonly ms: number;
  readonly rate?: number;
}

/** The milliseconds that each answer took. */
export async function latenciesOf({ clients, ms, rate }: Demand, ask: () => Promise<unknown>): Promise<number[]> {
  return rate === undefined ? closedLoop(clients, ms, ask) : openLoop(rate, ms, ask);
}

async function closedLoop(clients: number, ms: number, ask: () => Promise<unknown>): Promise<number[]> {
  const latencies: number[] = [];
  const end = performance.now() + ms;
  const client = async () => {
    for (let before = performance.now(); before < end; ) {
      await ask();
      const now = performance.now();
      latencies.push(now - before);
      before = now;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return latencies;
}

/** Who is late is measured from when it should have been asked: a stall is not excused by nobody having asked meanwhile. */
async function openLoop(rate: number, ms: number, ask: () => Promise<unknown>): Promise<number[]> {
  const latencies: number[] = [];
  const started = performance.now();
  const count = Math.round((rate * ms) / 1000);
  const under: Promise<void>[] = [];
  for (let asked = 0; asked < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - started) * rate) / 1000) + 1);
    for (; asked < due; asked++) {
      const dueMs = started + (asked * 1000) / rate;
      under.push(ask().then(() => void latencies.push(performance.now() - dueMs)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(under);
  return latencies;
}

export function summary(latencies: number[], ms: number): Load {
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return { throughput: (latencies.length * 1000) / ms, p50: at(0.5), p99: at(0.99) };
}

export async function measured(demand: Demand, ask: () => Promise<unknown>): Promise<Load> {
  const started = performance.now();
  const latencies = await latenciesOf(demand, ask);
  return summary(latencies, performance.now() - started);
}
