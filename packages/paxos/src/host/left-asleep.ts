/** So many are remembered. */
const rememberedMax = 16 * 1024;

/**
 * Groups that were closed on this node while they slept, and under whom: the leader goes on counting on this node's echoes, so before one is opened again, which will have forgotten what it granted, its bond with that
 * node has to be broken. A bond that is over takes what is remembered of it along; where more are closed under one that lasts, all of these bonds are broken instead.
 */
export class LeftAsleep {
  readonly #breakWith: (node: string) => void;
  readonly #under = new Map<string, string>();

  constructor(breakWith: (node: string) => void) {
    this.#breakWith = breakWith;
  }

  get size(): number {
    return this.#under.size;
  }

  closed(groupId: string, under: string): void {
    this.#under.set(groupId, under);
    if (this.#under.size <= rememberedMax) return;
    for (const node of new Set(this.#under.values())) this.#breakWith(node);
    this.#under.clear();
  }

  opens(groupId: string): void {
    const under = this.#under.get(groupId);
    this.#under.delete(groupId);
    if (under !== undefined) this.#breakWith(under);
  }

  /** The bond with this node is over. */
  lost(node: string): void {
    for (const [groupId, under] of this.#under) if (under === node) this.#under.delete(groupId);
  }
}
