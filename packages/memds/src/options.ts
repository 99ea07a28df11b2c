import { isIP } from "node:net";
import { bad, MemdsError } from "./core/errors.js";
import type { MemdsAddress } from "./peer-connection.js";

/** The largest frame that either side sends or takes. Both sides of a fleet should agree. */
export const frameBytesDefault = 8 * 1024 * 1024;

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function integer(name: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max)
    throw bad(name, `an integer from ${min} to ${max}`, value);
  return value;
}

/**
 * Where to listen: beyond loopback only with a secret.
 * @throws MemdsError `ERR_MEMDS_ARGUMENT`
 */
export function checkedHost(host: string, secret: string | undefined): string {
  if (typeof host !== "string") throw bad("host", "a string", host);
  // Only what cannot be anything else: a name may lead anywhere.
  const isLoopback = host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
  if (secret !== undefined || isLoopback) return host;
  throw new MemdsError("ERR_MEMDS_ARGUMENT", `host ${host} can be reached from elsewhere: give a secret`);
}

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkedPeers(peers: readonly MemdsAddress[]): readonly MemdsAddress[] {
  if (!Array.isArray(peers)) throw bad("peers", "an array", peers);
  return peers.map((peer) => checkedAddress(peer, "peers"));
}

/** @param name the option in which it was given. @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkedAddress(address: MemdsAddress, name: string): MemdsAddress {
  if (typeof address?.host !== "string") throw bad(`${name}: host`, "a string", address?.host);
  integer(`${name}: port`, address.port, 1, 65_535);
  return { host: address.host, port: address.port };
}

/**
 * The options as they are: none where nothing was given, so that what is needed is asked for by its name. A name that there is not would be a typo that is taken
 * for a default, and so would null. `names` has all of them, and its type sees to that.
 */
export function checkOptions<T extends object>(of: string, options: T, names: Readonly<Record<keyof T, unknown>>): T {
  const given: unknown = options === undefined ? {} : options;
  if (typeof given !== "object" || given === null) throw bad("options", `an object with options of ${of}`, given);
  // Also what is inherited: so a signal given in the place of { signal } is found out.
  for (const name in given) {
    if (!Object.hasOwn(names, name)) {
      const known = Object.keys(names);
      const near = known.filter((one) => one.slice(0, 3) === name.slice(0, 3));
      throw bad(`an option of ${of}`, (near.length > 0 ? near : known).join(" or "), name);
    }
    if (given[name as keyof typeof given] === null) throw bad(name, "left out, or something else than null", null);
  }
  return given as T;
}
