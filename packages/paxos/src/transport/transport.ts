/**
 * Carries messages between nodes, with no promise: a message may be lost, and after a reconnection the order between two of them may change.
 * The protocol above expects that. What a transport does promise: whole messages with their bytes unchanged, a true sender's name,
 * bounded memory, and that `send` never throws for a peer's sake, never waits, and calls no handler. `transportCases` of `@evenkeel/paxos/testing` holds one of your own to it.
 */
export interface Transport {
  readonly nodeId: string;
  /**
   * Hands `bytes` over: the caller does not change them afterwards. Dropped (and counted) when the peer is unknown, or its queue full.
   * Messages sent in one turn of the event loop travel in one write.
   */
  send(to: string, bytes: Uint8Array): void;
  /** Sets the one handler. It must not throw; the bytes are its own to keep. Messages that come before it is set are dropped. */
  onMessage(handler: (from: string, bytes: Uint8Array) => void): void;
  stats(): TransportStats;
  /** Idempotent; when it resolves, no handler is called any more and no socket or timer is left. */
  close(): Promise<void>;
}

export interface TransportStats {
  /** Peers with an established connection in our sending direction. */
  readonly connected: number;
  readonly messagesSent: number;
  readonly messagesReceived: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  /** Messages given up because a queue was full, the peer was unknown or a connection broke under them. */
  readonly messagesDropped: number;
  /** Connections that we refused: garbage, wrong secret, unknown node, other format version. */
  readonly connectionsRefused: number;
  readonly bytesQueued: number;
}
