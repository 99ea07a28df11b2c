import { Carried } from "./carried.js";
import { Connection, type ConnectionLimits, type Target } from "./client-connection.js";
import { bad } from "./core/errors.js";
import type { Answers, Questions } from "./core/questions.js";
import { checkedAddress } from "./options.js";
import { MemdsServer } from "./server.js";

/**
 * A member that is reached by a way of the app's own, such as a connection over which it talks to that machine anyway: look-ups then ride on what is sent
 * in any case, where a connection for them alone costs both sides a system call and a wake-up for each batch.
 */
export interface MemdsCarrier {
  /** For messages of errors. */
  readonly name: string;
  /** Something is sent there at the end of this turn anyway: among servers that are well it is then asked first. */
  readonly isDue?: boolean;
  /** Brings a frame to `MemdsServer.answer` there, and back what that returns. A rejection counts as a server that cannot be reached. */
  carry(frame: Uint8Array): Promise<Uint8Array>;
}

/**
 * A member of the fleet: where it listens; in the same process, the server itself, asked without a socket through the same handler; or who brings look-ups there.
 */
export type MemdsMember = { readonly host: string; readonly port: number } | MemdsServer | MemdsCarrier;

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function targetOf(server: MemdsMember, limits: ConnectionLimits): Target {
  if (server instanceof MemdsServer) return inProcess(server);
  return isCarrier(server) ? new Carried(server, limits) : new Connection(checkedAddress(server, "servers"), limits);
}

const isCarrier = (server: Exclude<MemdsMember, MemdsServer>): server is MemdsCarrier =>
  typeof (server as Partial<MemdsCarrier> | undefined)?.carry === "function";

function inProcess(server: MemdsServer): Target {
  return {
    name: `in process, port ${server.port}`,
    ask: (questions) => ({ answers: lookedUp(server, questions), drop: () => {} }),
    close: () => {},
  };
}

async function lookedUp<A>(server: MemdsServer, questions: Questions<A>): Promise<Answers<A>> {
  const answers = server.lookup(questions.queries());
  return { version: answers[0]?.version, all: questions.answers(answers) };
}

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkedServers(servers: unknown): readonly MemdsMember[] {
  if (!Array.isArray(servers) || servers.length === 0) {
    throw bad("servers", "an array of at least one server", servers);
  }
  return servers as readonly MemdsMember[];
}

export function sameServer(a: MemdsMember, b: MemdsMember): boolean {
  if (a instanceof MemdsServer || b instanceof MemdsServer || isCarrier(a) || isCarrier(b)) return a === b;
  return a.host === b.host && a.port === b.port;
}
