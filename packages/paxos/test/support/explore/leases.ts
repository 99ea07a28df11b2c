import { ballotsOrder, ballotText } from "./disks.js";
import type { NodeState } from "./node-state.js";

/** Whether it counts on a lease at this moment of its clock. */
export const holdsLease = ({ leading, leaseUntilMs }: NodeState, nowMs: number): boolean =>
  leading !== undefined && leaseUntilMs > nowMs;

/** True, or who leads in a ballot that is not lower while another one holds a lease. `nowMs`: of a node's clock. */
export function oneLease(
  names: readonly string[],
  one: (node: number) => NodeState,
  nowMs: (node: number) => number,
): true | string {
  for (let i = 0; i < names.length; i++) {
    const holder = one(i);
    if (holder.leading === undefined || !holdsLease(holder, nowMs(i))) continue;
    for (let j = 0; j < names.length; j++) {
      const { leading } = one(j);
      if (j === i || leading === undefined || ballotsOrder(leading, holder.leading) < 0) continue;
      return `${names[j]} leads in ${ballotText(leading)} while ${names[i]} holds a lease`;
    }
  }
  return true;
}
