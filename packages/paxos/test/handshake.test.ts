import { createHmac } from "node:crypto";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import {
  agreeVersion,
  decodeChallenge,
  decodeHello,
  encodeChallenge,
  encodeHello,
  type Hello,
  kinds,
  messageVersion,
  proofOf,
} from "../src/transport/handshake.js";
import {
  encodeFrame,
  type Frame,
  FrameReader,
  frameHeaderBytes,
  type TcpTransportOptions,
  tcpTransport,
} from "../src/transport/index.js";
import { Outgoing } from "../src/transport/outgoing.js";
import { until } from "./support/cluster.js";

const open: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const secret = Buffer.from("a secret of the whole house");
const nonceD = Buffer.alloc(32, 7);
const nonceA = Buffer.alloc(32, 9);
const none = new Uint8Array(0);
const hello: Hello = { versionMin: messageVersion, versionMax: messageVersion, nonce: nonceD, from: "a", to: "b" };
const frameError = expect.objectContaining({ code: "ERR_PAXOS_FRAME" });

describe("what two nodes say before anything else", () => {
  it("is byte for byte as it is drawn, and proves both nonces, both names, the version and the direction", () => {
    const named = { ...hello, from: "zoë", to: "b" };
    const names = Buffer.concat([Buffer.of(4), Buffer.from("zoë"), Buffer.of(1), Buffer.from("b")]);
    expect(encodeHello(named)).toEqual(Buffer.concat([Buffer.of(1, 1), nonceD, names]));
    expect(decodeHello(encodeHello(named))).toEqual(named);
    for (const role of ["A", "D"] as const) {
      for (const key of [undefined, secret]) {
        const said = Buffer.concat([Buffer.from(`evenkeel-paxos${role}`), Buffer.of(1), nonceD, nonceA, names]);
        const mac = createHmac("sha256", key ?? none)
          .update(said)
          .digest();
        expect(proofOf(key, role, named, { version: 1, nonce: nonceA })).toEqual(mac);
        const challenge = { version: 1, nonce: nonceA, mac };
        expect(encodeChallenge(challenge)).toEqual(Buffer.concat([Buffer.of(1), nonceA, mac]));
        expect(decodeChallenge(encodeChallenge(challenge))).toEqual(challenge);
      }
    }
  });

  it("is refused in any other shape", () => {
    const good = encodeHello(hello);
    const [from, to] = [34, 36];
    const changed = (at: number, value: number) => good.map((byte, i) => (i === at ? value : byte));
    for (const wrong of [
      ...[0, 20, 34, 35, 37].map((length) => good.subarray(0, length)),
      ...[changed(from, 0), changed(from, 200), changed(to, 0), changed(to, 2)],
      Buffer.concat([good, Buffer.of(0)]),
    ]) {
      expect(() => decodeHello(wrong)).toThrow(frameError);
    }
    for (const length of [0, 64, 66]) expect(() => decodeChallenge(Buffer.alloc(length))).toThrow(frameError);
  });

  it("settles on a version that both speak", () => {
    const agreed = ([versionMin, versionMax]: readonly [number, number]) =>
      agreeVersion({ ...hello, versionMin, versionMax });
    expect(
      (
        [
          [1, 1],
          [0, 9],
          [1, 5],
          [0, 0],
          [2, 9],
        ] as const
      ).map(agreed),
    ).toEqual([1, 1, 1, undefined, undefined]);
  });
});

/** One end of a connection, spoken by hand. */
class Hand {
  readonly frames: Frame[] = [];
  readonly #reader = new FrameReader({ frameBytesMax: 1 << 20 });
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    open.push(() => socket.destroy());
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      this.#reader.push(chunk);
      for (let frame = this.#reader.next(); frame; frame = this.#reader.next()) this.frames.push(frame);
    });
  }

  /** Undefined when the connection ends first. */
  async frame(at: number): Promise<Frame | undefined> {
    await until(() => this.frames.length > at || this.socket.closed);
    return this.frames[at];
  }

  say(kind: number, payload: Uint8Array = none): void {
    this.socket.write(encodeFrame(payload, kind));
  }
}

async function listener(options: Partial<TcpTransportOptions> = {}) {
  const transport = await tcpTransport({ nodeId: "b", secret, backoffMinMs: 5, ...options });
  open.push(() => transport.close());
  const received: string[] = [];
  transport.onMessage((from, message) => received.push(`${from}: ${Buffer.from(message).toString("utf8")}`));
  for (const name of ["a", "c"]) transport.setPeer(name, { host: "127.0.0.1", port: 1 });
  return { transport, received };
}

async function dialled(port: number): Promise<Hand> {
  const socket = connect({ host: "127.0.0.1", port });
  await once(socket, "connect");
  return new Hand(socket);
}

/** As far as the challenge. */
async function challenged(port: number, said: Partial<Hello> = {}) {
  const hand = await dialled(port);
  hand.say(kinds.hello, encodeHello({ ...hello, ...said }));
  const challenge = decodeChallenge((await hand.frame(0))?.payload ?? none);
  return { hand, challenge, proof: proofOf(secret, "D", { ...hello, ...said }, challenge) };
}

describe("who is listened to", () => {
  it("is who proves, on this very connection, to be who he says", async () => {
    const { transport, received } = await listener();
    const { hand, proof, challenge } = await challenged(transport.port);
    expect(challenge.mac).toEqual(proofOf(secret, "A", hello, challenge));
    hand.say(kinds.proof, proof);
    hand.say(kinds.message, Buffer.from("hi"));
    await until(() => received.length > 0);
    expect(received).toEqual(["a: hi"]);
    expect(hand.frames[1]?.kind).toBe(kinds.welcome);
  });

  const refused: [string, (port: number) => Promise<Hand>][] = [
    [
      "proves it with what he was told on another connection",
      async (port) => {
        const other = await challenged(port);
        const { hand } = await challenged(port);
        hand.say(kinds.proof, other.proof);
        other.hand.socket.destroy();
        return hand;
      },
    ],
    [
      "gives back the listener's own proof",
      async (port) => {
        const { hand, challenge } = await challenged(port);
        hand.say(kinds.proof, challenge.mac);
        return hand;
      },
    ],
    [
      "proves it under one name and says another",
      async (port) => {
        const { hand, challenge } = await challenged(port);
        hand.say(kinds.proof, proofOf(secret, "D", { ...hello, from: "c" }, challenge));
        return hand;
      },
    ],
    [
      "says hello twice",
      async (port) => {
        const { hand, challenge } = await challenged(port);
        hand.say(kinds.hello, encodeHello({ ...hello, from: "c" }));
        hand.say(kinds.proof, proofOf(secret, "D", { ...hello, from: "c" }, challenge));
        return hand;
      },
    ],
    [
      "speaks before he has proved anything",
      async (port) => {
        const { hand, proof } = await challenged(port);
        hand.say(kinds.message, Buffer.from("vote"));
        hand.say(kinds.proof, proof);
        return hand;
      },
    ],
    [
      "asks for an answer before he has proved anything",
      async (port) => {
        const { hand } = await challenged(port);
        hand.say(kinds.ping);
        return hand;
      },
    ],
    [
      "proves it a second time",
      async (port) => {
        const { hand, proof } = await challenged(port);
        hand.say(kinds.proof, proof);
        hand.say(kinds.proof, proof);
        return hand;
      },
    ],
    [
      "speaks later versions only",
      async (port) => {
        const hand = await dialled(port);
        hand.say(kinds.hello, encodeHello({ ...hello, versionMin: 2, versionMax: 9 }));
        return hand;
      },
    ],
    [
      "announces more than a hello may be",
      async (port) => {
        const hand = await dialled(port);
        hand.socket.write(encodeFrame(new Uint8Array(1025), kinds.hello).subarray(0, frameHeaderBytes));
        return hand;
      },
    ],
  ];

  it.each(refused)("is not who %s", async (_, say) => {
    const { transport, received } = await listener();
    const hand = await say(transport.port);
    await until(() => hand.socket.closed);
    expect(hand.frames.at(-1)?.kind).toBe(kinds.refuse);
    expect(transport.stats().connectionsRefused).toBe(1);
    expect(received).toEqual([]);
  });
});

/** Whoever stands on b's port. */
async function standing(answer: (hand: Hand) => Promise<void> | void) {
  const hands: Hand[] = [];
  const server = createServer((socket) => {
    const hand = new Hand(socket);
    hands.push(hand);
    void answer(hand);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(() => server.close());
  const said = () => hands.flatMap(({ frames }) => frames.map(({ kind }) => kind));
  return { hands, said, address: { host: "127.0.0.1", port: (server.address() as { port: number }).port } };
}

/** What `a` says to whoever stands on b's port, and what it makes of him. */
async function dialling(answer: (hand: Hand) => Promise<void> | void, options: Partial<TcpTransportOptions> = {}) {
  const { hands, said, address } = await standing(answer);
  const problems: string[] = [];
  const onProblem = (event: unknown) => {
    const { nodeId, problem } = event as { nodeId: string; problem: Error };
    if (nodeId === "a") problems.push(problem.message);
  };
  subscribe("evenkeel:paxos:connection", onProblem);
  open.push(() => unsubscribe("evenkeel:paxos:connection", onProblem));
  const a = await tcpTransport({ nodeId: "a", secret, backoffMinMs: 5, ...options });
  open.push(() => a.close());
  a.setPeer("b", address);
  a.send("b", Buffer.from("for b alone"));
  return { a, hands, problems, said };
}

const challengeTo = async (hand: Hand, change: { version?: number; role?: "A" | "D" } = {}) => {
  const { version = messageVersion, role = "A" } = change;
  const frame = await hand.frame(0);
  // The test was over first.
  if (frame === undefined) return;
  const greeted = decodeHello(frame.payload);
  const mac = proofOf(secret, role, greeted, { version, nonce: nonceA });
  hand.say(kinds.challenge, encodeChallenge({ version, nonce: nonceA, mac }));
};

const welcome = async (hand: Hand) => {
  await challengeTo(hand);
  if ((await hand.frame(1))?.kind === kinds.proof) hand.say(kinds.welcome);
};

describe("who is spoken to", () => {
  it("is who proves to hold the secret; he has all that waited, and pings", async () => {
    const { said, hands, a } = await dialling(welcome, { stallTimeoutMs: 400, handshakeTimeoutMs: 60_000 });
    await until(() => said().includes(kinds.ping));
    const first = (hands[0] as Hand).frames.map(({ kind }) => kind);
    expect(first).toEqual([kinds.hello, kinds.proof, kinds.message, kinds.ping]);
    expect(Buffer.from((hands[0] as Hand).frames[2]?.payload ?? none).toString("utf8")).toBe("for b alone");
    expect(a.stats()).toMatchObject({ messagesSent: 1, bytesQueued: 0 });
  });

  it("is not dialled anew as long as he answers pings", async () => {
    const { hands, said, address } = await standing(async (hand) => {
      await welcome(hand);
      for (let at = 2, frame = await hand.frame(at); frame !== undefined; frame = await hand.frame(++at))
        if (frame.kind === kinds.ping) hand.say(kinds.pong);
    });
    let nowMs = 0;
    const problems: Error[] = [];
    const outgoing = new Outgoing("b", address, {
      ...{ nodeId: "a", secret, tls: undefined, queueBytesMax: 1024, handshakeTimeoutMs: 1000, stallTimeoutMs: 1000 },
      ...{ backoffMinMs: 5, backoffMaxMs: 5, random: () => 0, now: () => nowMs },
      onProblem: (_, problem) => problems.push(problem),
    });
    open.push(() => outgoing.close());
    const pings = () => said().filter((kind) => kind === kinds.ping).length;
    for (let ping = 1; ping <= 3; ping++) {
      // One is sent when the one before it is answered, and no other before time goes on.
      await until(() => {
        if (pings() === ping) return true;
        outgoing.send(Buffer.from("hi"));
        outgoing.tick();
        return false;
      });
      nowMs += 900;
    }
    expect([hands.length, problems]).toEqual([1, []]);
  });

  it("is given no more than he reads: what he leaves waits where the oldest of it can still be dropped", async () => {
    const queueBytesMax = 2 ** 26;
    const { a } = await dialling(
      async (hand) => {
        await welcome(hand);
        hand.socket.pause();
      },
      { queueBytesMax, stallTimeoutMs: 60_000, handshakeTimeoutMs: 60_000 },
    );
    await until(() => a.stats().messagesSent === 1);
    const message = new Uint8Array(2 ** 16);
    const fill = async () => {
      for (let bytes = 0; bytes < queueBytesMax; bytes += message.length) a.send("b", message);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await fill();
    // What the systems on both sides take by themselves is a few megabytes.
    expect(a.stats().bytesQueued).toBeGreaterThan(queueBytesMax / 2);
    expect(a.stats().messagesDropped).toBe(0);
    await fill();
    expect(a.stats().messagesDropped).toBeGreaterThan(0);
  });

  const unproved: [string, RegExp, (hand: Hand) => Promise<void> | void][] = [
    ["welcomes without a proof of his own", /out of place/, (hand) => hand.say(kinds.welcome)],
    ["proves the other side's part", /does not hold our secret/, (hand) => challengeTo(hand, { role: "D" })],
    ["chooses a version that was not offered", /does not hold our secret/, (hand) => challengeTo(hand, { version: 2 })],
    [
      "asks for two proofs",
      /out of place/,
      async (hand) => {
        await challengeTo(hand);
        await challengeTo(hand);
      },
    ],
    [
      "announces more than an answer may be",
      /1025 bytes is announced/,
      (hand) =>
        void hand.socket.write(encodeFrame(new Uint8Array(1025), kinds.challenge).subarray(0, frameHeaderBytes)),
    ],
    ["says nothing at all", /does not answer/, () => {}],
  ];

  it.each(unproved)("is not who %s, and he is dialled again", async (_, why, answer) => {
    // Who is silent is waited for; whatever else is wrong is found at once, also on a busy machine.
    const silent = why.test("does not answer");
    const { said, hands, problems, a } = await dialling(answer, { handshakeTimeoutMs: silent ? 100 : 60_000 });
    await until(() => hands.length > 1);
    expect(problems[0]).toMatch(why);
    expect(said()).not.toContain(kinds.message);
    expect(a.stats()).toMatchObject({ connected: 0, messagesSent: 0 });
  });
});
