import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type BondMessage,
  decodeBondMessage,
  decodeMessage,
  encodeBondMessage,
  encodeMessage,
  type Message,
  PaxosError,
} from "../src/core/index.js";
import { hex, lines } from "./support/fixtures.js";

const ballot = { round: 3, node: "a1" };
const bond = { life: 2 ** 48 - 1, turn: 300 };
const released = [
  { group: "orders/7", ballot },
  { group: "knoten-é", ballot: { round: 300, node: "b1" } },
];

const messages: Message[] = [
  { type: "sleep", ballot, round: 17, sentMs: 1234.5, chosenThrough: 299, logEnd: 299 },
  { type: "asleep", ballot, round: 17, bond },
];

const ack = { ballot, round: 17, sentMs: 1234.5, synced: true, acceptedThrough: 9, receivedThrough: 9 } as const;
/** What sleep has added to the oldest version: a bit that nobody looked at before. */
const messages1: Message[] = [{ type: "ack", ...ack, chosenThrough: 9, gap: false, readsBonds: true }];

const messages6: Message[] = [
  { type: "sleep", ballot, round: 17, sentMs: 1234.5, chosenThrough: 299, logEnd: 299, bond },
];

const beats: BondMessage[] = [
  { life: 1, sentMs: 0, released: [] },
  { life: 2 ** 48 - 1, sentMs: 1234.5, echo: { life: 77, sentMs: 1200.25, bond }, released },
];

const fromHex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

function code(what: () => unknown): string {
  try {
    what();
    return "";
  } catch (error) {
    return error instanceof PaxosError ? error.code : String(error);
  }
}

describe("what sleep looks like in bytes", () => {
  it.each([
    ["v1-more", messages1],
    ["v5", messages],
    ["v6", messages6],
  ])("reads the fixture of messages of version %s", (version, written) => {
    const fixture = lines(`messages-${version}.txt`);
    expect(fixture).toEqual(written.map((one) => `${one.type} ${hex(encodeMessage(one))}`));
    expect(fixture.map((line) => decodeMessage(fromHex(line.split(" ")[1] as string)))).toEqual(written);
  });

  it("reads the fixture of beats of version 1", () => {
    expect(lines("beats-v1.txt")).toEqual(beats.map((one) => hex(encodeBondMessage(one))));
    expect(lines("beats-v1.txt").map((line) => decodeBondMessage(fromHex(line)))).toEqual(beats);
  });

  it("refuses beats that it cannot read, whatever is wrong with them", () => {
    for (const beat of beats) {
      const bytes = encodeBondMessage(beat);
      expect(code(() => decodeBondMessage(Uint8Array.of(2, ...bytes.subarray(1))))).toBe("ERR_PAXOS_UNSUPPORTED");
      expect(code(() => decodeBondMessage(Uint8Array.of(1, 97, ...bytes.subarray(2))))).toBe("ERR_PAXOS_UNSUPPORTED");
      expect(code(() => decodeBondMessage(Uint8Array.of(...bytes, 0)))).toBe("ERR_PAXOS_CORRUPT");
      for (let length = 2; length < bytes.length; length++)
        expect(code(() => decodeBondMessage(bytes.subarray(0, length)))).toBe("ERR_PAXOS_CORRUPT");
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (noise) => {
        expect(code(() => decodeBondMessage(noise))).toMatch(/^$|^ERR_PAXOS_/);
      }),
    );
  });
});
