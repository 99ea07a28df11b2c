import { describe, expect, it } from "vitest";
import { encodeConfiguration } from "../src/core/configuration.js";
import {
  type Configuration,
  decodeConfiguration,
  decodeMessage,
  type Entry,
  encodeMessage,
  MESSAGE_VERSION,
  type Message,
  type PaxosError,
  type Position,
} from "../src/core/index.js";
import { decodeHostMessage, encodeHostMessage, type HostMessage } from "../src/host/host-messages.js";
import { walStorage } from "../src/storage/index.js";
import { decodeRecord, encodeRecord, type LogRecord } from "../src/storage/record.js";
import { FakeWal } from "./support/fake-wal.js";
import { hex, lines } from "./support/fixtures.js";

const ballot = { round: 3, node: "a1" };
const older = { round: 2, node: "knoten-é" };
const configuration: Configuration = { slot: 301, storage: ["a1", "c1"], log: ["l1"], departed: ["b1"] };
const position: Position = { slot: 302, ballot: older, configuration };
const entries: Entry[] = [
  { slot: 300, ballot: older, kind: "command", command: new Uint8Array([1, 2, 3]) },
  { slot: 301, ballot: older, kind: "config", command: encodeConfiguration(configuration) },
  { slot: 302, ballot, kind: "noop", command: new Uint8Array(0) },
];
const stamp = { ballot, round: 17, sentMs: 1234.5, chosenThrough: 299 };

const messages: Message[] = [
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
    gap: false,
    lacksState: true,
  },
  { type: "base", ...stamp, position },
  { type: "releasable", throughSlot: 299 },
  { type: "departed", slot: 301 },
  { type: "takeOver", ballot },
];

const doubtful: Message[] = [
  { type: "doubt", id: 2 ** 47 + 5 },
  { type: "standing", id: 2 ** 47 + 5, promised: ballot, accepted: older, logEnd: 302, members: ["a1", "knoten-é"] },
  {
    type: "promised",
    ballot,
    accepted: older,
    logEnd: 300,
    chosenThrough: 299,
    chosenBallot: older,
    entries: entries.slice(0, 1),
    floor: { accepted: ballot, logEnd: 302 },
  },
];

const hostMessages: HostMessage[] = [
  { type: "ask", fromSlot: 7 },
  { type: "offer", id: "302/1/k3j", position, sizeBytes: 1_000_000 },
  { type: "fetch", id: "302/1/k3j", offset: 65_536 },
  { type: "piece", id: "302/1/k3j", offset: 65_536, bytes: new Uint8Array([9, 8, 7]), digest: new Uint8Array([1, 2]) },
  { type: "gone", id: "302/1/k3j" },
  { type: "knock", birth: "2kf93j" },
  { type: "known", birth: "2kf93j", blank: true },
];

const records: LogRecord[] = [
  { promised: ballot, accepted: older, reset: position, trimmedThrough: 302, base: position, chosenThrough: 302 },
  { installing: position },
  {
    births: new Map([
      ["a1", "2kf93j"],
      ["l1", "x"],
    ]),
  },
  { entries },
];

describe("what members, snapshots and births look like in bytes", () => {
  it("between cores", () => {
    const fixture = lines("messages-v2.txt");
    expect(fixture).toEqual(messages.map((message) => `${message.type} ${hex(encodeMessage(message))}`));
    const read = fixture.map((line) => decodeMessage(Buffer.from(line.split(" ")[1] as string, "hex")));
    expect(read).toEqual(messages);
  });

  it("between cores one of which may have forgotten", () => {
    const fixture = lines("messages-v3.txt");
    expect(fixture).toEqual(doubtful.map((message) => `${message.type} ${hex(encodeMessage(message))}`));
    const read = fixture.map((line) => decodeMessage(Buffer.from(line.split(" ")[1] as string, "hex")));
    expect(read).toEqual(doubtful);
    for (const message of doubtful) {
      const bytes = encodeMessage(message);
      for (let length = 0; length < bytes.length; length++) {
        expect(() => decodeMessage(bytes.subarray(0, length))).toThrow();
      }
    }
  });

  it("in the notes about a torn log", async () => {
    const wal = new FakeWal();
    const tail = { file: "/data/log/0000000000000003.wal", offset: 8192, batch: 300 };
    const group = walStorage(Object.assign(wal, { uncertainFrom: tail }))("g");
    await group.load();
    await group.write({ promised: ballot });
    const written: string[] = [];
    for await (const { data } of wal.stream("doubts of paxos/").read()) written.push(hex(data));
    expect(written).toEqual(lines("doubts-v1.txt"));
    // Read back: the one that was assured is not in doubt, whatever else is.
    const storage = walStorage(wal);
    expect((await storage("g").load()).doubtful).toBeUndefined();
    await wal.stream("paxos/later").append([encodeRecord({ promised: ballot })]);
    expect((await storage("later").load()).doubtful).toBe(true);
    await wal.stream("doubts of paxos/").append([Uint8Array.of(2, 1)]);
    await expect(walStorage(wal)("g").load()).rejects.toMatchObject({ code: "ERR_PAXOS_UNSUPPORTED" });
  });

  it("between hosts", () => {
    const fixture = lines("host-messages-v1.txt");
    expect(fixture).toEqual(hostMessages.map((message) => `${message.type} ${hex(encodeHostMessage(message))}`));
    const read = fixture.map((line) => decodeHostMessage(Buffer.from(line.split(" ")[1] as string, "hex")));
    expect(read).toEqual(hostMessages);
  });

  it("on disk", () => {
    const fixture = lines("log-records-members-v1.txt");
    expect(fixture).toEqual(records.map((record) => hex(encodeRecord(record))));
    expect(fixture.map((line) => decodeRecord(Uint8Array.from(Buffer.from(line, "hex"))))).toEqual(records);
  });

  it("say nothing new to a release that does not know them, unless they must", () => {
    // Only a message that holds a change of members is of the second version.
    expect(messages.map((message) => encodeMessage(message)[0])).toEqual([2, 1, 1, 1, 1, 1]);
    const plain = entries.filter(({ kind }) => kind !== "config").slice(0, 1);
    expect(encodeMessage({ type: "learn", entries: plain })[0]).toBe(1);
    expect(encodeRecord({ entries: plain })[1]).toBe(16);
  });

  it("are refused when they cannot be read", () => {
    const code = (read: () => unknown) => {
      try {
        read();
      } catch (error) {
        return (error as PaxosError).code;
      }
      return undefined;
    };
    const config = encodeConfiguration(configuration);
    expect(code(() => decodeConfiguration(config.subarray(0, -1), 1))).toBe("ERR_PAXOS_CORRUPT");
    expect(code(() => decodeConfiguration(Uint8Array.of(9, ...config.subarray(1)), 1))).toBe("ERR_PAXOS_UNSUPPORTED");
    expect(code(() => decodeConfiguration(Uint8Array.of(1, 255, 255, 3), 1))).toBe("ERR_PAXOS_CORRUPT");
    expect(code(() => decodeRecord(Uint8Array.of(1, 128, 64)))).toBe("ERR_PAXOS_UNSUPPORTED");
    expect(code(() => decodeMessage(Uint8Array.of(MESSAGE_VERSION + 1, 1)))).toBe("ERR_PAXOS_UNSUPPORTED");
    for (const message of hostMessages) {
      const bytes = encodeHostMessage(message);
      expect(code(() => decodeHostMessage(Uint8Array.of(2, ...bytes.subarray(1))))).toBe("ERR_PAXOS_UNSUPPORTED");
      expect(code(() => decodeHostMessage(Uint8Array.of(...bytes, 0)))).toBe("ERR_PAXOS_CORRUPT");
      for (let length = 2; length < bytes.length; length++) {
        expect(code(() => decodeHostMessage(bytes.subarray(0, length)))).toBe("ERR_PAXOS_CORRUPT");
      }
    }
    expect(code(() => decodeHostMessage(Uint8Array.of(1, 99)))).toBe("ERR_PAXOS_UNSUPPORTED");
  });
});
