import { channel } from "node:diagnostics_channel";
import { nodesOf } from "../core/configuration.js";
import type { CoreEvent, Effect, Entry } from "../core/types.js";
import type { Applier } from "./applier.js";
import { Arrears } from "./arrears.js";
import type { Callers } from "./callers.js";
import { amnesia, asFailure } from "./failure.js";
import type { ReplicaHome } from "./home.js";
import type { Replica } from "./replica.js";
import type { Shipper } from "./shipper.js";
import type { Upkeep } from "./upkeep.js";
import type { Writer } from "./writer.js";

/** Applied without asking again whether there is room. */
const applyAtOnceMax = 64;

const departed = channel("evenkeel:paxos:departed");

export interface EffectParts<R> {
  readonly home: ReplicaHome;
  readonly replica: Replica<unknown>;
  readonly writer: Writer;
  readonly applier: Applier<R>;
  readonly shipper: Shipper;
  readonly callers: Callers<R>;
  readonly upkeep: Upkeep<R>;
  readonly step: (event: CoreEvent) => void;
}

/** Carries out what one core asks for, each effect with whom it concerns. */
export class Effects<R> {
  readonly #parts: EffectParts<R>;
  readonly arrears: Arrears<R>;

  constructor(parts: EffectParts<R>) {
    this.#parts = parts;
    const { home, replica, applier, callers, step } = parts;
    this.arrears = new Arrears({
      applier,
      storage: replica.storage,
      chosenThrough: () => replica.core.chosenThrough,
      answerer: callers,
      applied: (last) => this.#applied(last),
      caughtUp: () => {
        applier.behind = false;
        // A snapshot may have brought all that somebody waits for.
        this.#applied(undefined);
        step({ type: "stateful", nowMs: home.settings.now() });
      },
      fail: (cause) => replica.stop(asFailure("ERR_PAXOS_APPLY", replica.groupId, "it could not be applied", cause)),
    });
  }

  carryOut(effect: Effect): void {
    const { home, replica, writer, callers, applier, shipper, upkeep } = this.#parts;
    switch (effect.type) {
      case "persist":
        upkeep.writes();
        writer.write(effect);
        break;
      case "send":
        home.post(effect.to, replica, effect.message);
        break;
      case "chosen":
        this.#apply(effect.entries);
        break;
      case "proposed":
        callers.proposed(effect);
        break;
      case "rejected":
        callers.rejected(effect);
        break;
      case "readable":
        callers.readable(effect, applier);
        break;
      case "leadership":
        callers.leadershipChanged(effect);
        replica.localReads?.leaderChanged();
        break;
      case "ship":
        shipper.ship(effect);
        break;
      case "snapshotNeeded":
        upkeep.snapshots.sender.needed(effect.to, effect.fromSlot);
        break;
      case "releasable":
        upkeep.releasable(effect.throughSlot);
        break;
      case "configured":
        home.know(nodesOf(effect.configuration));
        break;
      case "release":
        home.bonds.release(effect.to, { group: replica.groupId, ballot: effect.ballot });
        break;
      case "assured":
        upkeep.assured();
        break;
      case "forgetful": {
        const { nodeId } = home.settings;
        replica.stop(amnesia(replica.groupId, `the group knows ${nodeId} as another log`));
        break;
      }
      case "departed":
        if (departed.hasSubscribers) departed.publish({ nodeId: home.settings.nodeId, groupId: replica.groupId });
        break;
    }
  }

  #apply(entries: readonly Entry[]): void {
    const { replica, upkeep } = this.#parts;
    let last: Entry | undefined;
    try {
      for (let from = 0; from < entries.length; from += applyAtOnceMax) {
        const some = entries.length <= applyAtOnceMax ? entries : entries.slice(from, from + applyAtOnceMax);
        if (this.#applySome(some)) last = some.at(-1);
      }
    } catch (cause) {
      replica.stop(asFailure("ERR_PAXOS_APPLY", replica.groupId, "it could not be applied", cause));
      return;
    }
    upkeep.chosen(entries);
    if (last !== undefined) this.#applied(last);
  }

  #applySome(entries: readonly Entry[]): boolean {
    const { applier, callers } = this.#parts;
    // Who leads is waited for by those who propose and read; and whoever proposes can be slowed down.
    const room = applier.steady && !callers.leadership.now.leading ? applier.room() : undefined;
    if (room !== undefined) this.arrears.begin(room);
    return applier.chosen(entries, callers);
  }

  #applied(last: Entry | undefined): void {
    const { home, replica, applier, callers } = this.#parts;
    replica.localReads?.applied();
    callers.appliedThrough(last, applier.appliedThrough);
    if (callers.submissions.waiting) home.due(replica);
  }
}
