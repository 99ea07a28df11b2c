/**
 * How much of a demand that is no longer seen is still reported by the next settlement: enough for a pause, not enough
 * to starve whoever took the traffic over.
 */
const DEMAND_KEPT = 0.25;
/** A demand is averaged over as many units at most, or as long. */
const EVIDENCE_UNITS = 64;
const EVIDENCE_MS_MAX = 10_000;
/** Units that are expected before their absence means anything: half of 40 comes by chance once in five thousand times. */
const PULSE_UNITS_MIN = 40;
/** A pulse that comes so much later than the one before was held up, and so were the requests. */
const PULSE_MS_MAX = 1000;

/**
 * What is asked of one limit at one member: measured from settlement to settlement, and watched in between for news, a demand
 * that starts or ends. It is told running totals: units that were asked for, granted or not, and units refused.
 */
export class DemandMeter {
  /** Measured over less time than this, a demand is what it was. */
  readonly #spanMsMin: number;
  #wantedPerSecond = 0;
  #fromMs: number;
  #fromUnits = 0;
  /** How long a time stands behind what is known. */
  #evidenceMs = 0;
  #refusedBefore = 0;
  #surprised = false;
  #surpriseTaken = false;
  #pulseMs: number;
  #pulseUnits = 0;

  constructor(spanMsMin: number, nowMs: number) {
    this.#spanMsMin = spanMsMin;
    this.#fromMs = nowMs;
    this.#pulseMs = nowMs;
  }

  get wantedPerSecond(): number {
    return this.#wantedPerSecond;
  }

  /** Something was refused that ought to have had room: news once it is more than chance now and then refuses. */
  refusal(units: number, refused: number, nowMs: number): void {
    if (this.#surprised || refused - this.#refusedBefore <= 2 * Math.sqrt(this.#wantedPerSecond)) return;
    // Measured from here: averaged over the quiet time before, it would look small.
    this.#surprised = true;
    this.#fromMs = nowMs;
    this.#fromUnits = units;
  }

  /** Whether there is such news; says so once for each settlement. */
  takeSurprise(): boolean {
    if (!this.#surprised || this.#surpriseTaken) return false;
    this.#surpriseTaken = true;
    return true;
  }

  /**
   * Whether less than half of what was reported came since the pulse before. The demand is then measured from that one: from
   * the last settlement it would look large.
   */
  pulse(units: number, nowMs: number): boolean {
    const elapsedMs = nowMs - this.#pulseMs;
    const expected = (this.#wantedPerSecond * elapsedMs) / 1000;
    if (elapsedMs < this.#spanMsMin || expected < PULSE_UNITS_MIN) return false;
    const [fromMs, fromUnits] = [this.#pulseMs, this.#pulseUnits];
    this.#pulseMs = nowMs;
    this.#pulseUnits = units;
    if (units - fromUnits >= expected / 2 || elapsedMs > PULSE_MS_MAX) return false;
    this.#fromMs = fromMs;
    this.#fromUnits = fromUnits;
    return true;
  }

  /** What to report in a settlement, made while `heldPerSecond` could be spent: units a second, up to `mostPerSecond`. */
  measure(units: number, refused: number, heldPerSecond: number, mostPerSecond: number, nowMs: number): number {
    const elapsedMs = nowMs - this.#fromMs;
    if (elapsedMs >= this.#spanMsMin) {
      // What was wanted beyond the share is not remembered: many remembering it at once would leave too little for
      // those who want it now.
      const keptPerSecond = Math.min(this.#wantedPerSecond, heldPerSecond) * DEMAND_KEPT;
      const seenPerSecond = this.#estimate(Math.max(0, units - this.#fromUnits), elapsedMs);
      this.#wantedPerSecond = Math.min(Math.max(seenPerSecond, keptPerSecond), mostPerSecond);
      this.#fromMs = this.#pulseMs = nowMs;
      this.#fromUnits = this.#pulseUnits = units;
    }
    this.#surprised = false;
    this.#surpriseTaken = false;
    this.#refusedBefore = refused;
    return this.#wantedPerSecond;
  }

  /**
   * A small demand arrives by chance: ten units a second, counted for two, are sixteen or twenty-four without any news. What
   * chance explains is averaged with what was known (so much that `EVIDENCE_UNITS` stand behind it); what it does not, replaces
   * it at once.
   */
  #estimate(units: number, elapsedMs: number): number {
    const known = this.#wantedPerSecond / 1000;
    const expected = known * elapsedMs;
    const isNews = Math.abs(units - expected) > 3 * Math.sqrt(expected) + 1;
    this.#evidenceMs = isNews ? 0 : Math.min(this.#evidenceMs, EVIDENCE_MS_MAX, EVIDENCE_UNITS / Math.max(known, 1e-9));
    const perMs = (known * this.#evidenceMs + units) / (this.#evidenceMs + elapsedMs);
    this.#evidenceMs += elapsedMs;
    return perMs * 1000;
  }
}
