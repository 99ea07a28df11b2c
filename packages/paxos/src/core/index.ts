export * from "./ballot.js";
export { decodeMessage, encodeMessage, MESSAGE_VERSION } from "./codec.js";
export * from "./core.js";
export * from "./errors.js";
export type * from "./messages.js";
export { coreDefaults } from "./options.js";
export type * from "./types.js";
