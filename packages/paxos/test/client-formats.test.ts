import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import {
  ClientTable,
  decodeMessage,
  decodeRequest,
  type Entry,
  encodeMessage,
  encodeRequest,
  type Message,
  PaxosError,
  type Request,
} from "../src/core/index.js";
import { decodeHostMessage, encodeHostMessage, type HostMessage } from "../src/host/host-messages.js";
import { decodeRecord, encodeRecord } from "../src/storage/record.js";
import { hex, lines } from "./support/fixtures.js";

const ballot = { round: 3, node: "a1" };
const older = { round: 2, node: "knoten-é" };
const requests: Request[] = [
  { op: "register", clientsMax: 10_000 },
  { op: "command", client: 300, sequence: 2 ** 40, command: new Uint8Array([1, 2, 3]) },
];
const entries: Entry[] = requests.map((request, i) => {
  return { slot: 300 + i, ballot: older, kind: "once", command: encodeRequest(request) };
});
const stamp = { ballot, round: 17, sentMs: 1234.5, chosenThrough: 299 };
const promise = { ballot, accepted: older, logEnd: 301, chosenThrough: 299, chosenBallot: older, entries } as const;
const ack = { ballot, round: 17, sentMs: 1234.5, synced: true, acceptedThrough: 9, receivedThrough: 9 } as const;
const messages: Message[] = [
  { type: "accept", ...stamp, prevSlot: 299, entries },
  { type: "promised", ...promise },
  { type: "promised", ...promise, floor: { accepted: ballot, logEnd: 302 } },
  { type: "ack", ...ack, chosenThrough: 9, gap: false, takesRequests: true },
];
const configuration = { slot: 0, storage: ["a1", "b1"], log: [], departed: [] };
const hostMessages: HostMessage[] = [
  {
    type: "offerWithClients",
    id: "302/1/k3j",
    position: { slot: 302, ballot: older, configuration },
    sizeBytes: 1_000_000,
    tableBytes: 300,
  },
  { type: "freshness", question: 2 ** 47 + 5 },
  { type: "fresh", question: 2 ** 47 + 5, slot: 302 },
];

/** Three clients, one of them forgotten, one ahead of itself. */
function table(): ClientTable {
  const clients = new ClientTable();
  for (const slot of [5, 6, 7]) clients.register(slot, 2);
  for (const sequence of [1, 2, 4]) {
    expect(clients.judge(6, sequence)).toBe("fresh");
    clients.done(6, sequence, sequence === 2 ? undefined : Uint8Array.of(1, sequence));
  }
  return clients;
}

const bytesOf = (line: string) => Uint8Array.from(Buffer.from(line.split(" ").at(-1) as string, "hex"));

describe("what clients look like in bytes", () => {
  it("between cores", () => {
    const fixture = lines("messages-v4.txt");
    expect(fixture).toEqual(messages.map((message) => `${message.type} ${hex(encodeMessage(message))}`));
    expect(fixture.map((line) => decodeMessage(bytesOf(line)))).toEqual(messages);
    // Only what holds such an entry needs the new version.
    expect(messages.map((message) => encodeMessage(message)[0])).toEqual([4, 4, 4, 1]);
    for (const message of messages) {
      const bytes = encodeMessage(message);
      for (let length = 0; length < bytes.length; length++)
        expect(() => decodeMessage(bytes.subarray(0, length))).toThrow(PaxosError);
    }
  });

  it("between hosts", () => {
    const fixture = lines("host-messages-v1-more.txt");
    expect(fixture).toEqual(hostMessages.map((message) => `${message.type} ${hex(encodeHostMessage(message))}`));
    expect(fixture.map((line) => decodeHostMessage(bytesOf(line)))).toEqual(hostMessages);
  });

  it("in the log, and in a snapshot", () => {
    const fixture = lines("clients-v1.txt");
    const written = { record: encodeRecord({ entries }), table: table().encode(crc32) };
    expect(fixture).toEqual(Object.entries(written).map(([what, bytes]) => `${what} ${hex(bytes)}`));
    const [record, image] = fixture.map(bytesOf) as [Uint8Array, Uint8Array];
    expect(decodeRecord(record)).toEqual({ entries });
    expect(decodeRecord(record).entries?.map(({ command }) => decodeRequest(command))).toEqual(requests);
    const read = new ClientTable().load(image, crc32);
    expect([read.size, read.used, read.resultsBytes]).toEqual([2, true, table().resultsBytes]);
    expect(hex(read.encode(crc32))).toBe(hex(image));
    const judged = [1, 2, 3, 4, 5].map((sequence) => read.judge(6, sequence));
    expect(judged).toEqual(["applied", "applied", "fresh", "applied", "fresh"]);
    expect(read.judge(5, 1)).toBe("unknown");
    expect([1, 2, 4].map((sequence) => read.resultOf(6, sequence))).toEqual([
      Uint8Array.of(1, 1),
      undefined,
      Uint8Array.of(1, 4),
    ]);
  });

  it("are refused when they are damaged, or of a later version", () => {
    const image = table().encode(crc32);
    for (let bit = 0; bit < image.length * 8; bit++) {
      const wrong = image.slice();
      wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => new ClientTable().load(wrong, crc32)).toThrow(PaxosError);
    }
    for (let length = 0; length < image.length; length++)
      expect(() => new ClientTable().load(image.subarray(0, length), crc32)).toThrow(PaxosError);
    const later = image.slice();
    later[0] = 2;
    new DataView(later.buffer).setUint32(later.length - 4, crc32(later.subarray(0, later.length - 4)), true);
    const code = (act: () => unknown) => {
      try {
        act();
      } catch (error) {
        return (error as PaxosError).code;
      }
      return undefined;
    };
    expect(code(() => new ClientTable().load(later, crc32))).toBe("ERR_PAXOS_UNSUPPORTED");
    expect(code(() => decodeRequest(Uint8Array.of(2, 1, 5)))).toBe("ERR_PAXOS_UNSUPPORTED");
    expect(code(() => decodeRequest(Uint8Array.of(1, 9, 5)))).toBe("ERR_PAXOS_UNSUPPORTED");
    expect(code(() => decodeRequest(Uint8Array.of(1, 1, 5, 5)))).toBe("ERR_PAXOS_CORRUPT");
    expect(code(() => decodeRequest(Uint8Array.of(1, 2, 5)))).toBe("ERR_PAXOS_CORRUPT");
  });
});
