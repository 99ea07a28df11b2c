import { checkOptions } from "../core/check-options.js";
import { checkInteger } from "../core/errors.js";
import type { Transport, TransportStats } from "./transport.js";

export interface InProcessNetwork {
  /** A node's end. A second one of the same name takes the first one's place, as a restarted process would. */
  transport(nodeId: string): Transport;
  /** Loses what `from` sends to `to`, one way, until `heal`. */
  cut(from: string, to: string): void;
  /** Loses everything from and to this node. */
  isolate(nodeId: string): void;
  heal(): void;
}

/**
 * Nodes within one process: for tests, and for running a whole cluster embedded. Messages are delivered in a later turn of the event loop,
 * in order, as a socket would; what is undelivered is bounded by `messagesMax` for each receiver, and the oldest go first.
 */
export function inProcessNetwork(options: { messagesMax?: number } = {}): InProcessNetwork {
  const { messagesMax = 100_000 } = checkOptions("inProcessNetwork", options, { messagesMax: 0 });
  checkInteger("messagesMax", messagesMax, 1, Number.MAX_SAFE_INTEGER);
  const nodes = new Map<string, End>();
  const cuts = new Set<string>();
  const key = (from: string, to: string) => JSON.stringify([from, to]);
  return {
    transport(nodeId) {
      const end: End = new End(nodeId, messagesMax, (to, bytes) => {
        if (cuts.has(key(nodeId, to)) || cuts.has(nodeId) || cuts.has(to) || nodes.get(nodeId) !== end) return false;
        const receiver = nodes.get(to);
        return receiver?.take(nodeId, bytes) ?? false;
      });
      void nodes.get(nodeId)?.close();
      nodes.set(nodeId, end);
      return end;
    },
    cut: (from, to) => void cuts.add(key(from, to)),
    isolate: (nodeId) => void cuts.add(nodeId),
    heal: () => cuts.clear(),
  };
}

class End implements Transport {
  readonly nodeId: string;
  readonly #messagesMax: number;
  readonly #deliver: (to: string, bytes: Uint8Array) => boolean;
  #handler: ((from: string, bytes: Uint8Array) => void) | undefined;
  #inbox: { from: string; bytes: Uint8Array }[] = [];
  #scheduled = false;
  #closed = false;
  #counts = { messagesSent: 0, messagesReceived: 0, bytesSent: 0, bytesReceived: 0, messagesDropped: 0 };

  constructor(nodeId: string, messagesMax: number, deliver: (to: string, bytes: Uint8Array) => boolean) {
    this.nodeId = nodeId;
    this.#messagesMax = messagesMax;
    this.#deliver = deliver;
  }

  send(to: string, bytes: Uint8Array): void {
    if (this.#closed || !this.#deliver(to, bytes)) {
      this.#counts.messagesDropped++;
      return;
    }
    this.#counts.messagesSent++;
    this.#counts.bytesSent += bytes.length;
  }

  onMessage(handler: (from: string, bytes: Uint8Array) => void): void {
    this.#handler = handler;
  }

  take(from: string, bytes: Uint8Array): boolean {
    if (this.#closed || !this.#handler) return false;
    if (this.#inbox.length >= this.#messagesMax) {
      this.#inbox.shift();
      this.#counts.messagesDropped++;
    }
    this.#inbox.push({ from, bytes });
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.#drain());
    }
    return true;
  }

  #drain(): void {
    this.#scheduled = false;
    const batch = this.#inbox;
    this.#inbox = [];
    for (const { from, bytes } of batch) {
      if (this.#closed) return;
      this.#counts.messagesReceived++;
      this.#counts.bytesReceived += bytes.length;
      this.#handler?.(from, bytes);
    }
  }

  stats(): TransportStats {
    return { ...this.#counts, connected: 0, connectionsRefused: 0, bytesQueued: 0 };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#inbox = [];
  }
}
