import type { Transport } from "../../src/transport/index.js";
import { but } from "./but.js";

type Handler = Parameters<Transport["onMessage"]>[0];

/** Transports that break one promise each. */
export const transportMistakes: Record<string, (transport: Transport) => Transport> = {
  "calls itself otherwise": (one) => but(one, { nodeId: `${one.nodeId}?` }),
  "loses what is empty": (one) =>
    but(one, { send: (to, bytes) => (bytes.length === 0 ? undefined : one.send(to, bytes)) }),
  "cuts what is large": (one) => but(one, { send: (to, bytes) => one.send(to, bytes.subarray(0, 65_000)) }),
  "flips a bit now and then": (one) => {
    let times = 0;
    return but(one, {
      onMessage: (handler) =>
        one.onMessage((from, bytes) => {
          const heard = Uint8Array.from(bytes);
          if (++times % 5 === 0 && heard.length > 0) heard[0] = (heard[0] as number) ^ 1;
          handler(from, heard);
        }),
    });
  },
  "joins two messages": (one) => {
    let kept: Uint8Array | undefined;
    return but(one, {
      send: (to, bytes) => {
        if (kept === undefined) kept = bytes;
        else {
          one.send(to, Buffer.concat([kept, bytes]));
          kept = undefined;
        }
      },
    });
  },
  "says that the receiver has spoken": (one) =>
    but(one, { onMessage: (handler) => one.onMessage((_, bytes) => handler(one.nodeId, bytes)) }),
  "uses one buffer for all that it hears": (one) => {
    const buffer = new Uint8Array(200_000);
    return but(one, {
      onMessage: (handler) =>
        one.onMessage((from, bytes) => {
          buffer.set(bytes);
          handler(from, buffer.subarray(0, bytes.length));
        }),
    });
  },
  "delivers at once": (() => {
    const handlers = new Map<string, Handler>();
    return (one: Transport) =>
      but(one, {
        onMessage: (handler) => void handlers.set(one.nodeId, handler),
        send: (to, bytes) => handlers.get(to)?.(one.nodeId, bytes),
      });
  })(),
  "counts nothing": (one) => but(one, { stats: () => ({ ...one.stats(), messagesReceived: 0, messagesSent: 0 }) }),
  "throws for somebody unknown": (one) =>
    but(one, {
      send: (to, bytes) => {
        if (to === "nobody") throw new Error("who?");
        one.send(to, bytes);
      },
    }),
  "throws where nobody listens": (() => {
    const listening = new Set<string>();
    return (one: Transport) =>
      but(one, {
        onMessage: (handler) => {
          listening.add(one.nodeId);
          one.onMessage(handler);
        },
        send: (to, bytes) => {
          if (to !== "nobody" && !listening.has(to)) throw new Error("nobody listens");
          one.send(to, bytes);
        },
        close: async () => {
          listening.delete(one.nodeId);
          await one.close();
        },
      });
  })(),
  "keeps all that cannot be sent": (one) => {
    let kept = 0;
    return but(one, {
      send: (to, bytes) => {
        const before = one.stats().messagesDropped;
        one.send(to, bytes);
        if (one.stats().messagesDropped > before) kept += bytes.length;
      },
      stats: () => ({ ...one.stats(), bytesQueued: kept }),
    });
  },
  "answers with a promise": (one) =>
    but(one, { send: (async (to, bytes) => one.send(to, bytes)) as Transport["send"] }),
  "does not speak to who comes back": (() => {
    const gone = new Set<string>();
    return (one: Transport) =>
      but(one, {
        send: (to, bytes) => (gone.has(to) ? undefined : one.send(to, bytes)),
        close: async () => {
          gone.add(one.nodeId);
          await one.close();
        },
      });
  })(),
  "goes on after it was closed": (one) => but(one, { close: async () => undefined }),
  "may be closed once": (one) => {
    let closed = false;
    return but(one, {
      close: async () => {
        if (closed) throw new Error("closed already");
        closed = true;
        await one.close();
      },
    });
  },
};
