/** What one member asks of a limit. */
export interface Wish {
  /** Units a second that it would spend. */
  readonly wantedPerSecond: number;
  /** How much of what is contested goes to it, beside the others' weights. More than 0. */
  readonly weight: number;
  /** What it gets whether it wants it or not, and whatever the others want. */
  readonly guaranteedPerSecond: number;
}

/**
 * Weighted max-min fairness over guaranteed floors: nobody gets more than wanted (or guaranteed), and nobody's part can
 * be raised without lowering that of somebody who has less for its weight. Who wants less than an even part gets all of
 * it; the rest is divided by weight among the others.
 *
 * Each part is `max(floor, min(wanted, weight * level))` for one water level. As the level rises, a part begins to grow
 * where `weight * level` passes its floor and stops at what is wanted; between those points the sum is a straight line, so
 * the level is found in one pass over the sorted points. Floors that together exceed what there is are cut in proportion.
 */
export function maxMinFair(available: number, wishes: readonly Wish[]): number[] {
  const whole = Math.max(0, available);
  const guaranteed = wishes.reduce((sum, wish) => sum + wish.guaranteedPerSecond, 0);
  const cut = guaranteed > whole ? whole / guaranteed : 1;
  let left = whole - guaranteed * cut;
  const points: { level: number; slope: number; index: number }[] = [];
  wishes.forEach((wish, index) => {
    const floor = wish.guaranteedPerSecond * cut;
    const [from, to] = [floor / wish.weight, wish.wantedPerSecond / wish.weight];
    // What is wanted may be above the floor by less than a division can say: then nothing grows, and a part that stopped before it began to would be counted wrong.
    if (from >= to) return;
    points.push({ level: from, slope: wish.weight, index });
    points.push({ level: to, slope: -wish.weight, index });
  });
  points.sort((a, b) => a.level - b.level || a.slope - b.slope || a.index - b.index);
  let level = 0;
  let slope = 0;
  // How many parts grow: the sum of weights alone would leave a rounding error where it should be nothing.
  let growing = 0;
  for (const point of points) {
    const needed = growing > 0 ? slope * (point.level - level) : 0;
    if (needed >= left) break;
    left -= needed;
    level = point.level;
    growing += point.slope > 0 ? 1 : -1;
    slope = growing > 0 ? slope + point.slope : 0;
  }
  if (growing > 0) level += left / slope;
  return wishes.map(({ wantedPerSecond, weight, guaranteedPerSecond }) =>
    Math.max(guaranteedPerSecond * cut, Math.min(wantedPerSecond, weight * level)),
  );
}

/**
 * What each member should hold: what it wants, max-min fair, and room above it out of what nobody wants, so that a
 * member that wakes up or grows is not refused before it has settled.
 *
 * Half of the rest goes out in proportion to what is wanted, half by weight, with the coordinator as one more head: its
 * part is at hand for whoever comes next. A member that is alone gets everything; there is nobody to keep it for.
 */
export function allocate(ratePerSecond: number, wishes: readonly Wish[]): number[] {
  if (wishes.length === 1) return [ratePerSecond];
  const parts = maxMinFair(ratePerSecond, wishes);
  const sum = parts.reduce((total, part) => total + part, 0);
  const rest = Math.max(0, ratePerSecond - sum);
  const inProportion = sum > 0 ? rest / 2 : 0;
  const weights = wishes.reduce((total, { weight }) => total + weight, 0);
  const even = (rest - inProportion) / (weights + weights / Math.max(1, wishes.length));
  return parts.map((part, i) => part + even * (wishes[i]?.weight ?? 0) + (sum > 0 ? (inProportion * part) / sum : 0));
}
