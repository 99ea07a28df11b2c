import { channel } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { MemdsError } from "./core/errors.js";
import { encodeFrame, type Frame, FrameReader, frameType } from "./core/frame.js";
import { encodeError } from "./core/messages.js";
import { crc32 } from "./digest.js";
import { Challenge, unauthorized } from "./handshake.js";

const protocolErrors = channel("evenkeel:memds:protocol-error");

/** What a connection does beside look-ups. */
export interface Session {
  /** @returns the answer; undefined where none is due. Throws MemdsError for what cannot be answered. */
  handle(frame: Frame): Frame | undefined;
  /** The socket takes more of what is sent unasked. */
  drained(): void;
  close(): void;
}

export interface Service {
  /** @param push sends unasked; false while what was sent before waits to go out. */
  session(push: (type: number, payload: Uint8Array) => boolean): Session;
  /** With a secret, whoever connects proves to know it before anything else. */
  readonly secret: string | undefined;
  /** From the payload of a look-up's frame to that of its answer. Throws MemdsError for a request that cannot be answered. */
  lookup(payload: Uint8Array): Uint8Array;
  /** Called once for a connection that is closed for what it sent. */
  protocolError(): void;
  readonly frameBytesMax: number;
  readonly frameTimeoutMs: number;
}

/** What cannot be answered is refused with the reason; what breaks the protocol is thrown. */
export function answerOrRefusal<R extends Frame | undefined>(frame: Frame, answer: (frame: Frame) => R): R | Frame {
  try {
    return answer(frame);
  } catch (error) {
    if (!(error instanceof MemdsError) || error.code === "ERR_MEMDS_PROTOCOL") throw error;
    return { type: frameType.error, request: frame.request, payload: encodeError(error) };
  }
}

export const lookedUp = ({ request, payload }: Frame, lookup: Service["lookup"]): Frame => ({
  type: frameType.answer,
  request,
  payload: lookup(payload),
});

/**
 * Serves one connection until it ends. A request is answered before the next one is looked at, and while a client does not read its answers its requests wait
 * unread, so a connection holds at most one frame that comes in and a frame more than the socket's buffer going out.
 */
export function serveConnection(socket: Socket, service: Service): void {
  const reader = new FrameReader({ frameBytesMax: service.frameBytesMax, checksum: crc32 });
  let patience: NodeJS.Timeout | undefined;

  const fail = (error: MemdsError, request = 0) => {
    if (socket.destroyed) return;
    clearTimeout(patience);
    service.protocolError();
    protocolErrors.publish({ error, remote: `${socket.remoteAddress}:${socket.remotePort}` });
    // Say why, if the other side still listens; nothing that it sends is read any more.
    socket.removeAllListeners("data");
    socket.end(encodeFrame({ type: frameType.error, request, payload: encodeError(error) }, crc32));
    setTimeout(() => socket.destroy(), 1000).unref();
    socket.resume();
  };

  const write = (frame: Frame): boolean => socket.write(encodeFrame(frame, crc32));
  const session = service.session((type, payload) => !socket.destroyed && write({ type, request: 0, payload }));

  let isTrusted = service.secret === undefined;
  let challenge: Challenge | undefined;
  const prove = ({ type, request, payload }: Frame): boolean => {
    if (service.secret === undefined) throw unauthorized("this server has no secret; the client has one");
    if (type === frameType.hello) {
      challenge = new Challenge(service.secret, payload);
      return write({ type: frameType.challenge, request, payload: challenge.payload });
    }
    if (type !== frameType.proof || challenge === undefined) throw unauthorized("this server wants a secret first");
    challenge.check(payload);
    isTrusted = true;
    return true;
  };

  const answer = (frame: Frame): boolean => {
    if (!isTrusted || frame.type === frameType.hello) return prove(frame);
    const reply = answerOrRefusal(frame, (asked) =>
      asked.type === frameType.lookup ? lookedUp(asked, service.lookup) : session.handle(asked),
    );
    return reply === undefined || write(reply);
  };

  /** Answers frames until the client is slower than we are; then goes on where it stopped once the socket has drained. */
  const serve = (frames: Iterator<Frame>): void => {
    try {
      for (let next = frames.next(); next.done !== true; next = frames.next()) {
        if (answer(next.value)) continue;
        socket.pause();
        socket.once("drain", () => serve(frames));
        return;
      }
    } catch (error) {
      fail(
        error instanceof MemdsError
          ? error
          : new MemdsError("ERR_MEMDS_PROTOCOL", "a request could not be read", { cause: error }),
      );
      return;
    }
    if (socket.isPaused()) socket.resume();
    if (!reader.isInside) {
      clearTimeout(patience);
      patience = undefined;
    } else {
      patience ??= setTimeout(() => {
        fail(new MemdsError("ERR_MEMDS_PROTOCOL", `the rest of a frame did not come in ${service.frameTimeoutMs} ms`));
      }, service.frameTimeoutMs).unref();
    }
  };

  socket.on("data", (chunk: Buffer) => serve(reader.push(chunk)));
  // A connection that breaks is the client's to notice; what it had asked is lost with it.
  socket.on("error", () => socket.destroy());
  socket.on("drain", () => session.drained());
  socket.on("close", () => {
    clearTimeout(patience);
    session.close();
  });
}
