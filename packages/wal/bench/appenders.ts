export interface AppendFigures extends Readonly<Record<string, number>> {
  readonly "appends/s": number;
  readonly "p50 ms": number;
  readonly "p99 ms": number;
  readonly "p99 / p50": number;
  /** Time of all processors, in user code and in the kernel, for one append with everything around it. */
  readonly "processor us/append": number;
}

/** `appenders` loops that each await one append after the other, for about `durationMs`: appends a second, latencies, and what they cost. */
export async function appendLoad(
  append: (data: Buffer) => Promise<unknown>,
  options: { readonly appenders: number; readonly bytes: number; readonly durationMs: number },
): Promise<AppendFigures> {
  const data = Buffer.alloc(options.bytes, 7);
  const latencies: number[] = [];
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  const until = started + options.durationMs;
  const appender = async () => {
    for (let before = performance.now(); before < until; ) {
      await append(data);
      const after = performance.now();
      latencies.push(after - before);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: options.appenders }, appender));
  const seconds = (performance.now() - started) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  return {
    "appends/s": sorted.length / seconds,
    "p50 ms": at(0.5),
    "p99 ms": at(0.99),
    "p99 / p50": at(0.99) / at(0.5),
    "processor us/append": (cpu.user + cpu.system) / sorted.length,
  };
}
