export * from "./ballot.js";
export * from "./errors.js";
export type * from "./messages.js";
export type * from "./types.js";
