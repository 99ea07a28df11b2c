import type { MemdsAddress } from "./peer-connection.js";

export interface MemdsServerOptions {
  /** Default 127.0.0.1. Beyond loopback only with a `secret`. */
  readonly host?: string;
  /** Default 0: a free port, see `.port`. */
  readonly port?: number;
  /** Entries held; a load or update past it is refused with `ERR_MEMDS_FULL`, and what was held is still served. Default 2,000,000. */
  readonly entriesMax?: number;
  /** Bytes of keys and values held, before compression; past it as past `entriesMax`. Default 256 MiB. */
  readonly bytesMax?: number;
  /** Connections at one time; the next one is closed at once. Default 1,024. */
  readonly connectionsMax?: number;
  /** The largest frame sent or taken. Default 8 MiB. */
  readonly frameBytesMax?: number;
  /** How long the rest of a frame may take to come; then the connection is closed. Default 10,000. */
  readonly frameTimeoutMs?: number;
  /** Another server whose updates this one takes as they come. This one answers only once it has caught up. */
  readonly follow?: MemdsAddress;
  /** Members that this one compares its tree with, one after the other. */
  readonly peers?: readonly MemdsAddress[];
  /** Between two comparisons. Default 1,000. */
  readonly antiEntropyMs?: number;
  /** How often followers are told where this server stands, which is how they notice that the last update was lost. Default 200. */
  readonly announceMs?: number;
  /** A feed or peer that says nothing for so long is given up and connected to again. Default 5,000, and more than `announceMs` of the feed. */
  readonly silenceMs?: number;
  /** Before a feed is connected to again. Default 200. */
  readonly retryMs?: number;
  /** Bytes of updates kept for followers that are a little behind; who is further behind compares trees. Default 8 MiB. */
  readonly historyBytesMax?: number;
  /** 16 to 1,024 characters that clients, followers and peers must know as well. Proves both sides; encrypts nothing. */
  readonly secret?: string | undefined;
}

export const serverNames: Record<keyof MemdsServerOptions, 0> = {
  host: 0,
  port: 0,
  entriesMax: 0,
  bytesMax: 0,
  connectionsMax: 0,
  frameBytesMax: 0,
  frameTimeoutMs: 0,
  follow: 0,
  peers: 0,
  antiEntropyMs: 0,
  announceMs: 0,
  silenceMs: 0,
  retryMs: 0,
  historyBytesMax: 0,
  secret: 0,
};
