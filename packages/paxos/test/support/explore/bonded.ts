import type { BondEffect, BondMessage, CoreEvent, Message, PaxosCore } from "../../../src/core/index.js";

/** What nodes say to each other whatever their groups do, as a letter. */
export type Beat = BondMessage & { readonly type: "beat" };

interface Bonded {
  readonly vessel: PaxosCore;
  step(event: CoreEvent): void;
  post(to: string, message: Message | Beat): void;
  readonly nowMs: number;
  readonly leaseMs: number;
  readonly sleepsOn: boolean | undefined;
}

/** As the host does it, which has more than one group to wake. */
export function carryOutBonds(effects: readonly BondEffect[], bonded: Bonded): void {
  const { vessel, step, post, nowMs, leaseMs, sleepsOn } = bonded;
  for (const effect of effects) {
    if (effect.type === "send") post(effect.to, { type: "beat", ...effect.message });
    else if (effect.type === "released") {
      step({ type: "message", from: effect.node, message: { type: "resign", ballot: effect.ballot }, nowMs });
    } else if (vessel.asleep && effect.type === "changed") {
      if (vessel.leading) step({ type: "wake", nowMs });
    } else if (vessel.asleep && effect.type === "lost" && sleepsOn !== true) {
      const waitMs = effect.renewed ? 2 * leaseMs : 0;
      if (!vessel.leading && vessel.leader === effect.node) step({ type: "wake", nowMs, waitMs });
    }
  }
}

/** Of beats of one run the newest says all that the others do: of what is late only it may still arrive. */
export function runOf(from: number, to: number, { life, echo }: Beat): string {
  return `${from} ${to} ${life} ${echo === undefined ? "" : `${echo.life} ${echo.bond.life} ${echo.bond.turn}`}`;
}
