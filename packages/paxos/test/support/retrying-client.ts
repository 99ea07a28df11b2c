import type { History, Random, World } from "@evenkeel/simulation";
import type { Answer, Op, Request } from "./machine.js";
import { Violation } from "./observer.js";
import type { Reply, SimReplica } from "./replica.js";
import type { Tally } from "./tally.js";

export interface RetryingClientOptions {
  readonly world: World<Uint8Array>;
  readonly history: History<Op, Answer>;
  readonly replicas: readonly SimReplica[];
  readonly tally: Tally;
  readonly random: Random;
  /** How many clients the group remembers. */
  readonly clientsMax: number;
  /** Keys of the counters. */
  readonly keys: readonly number[];
  /** How long it waits for an answer before it tries again, whatever becomes of the attempt before. */
  readonly patienceMs: number;
  /** Asks two nodes at once now and then, has several commands under way, answered in any order, and asks for what is not its turn yet. */
  readonly hasty?: boolean;
}

/** So far ahead that it is never carried out: whatever it would add, no other answer may show. */
const ahead = (request: Extract<Request, { kind: "once" }>) => ({ ...request, sequence: request.sequence + 100_000 });

function neverDone({ kind }: Reply): void {
  if (kind === "ok") throw new Violation("a request far ahead of its turn was answered");
}

/** Adds to counters, one at a time unless it is hasty, under a name and numbers of its own: each until it has an answer, wherever the leader is by then. */
export class RetryingClient {
  readonly #name: string;
  readonly #options: RetryingClientOptions;
  #target: string;
  #client: number | undefined;
  #sequence = 0;
  #calls = 0;
  #registering = false;
  stopped = false;
  succeeded = 0;

  constructor(name: string, options: RetryingClientOptions) {
    this.#name = name;
    this.#options = options;
    this.#target = options.random.pick(options.replicas).name;
    const lanes = options.hasty ? 3 : 1;
    for (let lane = 0; lane < lanes; lane++) this.#later(options.random.between(0, 50), () => this.#next());
  }

  #next(): void {
    if (this.stopped) return;
    const { clientsMax, keys, random, history, tally } = this.#options;
    if (this.#registering) {
      this.#later(5, () => this.#next());
      return;
    }
    if (this.#client === undefined) {
      this.#registering = true;
      this.#attempt({ kind: "register", clientsMax }, (reply) => {
        if (reply.kind !== "ok") return false;
        tally.add("clients registered");
        this.#registering = false;
        this.#client = reply.answer;
        this.#sequence = 0;
        return true;
      });
      return;
    }
    const key = random.pick(keys);
    const request = { kind: "once", key, client: this.#client, sequence: ++this.#sequence } as const;
    if (this.#options.hasty && random.chance(0.05)) this.#ask(this.#replica(this.#target), ahead(request), neverDone);
    const call = history.invoke(`${this.#name}/${++this.#calls}`, { kind: "add", key });
    let attempts = 0;
    this.#attempt(request, (reply) => {
      attempts++;
      if (reply.kind === "ok") {
        history.ok(call, reply.answer);
        this.succeeded++;
        if (attempts > 1) tally.add("requests answered at a later attempt");
        return true;
      }
      if (reply.kind === "forgotten") {
        tally.add("clients forgotten");
        if (this.#client === request.client) this.#client = undefined;
      } else if (!this.stopped) return false;
      history.unknown(call);
      return true;
    });
  }

  /** Until `done` has heard enough. An answer that comes after the next attempt has begun is an answer all the same. */
  #attempt(request: Request, done: (reply: Reply) => boolean): void {
    const { random, replicas, patienceMs, world } = this.#options;
    let over = false;
    const again = () => {
      if (over) return;
      const to = random.chance(0.1) ? random.pick(replicas) : this.#replica(this.#target);
      let waiting = true;
      const wait = (ms: number) => {
        if (!waiting || over) return;
        waiting = false;
        cancel();
        this.#later(ms, again);
      };
      const cancel = world.timer(patienceMs, () => {
        this.#target = random.pick(replicas).name;
        if (this.stopped) end({ kind: "unknown" });
        else wait(0);
      });
      const end = (reply: Reply) => {
        if (over) return;
        if (done(reply)) {
          over = true;
          cancel();
          if (reply.kind === "ok") this.#target = to.name;
          this.#later(random.between(1, 20), () => this.#next());
          return;
        }
        if (!waiting) return;
        this.#target = (reply.kind === "refused" ? reply.leader : undefined) ?? random.pick(replicas).name;
        wait(random.between(5, 40));
      };
      this.#ask(to, request, end);
      if (!this.#options.hasty || !random.chance(0.3)) return;
      this.#options.tally.add("requests of two nodes at once");
      this.#ask(random.pick(replicas), request, end);
    };
    again();
  }

  #ask(to: SimReplica, request: Request, end: (reply: Reply) => void): void {
    const { random } = this.#options;
    if (!to.node.up) {
      this.#later(random.between(0.1, 1), () => end({ kind: "refused", leader: undefined }));
      return;
    }
    to.node.timer(random.between(0.1, 1), () => {
      to.request(request, (reply) => this.#later(random.between(0.1, 1), () => end(reply)));
    });
  }

  #replica(name: string): SimReplica {
    return this.#options.replicas.find((replica) => replica.name === name) as SimReplica;
  }

  #later(delayMs: number, action: () => void): void {
    this.#options.world.timer(delayMs, action);
  }
}
