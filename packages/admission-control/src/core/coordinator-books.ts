import { AdmissionError } from "./errors.js";
import { type LedgerTerms, LimitLedger } from "./limit-ledger.js";
import type { Grant, Settlement } from "./protocol.js";

export interface CoordinatorTerms extends LedgerTerms {
  readonly limitsMax: number;
  /** Until when leases of earlier books for this limit may be in use. Default: for `learnForMs` from the start. */
  readonly learnUntilMs?: (limit: string) => number;
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

  /** These books were restored from older ones; see `LimitLedger.restored`. */
  restored(nowMs: number): void {
    for (const ledger of this.#ledgers.values()) ledger.restored(nowMs, this.#terms);
  }

  /** Forgets the limits that are somebody else's now. */
  keepOnly(owned: (limit: string) => boolean): void {
    for (const limit of this.#ledgers.keys()) if (!owned(limit)) this.#ledgers.delete(limit);
    this.#sweep = undefined;
  }

  /**
   * Answers what it can: settlements that make no sense, or would open more books than `limitsMax` or `membersMax`, are
   * left out.
   */
  settle(settlements: readonly Settlement[], nowMs: number): Grant[] {
    const terms = this.#terms;
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
        ledger = new LimitLedger(
          settlement,
          nowMs,
          terms,
          this.#terms.learnUntilMs?.(settlement.limit) ?? this.#startedMs + terms.learnForMs,
        );
        this.#ledgers.set(settlement.limit, ledger);
      }
      return ledger.settle(settlement, nowMs, terms);
    } catch (error) {
      if (error instanceof AdmissionError) return undefined;
      throw error;
    }
  }

  #forgetSome(nowMs: number, terms: LedgerTerms): void {
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
