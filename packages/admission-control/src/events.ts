import { channel } from "node:diagnostics_channel";

/** A member's limits fell back to the policy: `{ member, error }`. */
export const degraded = channel("evenkeel:admission-control:degraded");

/** All of its limits have leases again: `{ member }`. */
export const recovered = channel("evenkeel:admission-control:recovered");
