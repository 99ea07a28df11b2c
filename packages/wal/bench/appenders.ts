/** `appenders` loops that each await one append after the other, for about `durationMs`: appends a second, and latencies. */
export async function appendLoad(
  append: (data: Buffer) => Promise<unknown>,
  options: { readonly appenders: number; readonly bytes: number; readonly durationMs: number },
): Promise<{ readonly "appends/s": number; readonly "p50 ms": number; readonly "p99 ms": number }> {
  const data = Buffer.alloc(options.bytes, 7);
  const latencies: number[] = [];
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
  const sorted = Float64Array.from(latencies).sort();
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  return { "appends/s": sorted.length / seconds, "p50 ms": at(0.5), "p99 ms": at(0.99) };
}
