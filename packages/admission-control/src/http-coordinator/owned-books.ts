import { BucketLevel } from "@evenkeel/token-bucket";
import { CoordinatorBooks } from "../core/coordinator-books.js";
import type { Grant, Settlement } from "../core/protocol.js";
import { type Ring, RingOwners } from "../core/ring.js";

export interface OwnedBooksTerms {
  readonly self: string;
  readonly leaseMs: number;
  readonly learningShare: number;
  /** The longest time for which a server may still work by a ring that was replaced. */
  readonly ringTtlMs: number;
  readonly limitsMax: number;
  readonly membersMax: number;
}

/**
 * The books of the limits that a ring gives to one server.
 *
 * While a ring changes, two servers may both take a limit for theirs: the one that has not heard yet goes on granting, for
 * `ringTtlMs` at most, and what it granted last runs for a lease. So long the new owner learns: it believes what members hold
 * and grants nothing else but a small part to newcomers. Both together keep to the limit and that small part.
 */
export class OwnedBooks {
  readonly #terms: OwnedBooksTerms;
  readonly #books: CoordinatorBooks;
  /** Rings that were replaced not long ago, and until when what their owners granted may be in use. */
  #earlier: { readonly owners: RingOwners; readonly untilMs: number }[] = [];
  #owners: RingOwners;
  readonly #startedMs: number;

  constructor(ring: Ring, terms: OwnedBooksTerms, learnAtStart: boolean, nowMs: number) {
    this.#terms = terms;
    this.#owners = new RingOwners(ring);
    this.#startedMs = learnAtStart ? nowMs : Number.NEGATIVE_INFINITY;
    this.#books = new CoordinatorBooks(
      {
        ...terms,
        learnForMs: learnAtStart ? terms.leaseMs : 0,
        newLevel: (level, atMs) => new BucketLevel(level, atMs),
        learnUntilMs: (limit) => this.#learnUntilMs(limit),
      },
      nowMs,
    );
  }

  get ring(): Ring {
    return this.#owners.ring;
  }

  get limits(): number {
    return this.#books.limits;
  }

  owns(limit: string): boolean {
    return this.#owners.owner(limit) === this.#terms.self;
  }

  /** A ring with a higher epoch replaces the present one; says whether it did. */
  adopt(ring: Ring, nowMs: number): boolean {
    if (ring.epoch <= this.ring.epoch) return false;
    this.#earlier = this.#earlier.filter(({ untilMs }) => untilMs > nowMs);
    this.#earlier.push({ owners: this.#owners, untilMs: nowMs + this.#terms.ringTtlMs + this.#terms.leaseMs });
    this.#owners = new RingOwners(ring);
    this.#books.keepOnly((limit) => this.owns(limit));
    return true;
  }

  settle(settlements: readonly Settlement[], nowMs: number): Grant[] {
    return this.#books.settle(
      settlements.filter(({ limit }) => this.owns(limit)),
      nowMs,
    );
  }

  #learnUntilMs(limit: string): number {
    const { self, ringTtlMs, leaseMs } = this.#terms;
    let untilMs = this.#startedMs + ringTtlMs + leaseMs;
    for (const earlier of this.#earlier) {
      if (earlier.owners.owner(limit) !== self) untilMs = Math.max(untilMs, earlier.untilMs);
    }
    return untilMs;
  }
}
