import { Decimal } from "decimal.js";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareBytes } from "../../src/api/bytes.js";
import { addNumbers, compareNumbers, normalizeNumber, numberBytes } from "../../src/api/number.js";
import { decodeNumber, encodeNumber } from "../../src/api/number-order.js";
import { numberText } from "./arbitraries.js";

const Exact = Decimal.clone({ precision: 600, toExpNeg: -1000, toExpPos: 1000 });

describe("normal form", () => {
  it.each([
    ["0", "0"],
    ["-0", "0"],
    ["0e125", "0"],
    ["0e-130", "0"],
    ["0.0e126", "0"],
    ["000.00", "0"],
    ["+5", "5"],
    ["007", "7"],
    ["1.50", "1.5"],
    [".5", "0.5"],
    ["5.", "5"],
    ["1e3", "1000"],
    ["12.5E-3", "0.0125"],
    ["-1.2300e2", "-123"],
    ["1E125", `1${"0".repeat(125)}`],
    ["1E-130", `0.${"0".repeat(129)}1`],
    ["9".repeat(38), "9".repeat(38)],
    [`${"9".repeat(38)}E+88`, "9".repeat(38) + "0".repeat(88)],
  ])("%s is %s", (text, normal) => {
    expect(normalizeNumber(text)).toBe(normal);
  });

  it.each([
    ["", "The parameter cannot be converted to a numeric value"],
    ["abc", "The parameter cannot be converted to a numeric value: abc"],
    [".", "The parameter cannot be converted to a numeric value: ."],
    ["1 ", "The parameter cannot be converted to a numeric value: 1 "],
    ["0x10", "The parameter cannot be converted to a numeric value: 0x10"],
    ["NaN", "The parameter cannot be converted to a numeric value: NaN"],
    ["Infinity", "The parameter cannot be converted to a numeric value: Infinity"],
    ["1E126", "Number overflow. Attempting to store a number with magnitude larger than supported range"],
    ["1E400", "Number overflow. Attempting to store a number with magnitude larger than supported range"],
    ["0e126", "Number overflow. Attempting to store a number with magnitude larger than supported range"],
    ["0.0e-130", "Number underflow. Attempting to store a number with magnitude smaller than supported range"],
    ["0e-131", "Number underflow. Attempting to store a number with magnitude smaller than supported range"],
    ["1E-131", "Number underflow. Attempting to store a number with magnitude smaller than supported range"],
    ["1".repeat(39), "Attempting to store more than 38 significant digits in a Number"],
  ])("refuses %j", (text, message) => {
    expect(() => normalizeNumber(text)).toThrow(expect.objectContaining({ type: "ValidationException", message }));
  });

  const OVER = "Number overflow. Attempting to store a number with magnitude larger than supported range";
  const UNDER = "Number underflow. Attempting to store a number with magnitude smaller than supported range";
  const NONE = "The parameter cannot be converted to a numeric value: ";

  it.each([
    ["1E1000000001", { message: OVER, newer: OVER }],
    ["1E-1000000001", { message: UNDER, newer: UNDER }],
    ["1e2147483646", { message: OVER, newer: OVER }],
    ["1e2147483647", { message: UNDER, newer: OVER }],
    ["1e2147483648", { message: `${NONE}1e2147483648`, newer: OVER }],
    ["1e2147483649", { message: `${NONE}1e2147483649`, newer: OVER }],
    ["1e-2147483648", { message: `${NONE}1e-2147483648`, newer: UNDER }],
    ["-1E9223372036854775807", { message: `${NONE}-1E9223372036854775807`, newer: OVER }],
    ["1E-9223372036854775808", { message: `${NONE}1E-9223372036854775808`, newer: UNDER }],
    ["1E9223372036854775808", { message: `${NONE}1E9223372036854775808`, newer: `${NONE}1E9223372036854775808` }],
    [`1E${"9".repeat(100)}`, { message: `${NONE}1E${"9".repeat(100)}`, newer: undefined }],
  ])("has its exponent read in one way by older checks and in another by newer ones: %s", (text, told) => {
    expect(() => normalizeNumber(text)).toThrow(expect.objectContaining({ type: "ValidationException", ...told }));
  });

  it("of a sum with too many digits is told as one that is too large", () => {
    for (const [a, b] of [
      ["1E50", "1"],
      ["1E50", "-1"],
      ["1E-100", "1"],
    ] as const)
      expect(() => addNumbers(normalizeNumber(a), normalizeNumber(b))).toThrow(OVER);
  });

  it("is the same for every spelling of a number, and stays put", () => {
    fc.assert(
      fc.property(numberText, (text) => {
        const normal = normalizeNumber(text);
        expect(normal).toBe(new Exact(text).plus(0).toFixed());
        expect(normalizeNumber(normal)).toBe(normal);
        expect(normalizeNumber(new Exact(text).toExponential())).toBe(normal);
      }),
    );
  });
});

describe("order", () => {
  it("of numbers and of their encodings is the decimal library's", () => {
    fc.assert(
      fc.property(numberText, numberText, (a, b) => {
        const [x, y] = [normalizeNumber(a), normalizeNumber(b)];
        const order = new Exact(a).cmp(b);
        expect(Math.sign(compareNumbers(x, y))).toBe(order);
        expect(Math.sign(compareBytes(encodeNumber(x), encodeNumber(y)))).toBe(order);
      }),
      { numRuns: 500 },
    );
  });

  it("of the encodings separates neighbours", () => {
    const ascending = [
      "-9e125",
      "-100",
      "-99.5",
      "-99",
      "-10",
      "-9",
      "-1.01",
      "-1",
      "-0.1",
      "-1e-130",
      "0",
      "1e-130",
      "0.09",
    ];
    ascending.push("0.1", "0.11", "1", "1.01", "9", "10", "99", "99.5", "100", "101", "9e125");
    const encoded = ascending.map((text) => encodeNumber(text));
    for (let i = 1; i < encoded.length; i++) {
      expect(compareBytes(encoded[i - 1] as Uint8Array, encoded[i] as Uint8Array)).toBeLessThan(0);
    }
  });

  it("has a way back", () => {
    fc.assert(
      fc.property(numberText, (text) => {
        expect(decodeNumber(encodeNumber(text))).toBe(normalizeNumber(text));
      }),
    );
  });
});

describe("sums", () => {
  it("are exact, or refused", () => {
    fc.assert(
      fc.property(numberText, numberText, fc.constantFrom(1, -1), (a, b, sign) => {
        const [x, y] = [normalizeNumber(a), normalizeNumber(b)];
        const exact = sign === 1 ? new Exact(a).plus(b) : new Exact(a).minus(b);
        const fits = exact.precision(false) <= 38 && exact.e <= 125;
        const sum = () => addNumbers(x, y, sign as 1 | -1);
        if (exact.isZero() || (fits && exact.e >= -130)) expect(sum()).toBe(exact.plus(0).toFixed());
        else expect(sum).toThrow(expect.objectContaining({ type: "ValidationException" }));
      }),
      { numRuns: 500 },
    );
  });
});

describe("weight", () => {
  it.each([
    ["0", 1],
    ["1", 2],
    ["-1", 3],
    ["10", 2],
    ["12", 2],
    ["123", 3],
    ["100", 2],
    ["1.5", 3],
    ["0.12", 2],
    ["9".repeat(38), 20],
  ])("%s weighs %i bytes", (text, bytes) => {
    expect(numberBytes(text)).toBe(bytes);
  });
});
