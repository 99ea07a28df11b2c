import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BALLOT_ZERO, decodeMessage, type Entry, encodeMessage, type Message, PaxosError } from "../src/core/index.js";
import { hex, lines } from "./support/fixtures.js";

const ballot = { round: 3, node: "a1" };
const older = { round: 2, node: "knoten-é" };
const entries: Entry[] = [
  { slot: 300, ballot: older, kind: "command", command: new Uint8Array([1, 2, 3]) },
  { slot: 301, ballot: older, kind: "command", command: new Uint8Array(0) },
  { slot: 302, ballot, kind: "noop", command: new Uint8Array(0) },
];
const stamp = { ballot, round: 17, sentMs: 1234.5, chosenThrough: 299 };

/** One of each, in the order of their numbers on the wire. */
const examples: Message[] = [
  { type: "preVote", attempt: 7, chosenThrough: 2 ** 53 - 1 },
  { type: "preVoteReply", attempt: 7, granted: true, round: 128, chosenThrough: 0 },
  { type: "prepare", ballot, accepted: BALLOT_ZERO, logEnd: 302 },
  { type: "promised", ballot, accepted: older, logEnd: 302, chosenThrough: 299, chosenBallot: older, entries },
  { type: "nack", ballot: older, promised: ballot },
  { type: "heartbeat", ...stamp },
  { type: "sync", ...stamp, prevSlot: 299, prevBallot: older, entries },
  { type: "accept", ...stamp, prevSlot: 299, entries },
  {
    type: "ack",
    ballot,
    round: 17,
    sentMs: 1234.5,
    synced: true,
    acceptedThrough: 301,
    receivedThrough: 302,
    chosenThrough: 299,
    gap: true,
  },
  { type: "fetch", fromSlot: 1, throughSlot: 299 },
  { type: "learn", entries },
  { type: "resign", ballot },
];

const arbitraryBallot = fc.record({ round: fc.maxSafeNat(), node: fc.string({ unit: "grapheme", maxLength: 20 }) });
const arbitraryEntries = fc
  .tuple(
    fc.nat({ max: 1e9 }),
    fc.array(
      fc.record({
        ballot: arbitraryBallot,
        kind: fc.constantFrom("command" as const, "noop" as const),
        command: fc.uint8Array({ maxLength: 300 }),
      }),
      { maxLength: 20 },
    ),
  )
  .map(([first, list]) => list.map((entry, i) => ({ slot: first + i, ...entry })));

describe("messages on the wire", () => {
  it("reads the fixture of version 1, byte for byte", () => {
    const lines = readFileSync(new URL("fixtures/messages-v1.txt", import.meta.url), "utf8")
      .trim()
      .split("\n");
    expect(lines.length).toBe(examples.length);
    for (const [i, line] of lines.entries()) {
      const [name, hex] = line.split(" ");
      expect(name).toBe(examples[i]?.type);
      expect(decodeMessage(Buffer.from(hex ?? "", "hex"))).toEqual(examples[i]);
      expect(Buffer.from(encodeMessage(examples[i] as Message)).toString("hex")).toBe(hex);
    }
  });

  it("say in version 1 where a log begins: in a promise of no ballot", () => {
    const nothing = { ballot: BALLOT_ZERO, accepted: BALLOT_ZERO, logEnd: 299, entries: [] };
    const told: Message = { type: "promised", ...nothing, chosenThrough: 299, chosenBallot: older };
    const fixture = lines("messages-v1-edge.txt");
    expect(fixture).toEqual([`promised ${hex(encodeMessage(told))}`]);
    expect(decodeMessage(Buffer.from(fixture[0]?.split(" ")[1] as string, "hex"))).toEqual(told);
  });

  it("brings back whatever was sent", () => {
    fc.assert(
      fc.property(
        arbitraryBallot,
        arbitraryEntries,
        arbitraryBallot,
        fc.maxSafeNat(),
        fc.double({ noNaN: true }),
        (b, list, other, n, ms) => {
          const prevSlot = (list[0]?.slot ?? 1) - 1;
          const from = { ballot: b, round: n, sentMs: ms, chosenThrough: n };
          const messages: Message[] = [
            { type: "learn", entries: list },
            {
              type: "promised",
              ballot: b,
              accepted: other,
              logEnd: n,
              chosenThrough: n,
              chosenBallot: other,
              entries: list,
            },
          ];
          if (prevSlot >= 0) {
            messages.push({ type: "accept", ...from, prevSlot, entries: list });
            messages.push({ type: "sync", ...from, prevSlot, prevBallot: other, entries: list });
          }
          for (const message of messages) expect(decodeMessage(encodeMessage(message))).toEqual(message);
        },
      ),
    );
  });

  it.each([
    [127, "7f"],
    [128, "8001"],
    [2 ** 31 - 1, "ffffffff07"],
    [2 ** 31, "8080808008"],
    [2 ** 53 - 1, "ffffffffffffff0f"],
  ])("lays %d down as LEB128", (number, hex) => {
    const bytes = encodeMessage({ type: "departed", slot: number });
    expect(Buffer.from(bytes).toString("hex")).toBe(`010f${hex}`);
    expect(decodeMessage(bytes)).toEqual({ type: "departed", slot: number });
  });

  it("keeps no hold on the bytes it was read from", () => {
    const bytes = Buffer.from(encodeMessage({ type: "learn", entries }));
    const message = decodeMessage(bytes);
    bytes.fill(0xff);
    expect(message).toEqual({ type: "learn", entries });
  });

  it("refuses a version and a type it does not know", () => {
    const bytes = encodeMessage({ type: "resign", ballot });
    const code = (at: number) => {
      const changed = bytes.slice();
      changed[at] = 99;
      try {
        decodeMessage(changed);
      } catch (error) {
        return (error as PaxosError).code;
      }
      return undefined;
    };
    expect([code(0), code(1)]).toEqual(["ERR_PAXOS_UNSUPPORTED", "ERR_PAXOS_UNSUPPORTED"]);
  });

  it("never accepts a cut message, and fails on garbage with its own error only", () => {
    for (const message of examples) {
      const bytes = encodeMessage(message);
      for (let length = 0; length < bytes.length; length++) {
        expect(() => decodeMessage(bytes.subarray(0, length))).toThrow(PaxosError);
      }
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 12 }), (noise, type) => {
        try {
          decodeMessage(new Uint8Array([1, type, ...noise]));
        } catch (error) {
          expect(error).toBeInstanceOf(PaxosError);
        }
      }),
    );
  });
});
