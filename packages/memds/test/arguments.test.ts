import { expect, it } from "vitest";
import { MemdsClient, MemdsServer } from "../src/index.js";

const refusal = (message: RegExp): unknown =>
  expect.objectContaining({ code: "ERR_MEMDS_ARGUMENT", message: expect.stringMatching(message) });

/** As they come from a program without types, or from its configuration. */
const noAddresses: readonly (readonly [unknown, RegExp])[] = [
  [null, /host must be/],
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
