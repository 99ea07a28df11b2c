import {
  Admission,
  type AdmissionOptions,
  type Coordinator,
  type Limit,
  type LimitOptions,
  memoryCoordinator,
} from "../src/index.js";

/** A small generator of its own, so that a failing run can be repeated from its seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Time that passes only when a test says so. Each part may have a clock of its own, set apart from it. */
export class StagedTime {
  nowMs = 0;
  readonly #due = new Set<{ atMs: number; fire: () => void }>();

  readonly now = (): number => this.nowMs;

  readonly timer = (delayMs: number, fire: () => void): (() => void) => {
    const entry = { atMs: this.nowMs + delayMs, fire };
    this.#due.add(entry);
    return () => this.#due.delete(entry);
  };

  /** Lets `ms` pass; timers fire in order, and what they set off has its turns in between. */
  async pass(ms: number): Promise<void> {
    await turns();
    const endMs = this.nowMs + ms;
    for (;;) {
      let next: { atMs: number; fire: () => void } | undefined;
      for (const entry of this.#due) if (next === undefined || entry.atMs < next.atMs) next = entry;
      if (next === undefined || next.atMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.#due.delete(next);
      next.fire();
      await turns();
    }
    this.nowMs = endMs;
  }
}

/** Lets promises that can go on go on. */
export async function turns(): Promise<void> {
  for (let i = 0; i < 12; i += 1) await Promise.resolve();
}

/** A coordinator behind a line that can be cut, slowed, and made to lose answers. */
export class Line implements Coordinator {
  settlements = 0;
  mode: "up" | "down" | "hang" | "lose-replies" = "up";
  behind: ReturnType<typeof memoryCoordinator>;

  constructor(behind: ReturnType<typeof memoryCoordinator>) {
    this.behind = behind;
  }

  async settle(...args: Parameters<Coordinator["settle"]>): ReturnType<Coordinator["settle"]> {
    this.settlements += 1;
    if (this.mode === "down") throw new Error("connection refused");
    if (this.mode === "hang") return new Promise(() => {});
    const grants = await this.behind.settle(...args);
    if (this.mode === "lose-replies") throw new Error("connection reset");
    return grants;
  }
}

export interface Router {
  readonly admission: Admission;
  readonly limit: Limit;
  readonly line: Line;
}

/** Any number of members of one limit over one coordinator, in staged time. */
export class Fleet {
  readonly time = new StagedTime();
  readonly routers: Router[] = [];
  readonly options: LimitOptions;
  readonly random: () => number;
  coordinator: ReturnType<typeof memoryCoordinator>;
  #joined = 0;

  constructor(
    options: LimitOptions,
    seed = 1,
    coordinator: Parameters<typeof memoryCoordinator>[0] = { learnForMs: 0 },
  ) {
    this.options = options;
    this.random = seeded(seed);
    this.coordinator = memoryCoordinator({ ...coordinator, now: this.time.now });
  }

  join(options: Partial<AdmissionOptions> = {}): Router {
    const line = new Line(this.coordinator);
    this.#joined += 1;
    const admission = new Admission({
      coordinator: line,
      member: `router-${this.#joined}`,
      now: this.time.now,
      timer: this.time.timer,
      random: this.random,
      ...options,
    });
    const router = { admission, limit: admission.limit("orders:write", this.options), line };
    this.routers.push(router);
    return router;
  }

  /** A new coordinator with empty books in place of the old one. */
  restartCoordinator(options: Parameters<typeof memoryCoordinator>[0] = {}): void {
    this.coordinator = memoryCoordinator({ ...options, now: this.time.now });
    for (const { line } of this.routers) line.behind = this.coordinator;
  }

  /** Offers each router `perSecond(i)` requests a second for `ms`; returns what each admitted in each 100 ms. */
  async load(ms: number, perSecond: (router: number, nowMs: number) => number): Promise<number[][]> {
    const admitted = this.routers.map(() => [] as number[]);
    const owed = this.routers.map(() => 0);
    for (let passed = 0; passed < ms; passed += 100) {
      for (let i = 0; i < this.routers.length; i += 1) {
        const router = this.routers[i] as Router;
        owed[i] = (owed[i] as number) + perSecond(i, this.time.nowMs) / 10;
        let count = 0;
        for (; (owed[i] as number) >= 1; owed[i] = (owed[i] as number) - 1) if (router.limit.tryTake(1)) count += 1;
        (admitted[i] as number[]).push(count);
      }
      await this.time.pass(100);
    }
    return admitted;
  }
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
