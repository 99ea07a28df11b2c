import { describe, expect, it } from "vitest";
import { encodeConfiguration, following } from "../src/core/configuration.js";
import {
  type Configuration,
  decodeConfiguration,
  decodeMessage,
  encodeMessage,
  type Message,
} from "../src/core/index.js";
import { decodeHostMessage, encodeHostMessage, type HostMessage } from "../src/host/host-messages.js";
import { decodeRecord, encodeRecord, type LogRecord } from "../src/storage/record.js";
import { hex, lines } from "./support/fixtures.js";

const ballot = { round: 3, node: "a1" };
const older = { round: 2, node: "knoten-é" };
const mark = "0123456789abcdefghij.3f";
const plain: Configuration = { slot: 301, storage: ["a1", "c1"], log: ["l1"], departed: ["b1"] };
const marked: Configuration = {
  ...plain,
  marks: [
    ["c1", mark],
    ["l1", "é"],
  ],
};
const position = { slot: 302, ballot: older, configuration: marked };
const entries = [
  { slot: 300, ballot: older, kind: "command" as const, command: new Uint8Array([1, 2, 3]) },
  { slot: 301, ballot: older, kind: "config" as const, command: encodeConfiguration(marked) },
];
const stamp = { ballot, round: 17, sentMs: 1234.5, chosenThrough: 299 };
const ack = {
  type: "ack",
  ballot,
  round: 17,
  sentMs: 1234.5,
  synced: true,
  acceptedThrough: 301,
  receivedThrough: 302,
  chosenThrough: 299,
  gap: false,
} as const;
const promised = {
  type: "promised",
  ballot,
  accepted: older,
  logEnd: 301,
  chosenThrough: 299,
  chosenBallot: older,
  entries,
} as const;

const standing = {
  type: "standing",
  id: 2 ** 47 + 5,
  promised: ballot,
  accepted: older,
  logEnd: 302,
  members: ["a1", "c1"],
} as const;

const messages: Message[] = [
  { type: "preVote", attempt: 7, chosenThrough: 299, mark },
  { type: "prepare", ballot, accepted: older, logEnd: 301, mark },
  { ...promised, mark },
  { ...promised, mark, mute: true, floor: { accepted: ballot, logEnd: 302 } },
  { ...ack, readsMarks: true, mark },
  { ...ack, readsMarks: true, mark, mute: true, lacksState: true },
  { ...ack, readsMarks: true, listed: true },
  { type: "doubt", id: 2 ** 47 + 5, mark },
  { ...standing, marks: [["c1", mark]], mark },
  { ...standing, marks: [["c1", mark]] },
  { ...standing, mark },
  { type: "accept", ...stamp, prevSlot: 299, entries },
  { type: "base", ...stamp, position },
];

const hostMessages: HostMessage[] = [
  { type: "knock", birth: mark },
  { type: "known", birth: mark, blank: false, readsMarks: true },
  { type: "known", birth: mark, blank: false },
  { type: "offer", id: "302/1/k3j", position, sizeBytes: 1_000_000 },
];

const records: LogRecord[] = [
  { reset: position, trimmedThrough: 302, base: position, chosenThrough: 302 },
  {
    births: new Map([
      ["c1", mark],
      ["", "mute"],
    ]),
  },
  { entries },
];

describe("what marks look like in bytes", () => {
  it("in configurations", () => {
    const fixture = lines("configurations.txt");
    expect(fixture).toEqual([plain, marked].map((one) => hex(encodeConfiguration(one))));
    expect(fixture.map((line) => decodeConfiguration(Buffer.from(line, "hex"), 301))).toEqual([plain, marked]);
    const bytes = encodeConfiguration(marked);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeConfiguration(bytes.subarray(0, length), 1)).toThrow();
    }
  });

  it("between cores", () => {
    const fixture = lines("messages-v7.txt");
    expect(fixture).toEqual(messages.map((message) => `${message.type} ${hex(encodeMessage(message))}`));
    const read = fixture.map((line) => decodeMessage(Buffer.from(line.split(" ")[1] as string, "hex")));
    expect(read).toEqual(messages);
    for (const message of messages) {
      const bytes = encodeMessage(message);
      for (let length = 0; length < bytes.length; length++) {
        expect(() => decodeMessage(bytes.subarray(0, length))).toThrow();
      }
    }
  });

  it("between hosts", () => {
    const fixture = lines("host-messages-marks.txt");
    expect(fixture).toEqual(hostMessages.map((message) => `${message.type} ${hex(encodeHostMessage(message))}`));
    const read = fixture.map((line) => decodeHostMessage(Buffer.from(line.split(" ")[1] as string, "hex")));
    expect(read).toEqual(hostMessages);
  });

  it("on disk", () => {
    const fixture = lines("log-records-marks.txt");
    expect(fixture).toEqual(records.map((record) => hex(encodeRecord(record))));
    expect(fixture.map((line) => decodeRecord(Uint8Array.from(Buffer.from(line, "hex"))))).toEqual(records);
  });

  it("say nothing new to an earlier release while nobody is known by a mark", () => {
    expect(messages.map((message) => encodeMessage(message)[0])).toEqual([7, 7, 7, 7, 7, 7, 1, 7, 7, 7, 7, 2, 1]);
    expect([plain, marked].map((one) => encodeConfiguration(one)[0])).toEqual([1, 2]);
    expect(encodeMessage({ ...ack, readsMarks: true })[0]).toBe(1);
  });
});

describe("a configuration that follows on another", () => {
  const heard = (node: string) => `heard of ${node}`;

  it("takes the marks of those who join, and leaves those of the others as they are, or as they are not", () => {
    const next = following(marked, { storage: ["a1", "c1", "d1"], log: [] }, 310, heard);
    expect(next.marks).toEqual([
      ["c1", mark],
      ["d1", "heard of d1"],
    ]);
    expect(following(next, { storage: ["a1"], log: [] }, 311, heard)).toEqual({
      slot: 311,
      storage: ["a1"],
      log: [],
      departed: ["b1", "l1", "c1", "d1"],
    });
  });

  it("knows by its name alone whoever joins unknown", () => {
    expect(following(plain, { storage: ["a1", "c1", "d1"], log: ["l1"] }, 310).marks).toBeUndefined();
  });
});
