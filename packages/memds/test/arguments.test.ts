import { expect, it } from "vitest";
import { crc32, decodeSnapshot, encodeSnapshot, MemdsClient, MemdsServer, RangeTree, sha256 } from "../src/index.js";

const refusal = (message: RegExp): unknown =>
  expect.objectContaining({ code: "ERR_MEMDS_ARGUMENT", message: expect.stringMatching(message) });

/** As they come from a program without types, or from its configuration. */
const noAddresses: readonly (readonly [unknown, RegExp])[] = [
  [5, /host must be/],
  ["10.0.0.5:7700", /host must be/],
  [{ port: 7700 }, /host must be/],
  [{ host: "10.0.0.5", port: "7700" }, /port must be/],
  [{ host: "10.0.0.5", port: 0 }, /port must be/],
];

it("names what a server cannot be made with, and does not listen", async () => {
  const servers = () => process.getActiveResourcesInfo().filter((name) => name === "TCPServerWrap").length;
  const before = servers();
  for (const [address, message] of noAddresses) {
    const follow = new RegExp(`^follow: ${message.source}`);
    const peers = new RegExp(`^peers: ${message.source}`);
    await expect(MemdsServer.listen({ follow: address } as never)).rejects.toEqual(refusal(follow));
    await expect(MemdsServer.listen({ peers: [address] } as never)).rejects.toEqual(refusal(peers));
  }
  for (const peers of [5, "10.0.0.5:7700", {}]) {
    await expect(MemdsServer.listen({ peers } as never)).rejects.toEqual(refusal(/^peers must be an array/));
  }
  await expect(MemdsServer.listen({ host: 5 } as never)).rejects.toEqual(refusal(/^host must be/));
  expect(servers()).toBe(before);
});

it("names what a client cannot be made with", () => {
  for (const [address, message] of noAddresses) {
    const servers = new RegExp(`^servers: ${message.source}`);
    expect(() => new MemdsClient({ servers: [address] } as never)).toThrow(refusal(servers) as Error);
  }
  const servers = [{ host: "127.0.0.1", port: 1 }];
  expect(() => new MemdsClient({ servers, now: 5 } as never)).toThrow(refusal(/^now must be/) as Error);
});

it("refuses an option that there is not, and null, and a server's peer that is none", async () => {
  const servers = [{ host: "127.0.0.1", port: 1 }];
  const typo = /^an option of MemdsClient must be timeoutMs, not "timeout"$/;
  expect(() => new MemdsClient({ servers, timeout: 50 } as never)).toThrow(refusal(typo) as Error);
  expect(() => new MemdsClient({ servers, secret: null } as never)).toThrow(refusal(/^secret must be/) as Error);
  expect(() => new MemdsClient(...([] as never as [never]))).toThrow(refusal(/^servers must be/) as Error);
  const other = /^an option of MemdsServer must be entriesMax, not "entries"$/;
  await expect(MemdsServer.listen({ entries: 5 } as never)).rejects.toEqual(refusal(other));
  await expect(MemdsServer.listen({ follow: null } as never)).rejects.toEqual(refusal(/^follow must be/));
  await expect(MemdsServer.listen({ peers: [null] } as never)).rejects.toEqual(refusal(/^peers: host must be/));
  await expect(MemdsServer.listen("127.0.0.1" as never)).rejects.toEqual(refusal(/^options must be/));
});

it("names what a tree or a snapshot cannot be made of", () => {
  const tree = RangeTree.empty(sha256);
  const none = undefined as never;
  const wrong: readonly (readonly [RegExp, () => unknown])[] = [
    [/^hash must be/, () => RangeTree.empty(none)],
    [/^hash must be/, () => RangeTree.from([], none)],
    [/^entries must be/, () => RangeTree.from(5 as never, sha256)],
    [/^version must be/, () => encodeSnapshot(none, crc32)],
    [/^tree must be/, () => encodeSnapshot({ version: 1 } as never, crc32)],
    [/^checksum must be/, () => encodeSnapshot({ version: 1, tree }, none)],
    [/^bytes must be/, () => decodeSnapshot(none, { hash: sha256, checksum: crc32 })],
    [/^hash must be/, () => decodeSnapshot(new Uint8Array(), none)],
  ];
  for (const [message, call] of wrong) expect(call).toThrow(refusal(message) as Error);
});

it("names what a load or an update cannot be made of, and changes nothing", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  await using server = await MemdsServer.listen();
  server.load({ version: 1, entries: [{ key: bytes("a"), value: bytes("1") }] });
  const before = server.rootHash;
  const from = bytes("a");
  const wrong: readonly (readonly [RegExp, (server: MemdsServer) => unknown])[] = [
    [/^version must be/, (of) => of.load(undefined as never)],
    [/^entries must be/, (of) => of.load({ version: 2 } as never)],
    [/^entries must be/, (of) => of.load({ version: 2, entries: 5 } as never)],
    [/^key must be/, (of) => of.load({ version: 2, entries: [null] } as never)],
    [/^an option of load must be/, (of) => of.load({ version: 2, entries: [], entrys: [] } as never)],
    [/^version must be/, (of) => of.apply(undefined as never)],
    [/^an option of apply must be changes, not "change"/, (of) => of.apply({ version: 2, change: [] } as never)],
    ...([1, 2] as const).flatMap((version): [RegExp, (server: MemdsServer) => unknown][] => [
      [/^changes must be/, (of) => of.apply({ version, changes: 5 } as never)],
      [/^key must be/, (of) => of.apply({ version, changes: [null] } as never)],
      [/^value must be/, (of) => of.apply({ version, changes: [{ key: from }] } as never)],
      [/^ranges must be/, (of) => of.apply({ version, ranges: 5 } as never)],
      [/^replace must be/, (of) => of.apply({ version, ranges: [null] } as never)],
      [/^by must be/, (of) => of.apply({ version, ranges: [{ replace: [] }] } as never)],
      [/^by: from must be/, (of) => of.apply({ version, ranges: [{ replace: [], by: [null] }] } as never)],
      [
        /^replace: to must be/,
        (of) => of.apply({ version, ranges: [{ replace: [{ from, to: 5 }], by: [] }] } as never),
      ],
      [/^by: value must be/, (of) => of.apply({ version, ranges: [{ replace: [], by: [{ from }] }] } as never)],
    ]),
  ];
  for (const [message, call] of wrong) expect(() => call(server)).toThrow(refusal(message) as Error);
  expect([server.version, server.rootHash]).toEqual([1, before]);
});

it("looks up bytes, and does not take text for keys that are not there", () => {
  const key = new TextEncoder().encode("a");
  const tree = RangeTree.from([{ key, value: key }], sha256);
  const text = "a" as never;
  for (const call of [
    () => tree.get(text),
    () => tree.floor(text),
    () => tree.lower(text),
    () => tree.ceiling(text),
    () => tree.rangeOf(text),
    () => [...tree.range(text)],
    () => [...tree.prefix(text)],
  ])
    expect(call).toThrow(refusal(/must be a Uint8Array, not "a"$/) as Error);
});

it("names an option of a call that there is not", async () => {
  await using server = await MemdsServer.listen();
  await using client = new MemdsClient({ servers: [server] });
  const { signal } = new AbortController();
  await expect(client.lookup([], signal as never)).rejects.toEqual(refusal(/^an option of lookup must be signal/));
  await expect(server.whenReady(signal as never)).rejects.toEqual(refusal(/^an option of whenReady must be signal/));
});
