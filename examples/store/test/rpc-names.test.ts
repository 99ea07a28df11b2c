import { describe, expect, it } from "vitest";
import { pack, unpack } from "../src/rpc/codec.js";

describe("a message between processes", () => {
  it("keeps whatever names a client gave", () => {
    const item = JSON.parse(
      '{"__proto__":{"M":{"__proto__":{"S":"x"},"constructor":{"N":"1"}}},"l":{"L":[{"S":"__proto__"}]}}',
    );
    const sent = [7, "write", { key: Uint8Array.of(1, 2), op: { kind: "put", item } }] as [number, string, unknown];
    const received = unpack(pack(sent)) as typeof sent;
    expect(JSON.stringify(received)).toBe(JSON.stringify(unpackedForm(sent)));
    expect((received[2] as { key: Uint8Array }).key).toBeInstanceOf(Uint8Array);
    expect(Object.getPrototypeOf((received[2] as { op: { item: object } }).op.item)).toBe(Object.prototype);
  });
});

/** Bytes come back as a Buffer, which JSON writes in its own way. */
function unpackedForm([id, method, params]: [number, string, unknown]): unknown {
  const { key, op } = params as { key: Uint8Array; op: unknown };
  return [id, method, { key: Buffer.from(key), op }];
}
