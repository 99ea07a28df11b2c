import type { History, Random, World } from "@evenkeel/simulation";
import type { Answer, Op } from "./machine.js";
import type { Reply, SimReplica } from "./replica.js";
import type { Tally } from "./tally.js";

export interface ClientOptions {
  readonly world: World<Uint8Array>;
  readonly history: History<Op, Answer>;
  readonly replicas: readonly SimReplica[];
  readonly tally: Tally;
  readonly random: Random;
  readonly keys: number;
  readonly readShare: number;
  readonly thinkMs: number;
  readonly timeoutMs: number;
  /** How likely a client asks for nothing for a while after an answer, so that now and then nobody does. */
  readonly pauseChance: number;
  /** No two swaps write the same value. */
  readonly nextValue: () => number;
}

/** One caller, one call at a time. It follows hints to the leader, and sometimes asks somebody else on purpose. */
export class Client {
  readonly name: string;
  readonly #options: ClientOptions;
  #target: string;
  #calls = 0;
  stopped = false;
  succeeded = 0;

  constructor(name: string, index: number, options: ClientOptions) {
    this.name = name;
    this.#options = options;
    this.#target = options.random.pick(options.replicas).name;
    this.#later(options.random.between(0, 50) + index, () => this.#call());
  }

  #call(): void {
    if (this.stopped) return;
    const { history, random, replicas, keys, readShare, world, timeoutMs, thinkMs, pauseChance } = this.#options;
    this.#calls++;
    const key = random.int(keys);
    const read = random.chance(readShare);
    const op: Op = read ? { kind: "read", key } : { kind: "swap", key, value: this.#options.nextValue() };
    const to = random.chance(0.08) ? random.pick(replicas) : this.#replica(this.#target);
    // Two clients' calls are two processes as soon as one of them may still be under way.
    const call = history.invoke(`${this.name}/${this.#calls}`, op);
    let open = true;
    const end = (reply: Reply) => {
      if (!open) return;
      open = false;
      cancel();
      if (reply.kind === "ok") {
        this.succeeded++;
        history.ok(call, reply.answer);
        this.#target = to.name;
        this.#options.tally.add(read ? "reads done" : "swaps done");
      } else if (reply.kind === "refused") {
        history.fail(call);
        this.#target = reply.leader ?? random.pick(replicas).name;
      } else {
        // A read that was not answered has done nothing, whatever became of it.
        if (read) history.fail(call);
        else history.unknown(call);
        this.#target = random.pick(replicas).name;
      }
      const think = () => (random.chance(pauseChance) ? random.between(100, 900) : random.between(0, 2 * thinkMs));
      const wait = reply.kind === "ok" ? think() : random.between(5, 40);
      this.#later(wait, () => this.#call());
    };
    const cancel = world.timer(timeoutMs, () => {
      this.#options.tally.add("calls timed out");
      end({ kind: "unknown" });
    });
    // The way there and back is a client's own connection: it may be slow, and it breaks when the node dies.
    if (!to.node.up) {
      this.#later(random.between(0.1, 1), () => end({ kind: "refused", leader: undefined }));
      return;
    }
    to.node.timer(random.between(0.1, 1), () => {
      to.request(op, (reply) => this.#later(random.between(0.1, 1), () => end(reply)));
    });
  }

  #replica(name: string): SimReplica {
    return this.#options.replicas.find((replica) => replica.name === name) as SimReplica;
  }

  #later(delayMs: number, action: () => void): void {
    this.#options.world.timer(delayMs, action);
  }
}
