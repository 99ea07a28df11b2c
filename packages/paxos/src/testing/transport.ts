import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { badArgument } from "../core/errors.js";
import type { Transport } from "../transport/transport.js";
import { type Checks, type ConformanceCase, casesOf, numbers, until } from "./cases.js";

export interface TransportsUnderTest {
  /** One for each name, in the order of the names, each with all the others as peers. */
  readonly transports: readonly Transport[];
  /** Another one under the name of one that was closed, known to the others as that one was. Without it the case that needs it is left out. */
  reopen?(nodeId: string): Transport | Promise<Transport>;
  /** Called once when the case is over. Closing transports that the case has closed is for it to do or to leave: `close` is idempotent. */
  close?(): Promise<void> | void;
}

export interface TransportCasesOptions {
  /** How long a case waits for a message that is sent again and again, milliseconds. 10,000 by default. */
  readonly timeoutMs?: number;
  /** The largest message that is sent, bytes, 1024 at least. 1 MiB by default, which a host's own options keep to. */
  readonly messageBytesMax?: number;
  /** The most that may wait for one peer, bytes. 32 MiB by default. */
  readonly queueBytesMax?: number;
}

type Make = (names: readonly string[]) => Promise<TransportsUnderTest>;

/** What one node has heard. */
class Heard {
  readonly all: { readonly from: string; readonly bytes: Uint8Array }[] = [];
  readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
    transport.onMessage((from, bytes) => void this.all.push({ from, bytes }));
  }

  has(from: string, bytes: Uint8Array): boolean {
    return this.all.some((one) => one.from === from && same(one.bytes, bytes));
  }
}

const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

/** A message of this length, another one for each mark, no two blocks of it the same. */
function message(length: number, mark: number): Uint8Array {
  const next = numbers(mark);
  const bytes = new Uint8Array(length);
  for (let at = 0; at < Math.min(length, 1_024); at++) bytes[at] = next(256);
  for (let at = 1_024; at < length; at += 1_024) {
    bytes.copyWithin(at, 0, 1_024);
    bytes[at] = next(256);
    bytes[at + 1] = next(256);
  }
  if (length > 0) bytes[0] = mark;
  return bytes;
}

/**
 * What every `Transport` must do, as cases for any test runner: `for (const { name, run } of transportCases(make)) test(name, run)`. Messages may be lost, so what has to
 * arrive is sent again until it has.
 * @throws PaxosError ERR_PAXOS_ARGUMENT
 */
export function transportCases(
  make: (names: readonly string[]) => TransportsUnderTest | Promise<TransportsUnderTest>,
  options: TransportCasesOptions = {},
): ConformanceCase[] {
  if (typeof make !== "function") throw badArgument("make", "a function from names to transports", make);
  const { timeoutMs = 10_000, messageBytesMax = 1024 * 1024, queueBytesMax = 32 * 1024 * 1024 } = options;
  return casesOf(make, {
    ...carrying(timeoutMs, messageBytesMax),
    ...dropping(timeoutMs, queueBytesMax),
    ...closing(timeoutMs),
  });
}

async function pair(make: Make): Promise<[Heard, Heard, TransportsUnderTest]> {
  const made = await make(["a1", "b1"]);
  strictEqual(made.transports.length, 2, "a transport for each name");
  const [a, b] = made.transports.map((transport) => new Heard(transport));
  return [a as Heard, b as Heard, made];
}

/** Sends until the other side has it. */
async function carry(from: Heard, to: Heard, bytes: Uint8Array, timeoutMs: number): Promise<void> {
  const { nodeId } = from.transport;
  await until(
    `${bytes.length} bytes from ${nodeId} to ${to.transport.nodeId}`,
    timeoutMs,
    () => to.has(nodeId, bytes),
    () => from.transport.send(to.transport.nodeId, bytes.slice()),
  );
}

function carrying(timeoutMs: number, messageBytesMax: number): Checks<Make> {
  return {
    "says whose it is": async (make) => {
      const { transports } = await make(["a1", "zone-b/2", "größe"]);
      deepStrictEqual(
        transports.map(({ nodeId }) => nodeId),
        ["a1", "zone-b/2", "größe"],
      );
    },
    "carries whole messages of any size, in both directions, and changes no byte": async (make) => {
      const [a, b] = await pair(make);
      const sizes = [1, 0, 2, 255, 256, 4_095, 65_536, messageBytesMax];
      const sent = sizes.map((size, mark) => message(size, mark));
      for (const bytes of sent) {
        await carry(a, b, bytes, timeoutMs);
        await carry(b, a, bytes, timeoutMs);
      }
      for (const { all } of [a, b])
        for (const { bytes } of all)
          ok(
            sent.some((one) => same(one, bytes)),
            "heard what nobody said",
          );
    },
    "says truly who speaks": async (make) => {
      const names = ["a1", "b1", "c1"];
      const nodes = (await make(names)).transports.map((transport) => new Heard(transport));
      const words = nodes.map(({ transport }) => Buffer.from(`I am ${transport.nodeId}`));
      for (const [i, from] of nodes.entries())
        for (const to of nodes) if (to !== from) await carry(from, to, words[i] as Uint8Array, timeoutMs);
      for (const { all } of nodes)
        for (const { from, bytes } of all) strictEqual(Buffer.from(bytes).toString(), `I am ${from}`);
    },
    "gives each message away for good": async (make) => {
      const [a, b] = await pair(make);
      await carry(a, b, message(100, 0), timeoutMs);
      b.all.length = 0;
      const sent = Array.from({ length: 200 }, (_, mark) => message(50 + mark, mark % 256));
      for (const bytes of sent) a.transport.send("b1", bytes.slice());
      for (const bytes of sent) await carry(a, b, bytes, timeoutMs);
      // What was heard first is as it was, whatever has come behind it.
      for (const { bytes } of b.all)
        ok(
          sent.some((one) => same(one, bytes)),
          "a message has changed after it was handed over",
        );
    },
    "calls no handler within `send`": async (make) => {
      const [a, b] = await pair(make);
      await carry(a, b, message(10, 1), timeoutMs);
      let sending = false;
      let within = 0;
      let came = 0;
      b.transport.onMessage(() => {
        came++;
        if (sending) within++;
      });
      await until(
        "another message",
        timeoutMs,
        () => came > 20,
        () => {
          sending = true;
          a.transport.send("b1", message(10, 2));
          sending = false;
        },
      );
      strictEqual(within, 0);
    },
    "counts what it carries": async (make) => {
      const [a, b] = await pair(make);
      await carry(a, b, message(1_000, 3), timeoutMs);
      const [here, there] = [a.transport.stats(), b.transport.stats()];
      ok(here.messagesSent >= b.all.length && here.bytesSent >= 1_000, "what was sent");
      ok(there.messagesReceived >= b.all.length && there.bytesReceived >= 1_000, "what was received");
    },
  };
}

function dropping(timeoutMs: number, queueBytesMax: number): Checks<Make> {
  return {
    "drops what is for somebody unknown, counts it, and goes on": async (make) => {
      const [a, b] = await pair(make);
      const before = a.transport.stats().messagesDropped;
      for (let i = 0; i < 10; i++) a.transport.send("nobody", message(100, i));
      strictEqual(a.transport.stats().messagesDropped, before + 10);
      await carry(a, b, message(100, 1), timeoutMs);
    },
    "does not mind that nobody listens yet": async (make) => {
      const { transports } = await make(["a1", "b1"]);
      const [a, b] = transports as [Transport, Transport];
      for (let i = 0; i < 10; i++) {
        a.send("b1", message(100, i));
        await turn();
      }
      await carry(new Heard(a), new Heard(b), message(100, 1), timeoutMs);
    },
    "keeps no more for a peer that is away than it says, and never throws or waits for it": async (make) => {
      const [a, b] = await pair(make);
      await carry(a, b, message(100, 1), timeoutMs);
      await b.transport.close();
      const bytes = message(64 * 1024, 2);
      const many = Math.ceil((queueBytesMax * 2) / bytes.length);
      for (let i = 0; i < many; i++) {
        strictEqual(a.transport.send("b1", bytes), undefined);
        if (i % 64 === 0) await turn();
        ok(
          a.transport.stats().bytesQueued <= queueBytesMax,
          `${a.transport.stats().bytesQueued} bytes wait for one peer`,
        );
      }
      // A connection that is not known to be broken may have taken some of it, its buffers' fill at most.
      ok(a.transport.stats().messagesDropped > 0, "twice what may wait, and nothing was dropped");
    },
    "finds a peer again that has come back under its name": async (make) => {
      const [a, b, { reopen }] = await pair(make);
      if (reopen === undefined) return;
      await carry(a, b, message(100, 1), timeoutMs);
      await b.transport.close();
      for (let i = 0; i < 10; i++) {
        a.transport.send("b1", message(100, 2));
        await turn();
      }
      const again = new Heard(await reopen("b1"));
      await carry(a, again, message(100, 3), timeoutMs);
      await carry(again, a, message(100, 4), timeoutMs);
    },
  };
}

function closing(timeoutMs: number): Checks<Make> {
  return {
    "calls no handler any more once it is closed, and takes what is sent as dropped": async (make) => {
      const [a, b] = await pair(make);
      await carry(a, b, message(100, 1), timeoutMs);
      for (let i = 0; i < 500; i++) a.transport.send("b1", message(1_000, 2));
      await b.transport.close();
      const heard = b.all.length;
      for (let i = 0; i < 50; i++) {
        a.transport.send("b1", message(1_000, 3));
        await turn();
      }
      strictEqual(b.all.length, heard, "heard something after `close`");
      const before = b.transport.stats().messagesDropped;
      b.transport.send("a1", message(100, 4));
      strictEqual(b.transport.stats().messagesDropped, before + 1);
    },
    "may be closed twice, and at once": async (make) => {
      const [a] = await pair(make);
      await Promise.all([a.transport.close(), a.transport.close()]);
      await a.transport.close();
    },
  };
}
