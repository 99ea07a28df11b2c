import { channel } from "node:diagnostics_channel";

/** A member's limits fell back to the policy: `{ member, error }`. */
export const degraded = channel("evenkeel:admission-control:degraded");

/** All of its limits have leases again: `{ member }`. */
export const recovered = channel("evenkeel:admission-control:recovered");

/** A coordinator's server could not take a connection, and goes on: `{ error }`. */
export const serverError = channel("evenkeel:admission-control:server-error");
