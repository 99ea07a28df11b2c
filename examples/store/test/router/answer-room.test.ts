import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AnswerRoom, type Body, bytesOf } from "../../src/router/answer-room.js";

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.nat(20_000).map((length) => "ü€😀".repeat(length / 4)),
);
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.nat(20_000).map((length) => new Uint8Array(length).fill(7)),
);
const body: fc.Arbitrary<Body> = fc.oneof(text, bytes, fc.array(bytes, { maxLength: 4 }));

describe("where an answer is written down", () => {
  it("is head and body, whatever the body is and was before, and what is not sent yet stays as it is", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ body, headBytes: fc.nat(512), isSlow: fc.boolean() }), { maxLength: 12 }),
        (answers) => {
          const room = new AnswerRoom();
          const unsent: { is: Buffer; was: Buffer }[] = [];
          for (const { body, headBytes, isSlow } of answers) {
            const head = "h".repeat(headBytes);
            expect(Buffer.compare(room.writeBody(body), bytesOf(body))).toBe(0);
            const whole = room.whole(head);
            expect(Buffer.compare(whole, Buffer.concat([Buffer.from(head), bytesOf(body)]))).toBe(0);
            if (!isSlow) continue;
            unsent.push({ is: whole, was: Buffer.from(whole) });
            room.giveAway();
          }
          for (const { is, was } of unsent) expect(Buffer.compare(is, was)).toBe(0);
        },
      ),
    );
  });

  it("takes no head that is longer than its place", () => {
    const room = new AnswerRoom();
    room.writeBody("{}");
    expect(() => room.whole("h".repeat(513))).toThrow(RangeError);
  });
});
