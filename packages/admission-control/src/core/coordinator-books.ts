import { AdmissionError } from "./errors.js";
import type { NewLevel } from "./level.js";
import { type LedgerTerms, LimitLedger } from "./limit-ledger.js";
import type { Grant, Settlement } from "./protocol.js";

export interface CoordinatorTerms {
  /** How long a share may be spent after the settlement that brought it. */
  readonly leaseMs: number;
  /** For how long after the start members of an earlier coordinator may still hold leases. */
  readonly learnForMs: number;
  readonly learningShare: number;
  readonly limitsMax: number;
  readonly membersMax: number;
  /** A name that no other coordinator has ever had. */
  readonly life: string;
  readonly newLevel: NewLevel;
}

/**
 * Ledgers looked at for each settlement, to see whether they can be forgotten: the sweep costs a little always, and
 * much never.
 */
const SWEPT_PER_SETTLEMENT = 2;

/**
 * All the books of one coordinator in memory: a ledger a limit, opened by the first settlement that names it, forgotten
 * when it says nothing any more. Time is handed in, and must not step back.
 */
export class CoordinatorBooks {
  readonly #terms: CoordinatorTerms;
  readonly #startedMs: number;
  readonly #ledgers = new Map<string, LimitLedger>();
  #sweep: IterableIterator<[string, LimitLedger]> | undefined;
  #leases = 0;

  constructor(terms: CoordinatorTerms, nowMs: number) {
    this.#terms = terms;
    this.#startedMs = nowMs;
  }

  get limits(): number {
    return this.#ledgers.size;
  }

  ledger(limit: string): LimitLedger | undefined {
    return this.#ledgers.get(limit);
  }

  learning(nowMs: number): boolean {
    return nowMs < this.#startedMs + this.#terms.learnForMs;
  }

  /**
   * Answers what it can: settlements that make no sense, or would open more books than `limitsMax` or `membersMax`, are
   * left out.
   */
  settle(settlements: readonly Settlement[], nowMs: number): Grant[] {
    const terms: LedgerTerms = {
      leaseMs: this.#terms.leaseMs,
      learning: this.learning(nowMs),
      learningShare: this.#terms.learningShare,
      membersMax: this.#terms.membersMax,
      newLevel: this.#terms.newLevel,
      leaseId: () => {
        this.#leases += 1;
        return `${this.#terms.life}.${this.#leases}`;
      },
    };
    const grants: Grant[] = [];
    for (const settlement of settlements) {
      this.#forgetSome(nowMs, terms);
      const grant = this.#settleOne(settlement, nowMs, terms);
      if (grant !== undefined) grants.push(grant);
    }
    return grants;
  }

  #settleOne(settlement: Settlement, nowMs: number, terms: LedgerTerms): Grant | undefined {
    if (!Number.isFinite(settlement.returnedTotal) || !Number.isSafeInteger(settlement.sequence)) return undefined;
    try {
      let ledger = this.#ledgers.get(settlement.limit);
      if (ledger === undefined) {
        if (this.#ledgers.size >= this.#terms.limitsMax) return undefined;
        ledger = new LimitLedger(settlement, nowMs, terms);
        this.#ledgers.set(settlement.limit, ledger);
      }
      return ledger.settle(settlement, nowMs, terms);
    } catch (error) {
      if (error instanceof AdmissionError) return undefined;
      throw error;
    }
  }

  #forgetSome(nowMs: number, terms: LedgerTerms): void {
    if (terms.learning) return;
    for (let i = 0; i < SWEPT_PER_SETTLEMENT; i += 1) {
      this.#sweep ??= this.#ledgers.entries();
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        return;
      }
      const [limit, ledger] = next.value;
      if (ledger.forgettable(nowMs, terms)) this.#ledgers.delete(limit);
    }
  }
}
