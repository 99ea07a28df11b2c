const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `heard` once the signal is aborted, unless what it returns was called before. However many wait for one signal, it has one listener: a signal may stand for the whole
 * life of a node, with all its calls under way on it, and Node.js takes the eleventh listener for a leak.
 */
export function whenAborted(signal: AbortSignal | undefined, heard: () => void): () => void {
  if (signal === undefined) return () => undefined;
  let all = waiting.get(signal);
  if (all === undefined) {
    all = new Set();
    waiting.set(signal, all);
    signal.addEventListener("abort", tellAll, { once: true });
  }
  const them = all;
  // Of its own, so that the same function may wait twice.
  const one = () => heard();
  them.add(one);
  return () => {
    if (!them.delete(one) || them.size > 0) return;
    waiting.delete(signal);
    signal.removeEventListener("abort", tellAll);
  };
}

function tellAll({ currentTarget }: Event): void {
  const signal = currentTarget as AbortSignal;
  const all = waiting.get(signal) ?? [];
  waiting.delete(signal);
  for (const heard of all) heard();
}
