import { describe, expect, it } from "vitest";
import { msgpack, unmsgpack } from "../src/rpc/codec.js";

describe("a message between processes", () => {
  it("keeps whatever names a client gave", () => {
    const item = JSON.parse(
      '{"__proto__":{"M":{"__proto__":{"S":"x"},"constructor":{"N":"1"}}},"l":{"L":[{"S":"__proto__"}]}}',
    );
    const sent = { key: Uint8Array.of(1, 2), attributes: item };
    const received = unmsgpack(msgpack(sent)) as typeof sent;
    expect(JSON.stringify(received.attributes)).toBe(JSON.stringify(item));
    expect(received.key).toBeInstanceOf(Uint8Array);
    expect([...received.key]).toEqual([1, 2]);
    expect(Object.getPrototypeOf(received.attributes)).toBe(Object.prototype);
  });
});
