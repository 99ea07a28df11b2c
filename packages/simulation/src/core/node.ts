import type { SimDisk } from "./disk.js";
import { checkedNumber, SimulationError } from "./errors.js";
import type { Deliver, SimNetwork } from "./network.js";
import type { Scheduler } from "./scheduler.js";

/**
 * A machine that may crash, come back, stand still, and whose clock runs as it likes.
 *
 * Everything that happens to the program on it goes through one gate: after a crash, timers and completions of the life before never
 * fire; while it is paused (a suspended process, a long collection of garbage) they wait, and come all at once when it wakes.
 */
export class SimNode<Message = unknown> {
  #up = false;
  #life = 0;
  #pausedUntilMs = 0;
  #backlog: (() => void)[] = [];
  /** The local clock: `#localBaseMs` at world time `#worldBaseMs`, and `#rate` local milliseconds a millisecond since. */
  #localBaseMs = 0;
  #worldBaseMs = 0;
  #rate = 1;

  constructor(
    readonly name: string,
    readonly scheduler: Scheduler,
    readonly network: SimNetwork<Message>,
    readonly disk: SimDisk,
  ) {
    disk.completeThrough((action) => this.#pass(this.#life, action));
  }

  get up(): boolean {
    return this.#up;
  }

  /** 1 in the first life, one more after each restart. */
  get life(): number {
    return this.#life;
  }

  get paused(): boolean {
    return this.scheduler.now < this.#pausedUntilMs;
  }

  /** What this node's own monotonic clock shows, in milliseconds. It goes on while the node is down or paused. */
  get now(): number {
    return this.#localBaseMs + (this.scheduler.now - this.#worldBaseMs) * this.#rate;
  }

  /** Starts the node: from now on messages reach `deliver`. Throws when it is already up. */
  start(deliver: Deliver<Message>): void {
    if (this.#up)
      throw new SimulationError("ERR_SIMULATION_ARGUMENT", `node ${this.name} is already up; crash() it first`);
    this.#up = true;
    const life = ++this.#life;
    this.network.attach(this.name, (from, message) => this.#pass(life, () => deliver(from, message)));
  }

  /** Stops it at once: no timer, message or completion of this life arrives any more, and the disk loses what was not synced. */
  crash(): void {
    this.#up = false;
    this.#pausedUntilMs = 0;
    this.#backlog = [];
    this.network.detach(this.name);
    this.disk.crash();
  }

  /** A timer of this life, `delayMs` by the node's own clock (as its rate is now). */
  timer(delayMs: number, action: () => void): () => void {
    const life = this.#life;
    let cancelled = false;
    const cancel = this.scheduler.timer(delayMs / this.#rate, () =>
      this.#pass(life, () => {
        if (!cancelled) action();
      }),
    );
    return () => {
      cancelled = true;
      cancel();
    };
  }

  /** As the network's `send`, in this node's name; a node that is down sends nothing. */
  send(to: string, message: Message): void {
    if (this.#up) this.network.send(this.name, to, message);
  }

  /** Nothing runs on the node for so long; then all that was due runs, in order. */
  pause(durationMs: number): void {
    checkedNumber("durationMs", durationMs, 0);
    if (!this.#up) return;
    const life = this.#life;
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.scheduler.now + durationMs);
    this.scheduler.timer(durationMs, () => {
      if (life !== this.#life || this.paused) return;
      this.#wake(life);
    });
  }

  /** Sets how fast the node's clock runs: 1.2 is 20 % fast, 0 would stand still and is refused (timers could never fire). */
  setClockRate(rate: number): void {
    checkedNumber("rate", rate, 1e-3, 1e3);
    this.#rebase();
    this.#rate = rate;
  }

  get clockRate(): number {
    return this.#rate;
  }

  /** Moves the node's clock forward by `byMs`. Not back: it stands for a monotonic clock. Timers that are running do not notice. */
  jumpClock(byMs: number): void {
    checkedNumber("byMs", byMs, 0);
    this.#rebase();
    this.#localBaseMs += byMs;
  }

  #rebase(): void {
    this.#localBaseMs = this.now;
    this.#worldBaseMs = this.scheduler.now;
  }

  #pass(life: number, action: () => void): void {
    if (!this.#up || life !== this.#life) return;
    if (this.paused || this.#backlog.length > 0) this.#backlog.push(() => this.#pass(life, action));
    else action();
  }

  #wake(life: number): void {
    const due = this.#backlog;
    this.#backlog = [];
    for (const [index, action] of due.entries()) {
      // The program may pause or crash itself half-way through what was due.
      if (life !== this.#life || !this.#up) return;
      if (this.paused) {
        this.#backlog = [...due.slice(index), ...this.#backlog];
        return;
      }
      action();
    }
  }
}
