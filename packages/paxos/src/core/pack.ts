import type { BondView } from "./bonds.js";
import { PaxosCore } from "./core.js";
import { EMPTY_STATE } from "./empty-state.js";
import { Packer, type Unpacker, type Words } from "./press.js";
import type { CoreOptions } from "./types.js";

/**
 * A group that sleeps in a few dozen bytes, to be gone on with by `unpack` in this life of the process; undefined when it is awake, or there is more to it than is kept. The
 * core stays as it is; of its log it keeps where it ends, for the entries are in storage.
 */
export function pack(core: PaxosCore, words: Words): Uint8Array | undefined {
  return new Packer(words).take((p) => core.press(p));
}

/** The core that was packed: with the options, the words and the bonds that it had. */
export function unpack(options: Omit<CoreOptions, "members">, from: Unpacker, bonds: BondView): PaxosCore {
  // The founders are of no concern any more: what is packed knows its members.
  const unfounded = { ...options, members: [options.nodeId] };
  return new PaxosCore(unfounded, EMPTY_STATE, Number.NEGATIVE_INFINITY, bonds, from);
}
