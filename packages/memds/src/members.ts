import { Connection, type ConnectionLimits, type Target } from "./client-connection.js";
import { MemdsError } from "./core/errors.js";
import { checkedAddress } from "./options.js";
import { MemdsServer } from "./server.js";

/** A member of the fleet: where it listens, or, in the same process, the server itself, asked without a socket through the same handler. */
export type MemdsMember = { readonly host: string; readonly port: number } | MemdsServer;

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function targetOf(server: MemdsMember, limits: ConnectionLimits): Target {
  return server instanceof MemdsServer ? inProcess(server) : new Connection(checkedAddress(server), limits);
}

function inProcess(server: MemdsServer): Target {
  return {
    name: `in process, port ${server.port}`,
    ask: async (questions) => {
      const answers = server.lookup(questions.queries());
      return { version: answers[0]?.version, all: questions.answers(answers) };
    },
    close: () => {},
  };
}

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkedServers(servers: unknown): readonly MemdsMember[] {
  if (!Array.isArray(servers) || servers.length === 0) {
    throw new MemdsError(
      "ERR_MEMDS_ARGUMENT",
      `servers must be an array of at least one server, not ${String(servers)}`,
    );
  }
  return servers as readonly MemdsMember[];
}

export function sameServer(a: MemdsMember, b: MemdsMember): boolean {
  if (a instanceof MemdsServer || b instanceof MemdsServer) return a === b;
  return a.host === b.host && a.port === b.port;
}
