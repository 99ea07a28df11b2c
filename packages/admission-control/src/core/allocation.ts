/**
 * Max-min fairness: nobody gets more than wanted, and nobody's part can be raised without lowering that of somebody who
 * has less. Who wants less than an even part gets all of it; the rest is divided evenly among the others.
 */
export function maxMinFair(available: number, wanted: readonly number[]): number[] {
  const parts = wanted.map(() => 0);
  const order = wanted.map((_, index) => index).sort((a, b) => (wanted[a] as number) - (wanted[b] as number));
  let left = Math.max(0, available);
  for (let i = 0; i < order.length; i += 1) {
    const index = order[i] as number;
    const part = Math.min(wanted[index] as number, left / (order.length - i));
    parts[index] = part;
    left = Math.max(0, left - part);
  }
  return parts;
}

/**
 * What each member should hold: what it wants, max-min fair, and room above it out of what nobody wants, so that a
 * member that wakes up or grows is not refused before it has settled.
 *
 * Half of the rest goes out in proportion to what is wanted, half evenly, with the coordinator as one more head: its
 * part is at hand for whoever comes next. A member that is alone gets everything; there is nobody to keep it for.
 */
export function allocate(ratePerSecond: number, wanted: readonly number[]): number[] {
  if (wanted.length === 1) return [ratePerSecond];
  const parts = maxMinFair(ratePerSecond, wanted);
  const sum = parts.reduce((total, part) => total + part, 0);
  const rest = Math.max(0, ratePerSecond - sum);
  const inProportion = sum > 0 ? rest / 2 : 0;
  const even = (rest - inProportion) / (wanted.length + 1);
  return parts.map((part) => part + even + (sum > 0 ? (inProportion * part) / sum : 0));
}
