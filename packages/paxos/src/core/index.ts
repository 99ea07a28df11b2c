export * from "./ballot.js";
export { decodeBondMessage, encodeBondMessage, isBondMessage } from "./bond-codec.js";
export { type BondEffect, type BondMessage, type BondOptions, Bonds, type BondView, type Release } from "./bonds.js";
export type { BondId } from "./bond-id.js";
export {
  ClientTable,
  decodeRequest,
  encodeRequest,
  type Request,
  resultBytesMax,
  resultsBytesMax,
  sequencesAheadMax,
  type Verdict,
} from "./client-table.js";
export { decodeMessage, encodeMessage, MESSAGE_VERSION } from "./codec.js";
export { type Configuration, decodeConfiguration, type MemberRole } from "./configuration.js";
export * from "./core.js";
export * from "./empty-state.js";
export * from "./errors.js";
export { pack, unpack } from "./pack.js";
export type { Progress } from "./peers.js";
export { Packer, type Press, Unpacker, Words } from "./press.js";
export type * from "./messages.js";
export { coreDefaults } from "./options.js";
export { type Glance, glance } from "./replica.js";
export { quorumsMeet } from "./quorum.js";
export { Tails } from "./tails.js";
export type * from "./types.js";
