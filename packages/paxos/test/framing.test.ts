import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeFrame, type Frame, FrameReader, frameHeaderBytes } from "../src/transport/index.js";

function readAll(reader: FrameReader): Frame[] {
  const frames: Frame[] = [];
  for (let frame = reader.next(); frame; frame = reader.next()) frames.push(frame);
  return frames;
}

describe("frames on a byte stream", () => {
  it("come back whole, however the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 255 })), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 97 }), { minLength: 1, maxLength: 20 }),
        (messages, cuts) => {
          const stream = Buffer.concat(messages.map(([payload, kind]) => encodeFrame(payload, kind)));
          const reader = new FrameReader({ frameBytesMax: 300 });
          const seen: Frame[] = [];
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const end = at + (cuts[turn % cuts.length] as number);
            reader.push(stream.subarray(at, end));
            seen.push(...readAll(reader));
            at = end;
          }
          expect(seen.map(({ kind, payload }) => [[...payload], kind])).toEqual(messages.map(([p, k]) => [[...p], k]));
          expect(reader.bytesBuffered).toBe(0);
        },
      ),
    );
  });

  it("keeps no large frame in memory for the sake of the next", () => {
    const length = 200_000;
    const stream = Buffer.concat(Array.from({ length: 8 }, (_, i) => encodeFrame(new Uint8Array(length).fill(i))));
    const reader = new FrameReader({ frameBytesMax: length });
    const kept: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += 65_536) {
      // As a socket gives it: each chunk in a buffer of its own.
      reader.push(Buffer.concat([stream.subarray(at, at + 65_536)]));
      kept.push(...readAll(reader).map(({ payload }) => payload));
    }
    expect(kept.map((payload) => payload[length - 1])).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    for (const { buffer } of kept) expect(buffer.byteLength).toBeLessThan(length + 2 * 65_536);
  });

  it("refuses every single flipped bit", () => {
    const good = encodeFrame(Buffer.from("promise"), 16);
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good);
      bad[bit >> 3] = (bad[bit >> 3] as number) ^ (1 << (bit & 7));
      const reader = new FrameReader({ frameBytesMax: 64 });
      reader.push(bad);
      let frames: Frame[] = [];
      try {
        frames = readAll(reader);
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_PAXOS_FRAME" });
      }
      expect(frames).toEqual([]);
    }
  });

  it("refuses an announced length above its bound without waiting for it, and reserves nothing", () => {
    const reader = new FrameReader({ frameBytesMax: 1000 });
    const head = encodeFrame(new Uint8Array(0)).subarray(0, frameHeaderBytes);
    head.writeUInt32LE(0xffff_ffff, 4);
    reader.push(head);
    expect(() => reader.next()).toThrow(expect.objectContaining({ code: "ERR_PAXOS_FRAME" }));
    expect(reader.bytesBuffered).toBe(frameHeaderBytes);
  });

  it("are the same for nothing, whatever has become of the buffer behind it", () => {
    const payload = new Uint8Array(0);
    // Made only when somebody asks for it, as the system's calls do; and then it has no memory at all.
    expect(payload.buffer.byteLength).toBe(0);
    const frame = encodeFrame(payload, 7);
    expect(frame).toEqual(encodeFrame(new Uint8Array(0), 7));
    const reader = new FrameReader({ frameBytesMax: 1000 });
    reader.push(frame);
    expect(reader.next()).toMatchObject({ kind: 7, payload: Buffer.alloc(0) });
  });

  it.each([0, 9])("name an unknown version as such: %i", (version) => {
    const frame = encodeFrame(Buffer.from("x"));
    frame[2] = version;
    const reader = new FrameReader({ frameBytesMax: 1000 });
    reader.push(frame);
    expect(() => reader.next()).toThrow(`version ${version}`);
  });

  it("still reads the frames of the first released format", () => {
    const reader = new FrameReader({ frameBytesMax: 1000 });
    reader.push(readFileSync(new URL("./fixtures/frames-v1.bin", import.meta.url)));
    expect(readAll(reader).map(({ kind, payload }) => [kind, Buffer.from(payload).toString("utf8")])).toEqual([
      [16, "one frame"],
      [0, ""],
      [255, "größe"],
    ]);
  });

  it("checks its own bound", () => {
    for (const frameBytesMax of [0, -1, 1.5, Number.NaN, 2 ** 32]) {
      expect(() => new FrameReader({ frameBytesMax })).toThrow(expect.objectContaining({ code: "ERR_PAXOS_ARGUMENT" }));
    }
  });
});
