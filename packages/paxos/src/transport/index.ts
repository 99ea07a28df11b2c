export { encodeFrame, type Frame, FrameReader, frameHeaderBytes, frameVersion, writeFrame } from "./frame.js";
export { type InProcessNetwork, inProcessNetwork } from "./in-process.js";
export type { Address } from "./outgoing.js";
export { type TcpTransport, type TcpTransportOptions, tcpTransport } from "./tcp.js";
export type { TlsSettings } from "./tls.js";
export type { Transport, TransportStats } from "./transport.js";
export { PaxosError, type PaxosErrorCode } from "../core/errors.js";
