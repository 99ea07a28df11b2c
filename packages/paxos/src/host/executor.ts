import { crc32 } from "node:zlib";
import { ClientTable, decodeRequest } from "../core/client-table.js";
import { badArgument, checkInteger, PaxosError } from "../core/errors.js";
import type { Entry } from "../core/types.js";
import { plainResults, type ResultCodec } from "./results.js";
import type { StateMachine } from "./state-machine.js";

/** What became of an entry: a result, or why it was not carried out. Neither for an entry without a command. */
export interface Outcome<R> {
  readonly result?: R | undefined;
  readonly refusal?: PaxosError;
}

const nothing: Outcome<never> = {};

/**
 * A state machine and the table of those who ask it: together they are the replicated state. All entries come by here, in slot order, whether they are
 * new, replayed after a start, or follow on a snapshot.
 */
export class Executor<R> {
  readonly #groupId: string;
  readonly #machine: StateMachine<R>;
  readonly #results: ResultCodec<R>;
  #clients: ClientTable | undefined;
  /** Commands that the state machine was given in this life. */
  carriedOut = 0;

  /**
   * Without `clientsMax` there is no table, and an entry that needs one throws.
   *
   * @throws PaxosError ERR_PAXOS_ARGUMENT for a state machine that outlives the process and leaves the table behind; ERR_PAXOS_CORRUPT, ERR_PAXOS_UNSUPPORTED
   */
  constructor(groupId: string, machine: StateMachine<R>, clientsMax?: number) {
    this.#groupId = groupId;
    this.#machine = machine;
    this.#results = machine.results ?? (plainResults as ResultCodec<R>);
    if (clientsMax === undefined) return;
    checkInteger("clientsMax", clientsMax, 1, 1 << 20);
    if (!("clientTable" in machine) && (machine.appliedThrough > 0 || machine.durableThrough !== undefined)) {
      throw badArgument(
        "stateMachine",
        "one with clientTable, since it outlives the process and clientsMax is given",
        machine,
      );
    }
    this.replaceClients(machine.clientTable);
  }

  get clients(): ClientTable | undefined {
    return this.#clients;
  }

  /** The table as it is now, in bytes. Of a group without one: none. */
  readonly clientTable = (): Uint8Array => this.#clients?.encode(crc32) ?? new Uint8Array(0);

  /** @throws PaxosError ERR_PAXOS_CORRUPT, ERR_PAXOS_UNSUPPORTED */
  replaceClients(image: Uint8Array | undefined): void {
    const table = new ClientTable();
    this.#clients = image === undefined || image.length === 0 ? table : table.load(image, crc32);
  }

  /** Whatever it throws ends the group on this node. */
  execute(entry: Entry): Outcome<R> {
    if (entry.kind === "command") return { result: this.#apply(entry) };
    return entry.kind === "once" ? this.#once(entry) : nothing;
  }

  #apply(entry: { readonly slot: number; readonly command: Uint8Array }): R {
    const result = this.#machine.apply(entry);
    this.carriedOut++;
    return result;
  }

  #once({ slot, command }: Entry): Outcome<R> {
    const clients = this.#clients;
    if (clients === undefined) {
      throw new PaxosError("ERR_PAXOS_CLIENT", "the others remember clients, this node was joined without clientsMax");
    }
    const request = decodeRequest(command);
    if (request.op === "register") {
      clients.register(slot, request.clientsMax);
      return { result: slot as R };
    }
    const { client, sequence } = request;
    switch (clients.judge(client, sequence)) {
      case "fresh": {
        const result = this.#apply({ slot, command: request.command });
        clients.done(client, sequence, this.#results.encode(result));
        return { result };
      }
      case "applied": {
        const kept = clients.resultOf(client, sequence);
        if (kept !== undefined) return { result: this.#results.decode(kept) };
        return this.#refusal(
          "ERR_PAXOS_RESULT",
          `command ${sequence} of client ${client} was carried out; its result is not kept`,
        );
      }
      case "ahead":
        return this.#refusal(
          "ERR_PAXOS_SEQUENCE",
          `command ${sequence} of client ${client} is too far ahead: earlier ones were not carried out yet`,
        );
      case "unknown":
        return this.#refusal(
          "ERR_PAXOS_CLIENT",
          `client ${client} is not known, or not any more; what became of its earlier attempts is not known either`,
        );
    }
  }

  #refusal(code: "ERR_PAXOS_RESULT" | "ERR_PAXOS_SEQUENCE" | "ERR_PAXOS_CLIENT", what: string): Outcome<R> {
    return { refusal: new PaxosError(code, `group ${this.#groupId}: ${what}`) };
  }
}
