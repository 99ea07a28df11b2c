/** The shortest and the longest pause, in milliseconds. */
export interface Pauses {
  readonly msMin?: number;
  readonly msMax?: number;
}

/**
 * A pause as long as what was done since the last one, for work in the background: whatever it is, it has half of the time at most, what other threads do of it included.
 * Nobody waits behind it for longer than one piece of it takes.
 */
export function halfPace({ msMin = 0, msMax = Number.POSITIVE_INFINITY }: Pauses = {}): () => Promise<void> {
  let resumedAt = performance.now();
  return async () => {
    const pauseMs = Math.min(Math.max(msMin, performance.now() - resumedAt), msMax);
    await new Promise<void>((resolve) => setTimeout(resolve, pauseMs));
    resumedAt = performance.now();
  };
}
