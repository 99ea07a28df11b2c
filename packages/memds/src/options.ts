import { MemdsError } from "./core/errors.js";
import type { MemdsAddress } from "./peer-connection.js";

/** The largest frame that either side sends or takes. Both sides of a fleet should agree. */
export const frameBytesDefault = 8 * 1024 * 1024;

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function integer(name: string, value: number, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new MemdsError(
      "ERR_MEMDS_ARGUMENT",
      `${name} must be an integer from ${min} to ${max}, not ${String(value)}`,
    );
  }
  return value;
}

/** @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkedPeers(peers: readonly MemdsAddress[]): readonly MemdsAddress[] {
  if (!Array.isArray(peers)) throw new MemdsError("ERR_MEMDS_ARGUMENT", `peers must be an array, not ${String(peers)}`);
  return peers.map((peer) => checkedAddress(peer, "peers"));
}

/** @param name the option in which it was given. @throws MemdsError `ERR_MEMDS_ARGUMENT` */
export function checkedAddress(address: MemdsAddress, name: string): MemdsAddress {
  if (typeof address?.host !== "string") {
    throw new MemdsError("ERR_MEMDS_ARGUMENT", `${name}: host must be a string, not ${String(address?.host)}`);
  }
  integer(`${name}: port`, address.port, 1, 65_535);
  return { host: address.host, port: address.port };
}
