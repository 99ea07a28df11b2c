/** What one stream holds. */
export interface Content {
  readonly first: number;
  readonly records: readonly string[];
}

/** What all streams hold: calls take effect in the order in which they are made, over all streams. */
export type World = ReadonlyMap<string, Content>;

export const nothing: Content = { first: 1, records: [] };

interface Step {
  readonly world: World;
  /** The batch that made it durable, once it was acknowledged. */
  batch: number | undefined;
}

/**
 * Every state that the log may be found in, in the order of the calls that lead to them. After a power cut exactly one of them must be there,
 * none older than the last one that was acknowledged.
 */
export class History {
  readonly #names: readonly string[];
  #steps: Step[];
  #acknowledged = 0;
  /** Nothing up to here may ever be in doubt again: an owner closed the log, or a later one was told. */
  #vouchedThrough = 0;
  /** Everything that was ever handed to the log, by stream. */
  readonly written: ReadonlyMap<string, Set<string>>;

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#steps = [{ world: new Map(), batch: 0 }];
    this.written = new Map(names.map((name) => [name, new Set<string>()]));
  }

  /** As it will be once everything that was called is done. */
  latest(name: string): Content {
    return (this.#steps.at(-1) as Step).world.get(name) ?? nothing;
  }

  called(name: string, next: Content): Step {
    const step: Step = { world: new Map((this.#steps.at(-1) as Step).world).set(name, next), batch: undefined };
    this.#steps.push(step);
    const seen = this.written.get(name) as Set<string>;
    for (const [at, record] of next.records.entries()) seen.add(`${next.first + at} ${record}`);
    return step;
  }

  acknowledged(step: Step, batch: number): void {
    step.batch = batch;
    this.#acknowledged = Math.max(this.#acknowledged, this.#steps.indexOf(step));
  }

  closed(batch: number): void {
    this.#vouchedThrough = Math.max(this.#vouchedThrough, batch);
  }

  /** Throws unless it is one of the states that the log may be in. */
  mayBe(world: World): void {
    this.#match(world, this.#steps.slice(this.#acknowledged));
  }

  /** Sound disk: `uncertainFrom` names a batch that was never acknowledged. */
  found(world: World, durableBatch: number, uncertain: number | undefined): void {
    const at = this.#match(world, this.#steps.slice(this.#acknowledged)) + this.#acknowledged;
    const last = this.#lastAcknowledgedBatch();
    if (uncertain !== undefined && uncertain <= last) {
      throw new Error(`batch ${uncertain} is called uncertain; batch ${last} was acknowledged`);
    }
    // What was in flight and is not there has never happened, and what is there counts from now on.
    this.#steps = this.#steps.slice(Math.max(0, at - 100), at + 1);
    this.#acknowledged = this.#steps.length - 1;
    this.#vouchedThrough = Math.max(this.#vouchedThrough, durableBatch - 1);
  }

  /** After a bit was flipped, and the log opened all the same. */
  foundAfterDamage(world: World, uncertain: number | undefined): void {
    if (uncertain === undefined) {
      this.mayBe(world);
      return;
    }
    const vouched = Math.max(this.#vouchedThrough, this.#lastAcknowledgedBatch() - 1);
    if (uncertain <= vouched) throw new Error(`batch ${uncertain} is called uncertain; ${vouched} was vouched for`);
    // Everything before the batch in doubt, and nothing of it.
    const from = this.#steps.findLastIndex((step) => step.batch !== undefined && step.batch < uncertain);
    const behind = this.#steps.findIndex(
      (step, at) => at > from && step.batch !== undefined && step.batch >= uncertain,
    );
    this.#match(world, this.#steps.slice(Math.max(0, from), behind < 0 ? undefined : behind));
  }

  #lastAcknowledgedBatch(): number {
    return Math.max(0, ...this.#steps.map((step) => step.batch ?? 0));
  }

  #match(world: World, allowed: readonly Step[]): number {
    const found = this.#key(world);
    // From the back: of equal states the later one.
    const at = allowed.findLastIndex((step) => this.#key(step.world) === found);
    if (at >= 0) return at;
    const [oldest, newest] = [allowed[0], allowed.at(-1)].map((step) => this.#key(step?.world ?? new Map()));
    throw new Error(`found\n${found}\nwhich is none of ${allowed.length} states from\n${oldest}\nto\n${newest}`);
  }

  #key(world: World): string {
    return this.#names
      .map((name) => {
        const { first, records } = world.get(name) ?? nothing;
        return `${name} from ${first}: ${records.map((record) => `"${record}"`).join(" ")}`;
      })
      .join("\n");
  }
}
