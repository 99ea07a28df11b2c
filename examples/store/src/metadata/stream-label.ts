/** A stream's label is the time at which it was asked for, told apart to the millisecond: the next one of the same table has a greater one, whatever the clock says. */
export function streamLabel(nowMs: number, last: string | undefined): string {
  const label = labelOf(nowMs);
  return last === undefined || label > last ? label : labelOf(labelTimeMs(last) + 1);
}

export const labelTimeMs = (label: string): number => Date.parse(`${label}Z`);

const labelOf = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, -1);
