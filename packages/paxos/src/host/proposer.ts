import { checkOptions } from "../core/check-options.js";
import { encodeRequest } from "../core/client-table.js";
import type { PaxosCore } from "../core/core.js";
import { badArgument, PaxosError } from "../core/errors.js";
import type { Members } from "../core/types.js";
import type { Applier } from "./applier.js";
import type { Callers } from "./callers.js";
import { interruptible } from "./failure.js";
import type { Submitted } from "./group.js";
import type { ReplicaHome } from "./home.js";
import type { Replica } from "./replica.js";
import { type AskedAs, asProposed } from "./requests.js";

export interface ProposerParts<R> {
  readonly groupId: string;
  readonly home: ReplicaHome;
  readonly core: PaxosCore;
  readonly applier: Applier<R>;
  readonly callers: Callers<R>;
  readonly clientsMax: number | undefined;
  readonly replica: Replica<unknown>;
}

const nobody: Partial<AskedAs> = {};
const proposeNames = { client: 0, sequence: 0, signal: 0 };

/** Takes commands in, as they are or under a client's number, and changes of members. */
export class Proposer<R> {
  // One by one: an object that was put together from others by spreading may have a shape of its own, and what is asked of thousands of those is looked up anew each time.
  readonly #groupId: string;
  readonly #home: ReplicaHome;
  readonly #core: PaxosCore;
  readonly #applier: Applier<R>;
  readonly #callers: Callers<R>;
  readonly #clientsMax: number | undefined;
  readonly #replica: Replica<unknown>;

  constructor(parts: ProposerParts<R>) {
    this.#groupId = parts.groupId;
    this.#home = parts.home;
    this.#core = parts.core;
    this.#applier = parts.applier;
    this.#callers = parts.callers;
    this.#clientsMax = parts.clientsMax;
    this.#replica = parts.replica;
  }

  propose(command: Uint8Array, options?: { readonly signal?: AbortSignal } & Partial<AskedAs>): Promise<R> {
    if (options?.signal) return interruptible(options.signal, () => this.submit(command, options).done);
    try {
      return this.submit(command, options).done;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  submit(command: Uint8Array, askedAs: Partial<AskedAs> = nobody): Submitted<R> {
    // A client or sequence under another name would be a command that is carried out twice.
    if (askedAs !== nobody) checkOptions("propose", askedAs, proposeNames);
    const { commandBytesMax } = this.#home.settings;
    const { command: proposed, once } = asProposed(command, askedAs, commandBytesMax);
    return once ? this.#submitOnce(proposed) : this.#submit(proposed);
  }

  async register(options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    const { signal } = checkOptions("register", options, { signal: 0 });
    if (signal) return interruptible(signal, () => this.register());
    const clientsMax = this.#clientsMax;
    if (clientsMax === undefined) throw badArgument("clientsMax", "given to join for this", clientsMax);
    return (await this.#submitOnce(encodeRequest({ op: "register", clientsMax })).done) as number;
  }

  change(members: Members): Promise<unknown> {
    return this.#submit(new Uint8Array(0), { members }).done;
  }

  /** An entry that some member cannot read must not come into the log; what is in the log already, all of them can. */
  #submitOnce(command: Uint8Array): Submitted<R> {
    this.#replica.refuseIfNotLeading();
    if (this.#applier.executor.clients?.used !== true && !this.#core.allTakeRequests) {
      const message = `group ${this.#groupId}: not every member has said that it remembers clients: have all of them run this release, with clientsMax`;
      throw new PaxosError("ERR_PAXOS_UNSUPPORTED", message);
    }
    return this.#submit(command, { once: true });
  }

  #submit(command: Uint8Array, extra?: { readonly members?: Members; readonly once?: boolean }): Submitted<R> {
    this.#replica.refuseIfNotLeading();
    const { submissions, leadership } = this.#callers;
    const { under } = submissions;
    if (!under.hasRoom(command.length)) {
      const message = `group ${this.#groupId} has ${under.count} commands under way, try later`;
      throw new PaxosError("ERR_PAXOS_OVERLOADED", message);
    }
    const { ballot } = leadership.now;
    const submitted = submissions.add(command, this.#core.logEnd, ballot, extra);
    this.#home.due(this.#replica);
    return submitted;
  }
}
