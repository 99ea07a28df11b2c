import { channel } from "node:diagnostics_channel";

/** Keys had to share buckets because none was free, at most once a minute: `{ keysMax, shared }`, `shared` in all. */
export const keysFull = channel("evenkeel:token-bucket:keys-full");
